/* The floating type of all network buffers: float in the product, double in the copy of the
 * libraries that the gradient tests link (SYN_REAL_DOUBLE), so that the very same source is checked
 * by central differences. */
#ifndef SYN_BASE_REAL_H
#define SYN_BASE_REAL_H

#ifdef SYN_REAL_DOUBLE
typedef double real;
#else
typedef float real;
#endif

#endif
