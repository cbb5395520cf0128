/* Pages of `syncog report`, checked: well formed, and nothing to load. */
#ifndef SYN_TESTS_BENCHMARKS_PAGES_H
#define SYN_TESTS_BENCHMARKS_PAGES_H

#include "tests/trainer/commands.h"

/* Checks that every tag is closed by its own, in order, and every attribute quoted, as XML wants.
 */
static inline void assert_well_formed(const char *page)
{
    char open[64][16];
    int depth = 0;
    const char *p = strstr(page, "<html");
    assert_non_null(p);
    while ((p = strchr(p, '<'))) {
        const char *begin = p + 1;
        bool quoted = false;
        for (p++; *p && (quoted || *p != '>'); p++) {
            if (*p == '"') quoted = !quoted;
            if (*p == '<') fail_msg("a stray < at: %.60s", p);
        }
        if (!*p) fail_msg("no end of the tag at: %.60s", begin);
        const bool closing = *begin == '/', empty = p[-1] == '/';
        const size_t n = strcspn(begin + closing, " />");
        assert_in_range(n, 1, 15);
        if (!closing && !empty) {
            assert_true(depth < 64);
            snprintf(open[depth++], 16, "%.*s", (int)n, begin);
        }
        if (closing) {
            if (!depth || strncmp(open[depth - 1], begin + 1, n) || open[depth - 1][n])
                fail_msg("</%.*s> closes <%s>", (int)n, begin + 1, depth ? open[depth - 1] : "");
            depth--;
        }
    }
    assert_int_equal(depth, 0);
}

/* The page loads nothing, and no figure of it is "nan" or "inf". */
static inline void assert_self_contained(const char *page)
{
    static const char *const wrong[] = {"src=", "<link", "url(", "@import", "https://", "\"nan",
                                        " nan", "\"inf", " inf", "-inf",    "-nan"};
    for (size_t k = 0; k < sizeof wrong / sizeof *wrong; k++)
        if (strstr(page, wrong[k])) fail_msg("the page holds %.60s", strstr(page, wrong[k]));
    const char *http = strstr(page, "http://");
    while (http) { /* the name of SVG's namespace is no address */
        assert_memory_equal(http, "http://www.w3.org/2000/svg", 26);
        http = strstr(http + 1, "http://");
    }
}

/* The page of folder/NAME, checked; free() it. */
static inline char *page_of(const char *arguments)
{
    size_t bytes;
    assert_works("report %s --out page.html", arguments);
    assert_string_equal(said, "wrote page.html\n");
    char *page = file_read(path_of("page.html"), &bytes);
    assert_int_equal(strlen(page), bytes);
    assert_well_formed(page);
    assert_self_contained(page);
    return page;
}

static inline int occurrences(const char *page, const char *text)
{
    int n = 0;
    for (const char *p = page; (p = strstr(p, text)); p++) n++;
    return n;
}

#endif
