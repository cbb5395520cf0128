/* The arena: pieces that stay where they are, a ceiling, and failures that are kept. */
#include "kernels/base/arena.h"
#include "tests/test.h"

static syn_arena arena;

/* A sanitizer ends the program at a size beyond its own ceiling unless told otherwise. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
    return "allocator_may_return_null=1";
}

static int start(void **state)
{
    (void)state;
    syn_arena_init(&arena, 1 << 20);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    syn_arena_free(&arena);
    return 0;
}

/* ---- pieces ---- */

static void pieces_are_zeroed_aligned_and_apart(void **state)
{
    enum { PIECES = 400 };
    unsigned char *piece[PIECES];
    (void)state;
    for (int i = 0; i < PIECES; i++) {
        piece[i] = syn_arena_alloc(&arena, (size_t)i + 1);
        assert_non_null(piece[i]);
        assert_int_equal((uintptr_t)piece[i] % 16, 0);
        for (int k = 0; k <= i; k++) assert_int_equal(piece[i][k], 0);
        memset(piece[i], i % 251 + 1, (size_t)i + 1);
    }
    for (int i = 0; i < PIECES; i++)
        for (int k = 0; k <= i; k++) assert_int_equal(piece[i][k], i % 251 + 1);
}

static void a_large_piece_leaves_what_is_left_of_a_block_to_small_ones(void **state)
{
    (void)state;
    char *small = syn_arena_alloc(&arena, 16);
    assert_non_null(syn_arena_alloc(&arena, 100000));
    assert_ptr_equal(syn_arena_alloc(&arena, 16), small + 16);
}

static void an_array_grows_by_doubling(void **state)
{
    int *list = NULL, room = 0;
    (void)state;
    for (int i = 0; i < 1000; i++) {
        int *grown = syn_arena_grow(&arena, list, i, &room, sizeof *list);
        assert_non_null(grown);
        if (i % 16 != 0) assert_ptr_equal(grown, list);
        list = grown;
        list[i] = 3 * i;
    }
    assert_int_equal(room, 1024);
    for (int i = 0; i < 1000; i++) assert_int_equal(list[i], 3 * i);
}

/* ---- the ceiling ---- */

static void the_ceiling_is_reached_but_never_passed(void **state)
{
    (void)state;
    syn_arena_init(&arena, 64);
    assert_non_null(syn_arena_alloc(&arena, 48));
    assert_non_null(syn_arena_alloc(&arena, 1));
    assert_int_equal(arena.bytes, 64);
    assert_ok(syn_arena_check(&arena, "here"));
    assert_null(syn_arena_alloc(&arena, 1));
    assert_int_equal(arena.failed, SYN_ERR_LIMIT);
    syn_arena_free(&arena);
    syn_arena_init(&arena, 60); /* what is lost to alignment counts */
    assert_non_null(syn_arena_alloc(&arena, 48));
    assert_null(syn_arena_alloc(&arena, 10));
    assert_int_equal(arena.failed, SYN_ERR_LIMIT);
}

static void sizes_that_would_wrap_are_above_the_ceiling(void **state)
{
    static const size_t array[][2] = {{1, SIZE_MAX},         {SIZE_MAX, 1},
                                      {SIZE_MAX / 2 + 1, 2}, {2, SIZE_MAX / 2 + 2},
                                      {SIZE_MAX / 16, 1024}, {SIZE_MAX, SIZE_MAX}};
    static const size_t piece[] = {SIZE_MAX, SIZE_MAX - 14, SIZE_MAX - 15, SIZE_MAX / 4 + 1};
    (void)state;
    for (size_t i = 0; i < sizeof array / sizeof *array; i++) {
        syn_arena_init(&arena, SIZE_MAX / 4);
        assert_null(syn_arena_array(&arena, array[i][0], array[i][1]));
        assert_int_equal(arena.failed, SYN_ERR_LIMIT);
    }
    for (size_t i = 0; i < sizeof piece / sizeof *piece; i++) {
        syn_arena_init(&arena, SIZE_MAX / 4);
        assert_null(syn_arena_alloc(&arena, piece[i]));
        assert_int_equal(arena.failed, SYN_ERR_LIMIT);
    }
}

static void memory_that_is_not_to_be_had_is_told_from_the_ceiling(void **state)
{
    (void)state;
    syn_arena_init(&arena, SIZE_MAX / 4);
    assert_null(syn_arena_alloc(&arena, SIZE_MAX / 8)); /* more than a machine can address */
    assert_int_equal(syn_arena_check(&arena, "a.json"), SYN_ERR_MEMORY);
    assert_string_equal(syn_error_text(), "a.json: out of memory");
}

static void once_refused_nothing_more_is_given(void **state)
{
    int room = 0;
    (void)state;
    syn_text_builder b = {.arena = &arena};
    syn_build(&b, "begun");
    assert_null(syn_arena_alloc(&arena, 2 << 20));
    assert_null(syn_arena_alloc(&arena, 1));
    assert_null(syn_arena_array(&arena, SIZE_MAX, 1));
    assert_null(syn_arena_grow(&arena, NULL, 0, &room, 1));
    assert_string_equal(syn_arena_text(&arena, "text"), "");
    assert_string_equal(syn_arena_text_n(&arena, "text", 4), "");
    assert_string_equal(syn_arena_format(&arena, "%d", 7), "");
    assert_string_equal(syn_built(&b), "");
    assert_int_equal(syn_arena_check(&arena, "b.json"), SYN_ERR_LIMIT);
    assert_string_equal(syn_error_text(),
                        "b.json: what is held of it at once is larger than 1 MiB");
}

/* ---- all at once ---- */

static void an_emptied_arena_begins_anew_in_its_largest_block(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++) assert_non_null(syn_arena_alloc(&arena, 1000));
    char *large = syn_arena_alloc(&arena, 300000);
    memset(large, 1, 300000);
    assert_null(syn_arena_alloc(&arena, 1 << 20));
    syn_arena_empty(&arena);
    assert_ok(syn_arena_check(&arena, "here"));
    assert_int_equal(arena.bytes, 0);
    assert_int_equal(arena.bytes_max, 1 << 20);
    char *again = syn_arena_alloc(&arena, 299000);
    assert_ptr_equal(again, large);
    for (int i = 0; i < 299000; i++) assert_int_equal(again[i], 0);
}

static void a_freed_arena_may_be_used_and_freed_again(void **state)
{
    syn_arena zeroed = {0};
    (void)state;
    assert_null(syn_arena_alloc(&arena, 2 << 20));
    syn_arena_free(&arena);
    syn_arena_free(&arena);
    assert_string_equal(syn_arena_text(&arena, "again"), "again");
    syn_arena_empty(&zeroed);
    syn_arena_free(&zeroed);
    assert_null(syn_arena_alloc(&zeroed, 1)); /* its ceiling is nothing */
}

/* ---- texts ---- */

static void texts_are_copies(void **state)
{
    char given[] = "given";
    (void)state;
    const char *whole = syn_arena_text(&arena, given);
    const char *part = syn_arena_text_n(&arena, given, 3);
    const char *made = syn_arena_format(&arena, "%s %d", given, 7);
    memset(given, 'x', sizeof given - 1);
    assert_string_equal(whole, "given");
    assert_string_equal(part, "giv");
    assert_string_equal(made, "given 7");
    assert_string_equal(syn_arena_text(&arena, NULL), "");
    assert_string_equal(syn_arena_text(&arena, ""), "");
    assert_string_equal(syn_arena_text_n(&arena, NULL, 0), "");
    assert_ok(syn_arena_check(&arena, "texts"));
}

static void a_text_is_built_piece_by_piece(void **state)
{
    (void)state;
    syn_text_builder b = {.arena = &arena};
    assert_string_equal(syn_built(&b), "");
    syn_build_n(&b, NULL, 0);
    assert_string_equal(syn_built(&b), "");
    for (int i = 0; i < 1000; i++) {
        syn_build(&b, "%03d", i);
        syn_build_n(&b, ",;", 1);
    }
    const char *text = syn_built(&b);
    assert_int_equal(b.bytes, 4000);
    assert_int_equal(strlen(text), 4000);
    for (int i = 0; i < 1000; i++) {
        char item[8];
        snprintf(item, sizeof item, "%03d,", i);
        assert_memory_equal(text + 4 * (size_t)i, item, 4);
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(pieces_are_zeroed_aligned_and_apart),
        TEST(a_large_piece_leaves_what_is_left_of_a_block_to_small_ones),
        TEST(an_array_grows_by_doubling),
        TEST(the_ceiling_is_reached_but_never_passed),
        TEST(sizes_that_would_wrap_are_above_the_ceiling),
        TEST(memory_that_is_not_to_be_had_is_told_from_the_ceiling),
        TEST(once_refused_nothing_more_is_given),
        TEST(an_emptied_arena_begins_anew_in_its_largest_block),
        TEST(a_freed_arena_may_be_used_and_freed_again),
        TEST(texts_are_copies),
        TEST(a_text_is_built_piece_by_piece),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
