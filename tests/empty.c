/* Keeps a library without sources of its own buildable. */
typedef int syn_empty;
