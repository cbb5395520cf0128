/* From records to tasks: which pieces stand in. */
#include "tests/trainer/corpus_world.h"

enum { R = SYN_ROWS_MAX };

/* ---- Which piece stands in which row: a piece is known by its embedding ---- */

static syn_piece_text text_of(const syn_dataset *ds, const syn_piece *p)
{
    return (syn_piece_text){ds->tokens + p->title_at, ds->tokens + p->body_at, p->title_count,
                            p->body_count, p->claim != 0};
}

/* e (pieces, SYN_DE) of every piece; free() it. */
static real *embeddings(const syn_dataset *ds)
{
    real *all = calloc((size_t)ds->piece_count * SYN_DE, sizeof *all);
    real *quest = calloc(SYN_TASK_QUEST, sizeof *quest),
         *pair = calloc(SYN_TASK_PAIR, sizeof *pair);
    real *e = calloc(R * SYN_DE, sizeof *e), q[SYN_DE];
    assert_true(all && quest && pair && e);
    for (int64_t p = 0; p < ds->piece_count; p++) {
        syn_piece_text t = text_of(ds, &ds->pieces[p]);
        assert_ok(syn_task_build(idf, table, NULL, 0, &t, 1, true, quest, pair, e, q));
        memcpy(all + p * SYN_DE, e, sizeof(real) * SYN_DE);
    }
    free(quest);
    free(pair);
    free(e);
    return all;
}

/* The piece of the data set in a row of record r of the corpus. */
static int64_t piece_in_row(const syn_corpus *c, const real *all, int64_t pieces, int64_t r,
                            int row)
{
    const real *e = c->tasks.e + (2 * r * R + row) * SYN_DE;
    for (int64_t p = 0; p < pieces; p++)
        if (memcmp(e, all + p * SYN_DE, sizeof(real) * SYN_DE) == 0) return p;
    fail_msg("row %d of record %lld is no piece of the data set", row, (long long)r);
    return -1;
}

static int64_t record_of_piece(const syn_dataset *ds, int64_t p)
{
    for (int64_t r = 0; r < ds->record_count; r++) {
        const syn_record *rec = &ds->records[r];
        if (p >= rec->piece_first && p < rec->piece_first + rec->piece_count) return r;
    }
    return -1;
}

/* May piece p stand in record rec, as the rules say? */
static bool may_stand(const syn_dataset *ds, int64_t rec, int64_t p)
{
    const syn_record *r = &ds->records[rec], *other = &ds->records[record_of_piece(ds, p)];
    if (other == r || other->id_key == r->id_key || other->question_key == r->question_key)
        return false;
    if (ds->pieces[p].claim) return false;
    for (int k = 0; k < r->piece_count; k++) {
        uint64_t title = syn_record_piece(ds, r, k)->title_key;
        if (title && title == ds->pieces[p].title_key) return false;
    }
    return true;
}

/* The rows of one record: its own pieces in their order, then others that may stand there, none
 * twice. */
static void rows_check(const syn_corpus *c, const syn_dataset *ds, const real *all, int64_t r,
                       int64_t *in)
{
    const int64_t index = c->record[r];
    const syn_record *rec = &ds->records[index];
    const syn_task_info *info = &c->tasks.info[2 * r];
    const int rows = info->pieces + SYN_FOREIGN_ROWS;
    uint32_t gold = 0, claims = 0;
    for (int row = 0; row < rows; row++) {
        in[row] = piece_in_row(c, all, ds->piece_count, r, row);
        if (row < rec->piece_count) {
            assert_int_equal(in[row], rec->piece_first + row);
            gold |= (uint32_t)(ds->pieces[in[row]].gold != 0) << row;
            claims |= (uint32_t)(ds->pieces[in[row]].claim != 0) << row;
            continue;
        }
        assert_true(may_stand(ds, index, in[row]));
        for (int k = 0; k < row; k++) {
            uint64_t title = ds->pieces[in[row]].title_key;
            assert_int_not_equal(in[row], in[k]);
            assert_true(title == 0 || title != ds->pieces[in[k]].title_key);
        }
    }
    assert_int_equal(info->gold, gold);
    assert_int_equal(info->claims, claims);
    for (int row = rows; row < R; row++)
        for (int d = 0; d < SYN_DE; d++)
            assert_true(c->tasks.e[(2 * r * R + row) * SYN_DE + d] == 0);
}

static void terms_of_piece(const syn_dataset *ds, int64_t p, syn_terms *t)
{
    syn_piece_text x = text_of(ds, &ds->pieces[p]);
    syn_terms_make(t, idf, x.title, x.title_count, x.body, x.body_count);
}

/* No piece that was left out is nearer to the question than one that was taken. */
static void nearest_check(const syn_corpus *c, const syn_dataset *ds, int64_t r, const int64_t *in)
{
    static syn_terms q, t;
    const syn_record *rec = &ds->records[c->record[r]];
    const int rows = c->tasks.info[2 * r].pieces + SYN_FOREIGN_ROWS;
    double farthest = 1, nearest = 0;
    syn_terms_make(&q, idf, NULL, 0, ds->tokens + rec->question_at, rec->question_count);
    for (int64_t p = 0; p < ds->piece_count; p++) {
        bool taken = false, title_taken = false;
        for (int row = 0; row < rows; row++) {
            uint64_t title = ds->pieces[in[row]].title_key;
            taken |= in[row] == p;
            title_taken |= title && title == ds->pieces[p].title_key;
        }
        if ((title_taken && !taken) || !may_stand(ds, c->record[r], p)) continue;
        terms_of_piece(ds, p, &t);
        double cosine = (double)syn_terms_cosine(&q, &t);
        if (taken)
            farthest = fmin(farthest, cosine);
        else
            nearest = fmax(nearest, cosine);
    }
    if (!(nearest <= farthest + 1e-5))
        fail_msg("record %lld: a piece of cosine %.4f was taken, one of %.4f was not", (long long)r,
                 farthest, nearest);
}

static void all_check(const syn_dataset *ds, int pieces)
{
    syn_corpus c;
    int64_t in[R];
    corpus_build(&c, ds, pieces);
    real *all = embeddings(ds);
    for (int64_t r = 0; r < c.records; r++) {
        const syn_record *rec = &ds->records[c.record[r]];
        assert_int_equal(c.tasks.info[2 * r].pieces,
                         pieces > rec->piece_count ? pieces : rec->piece_count);
        rows_check(&c, ds, all, r, in);
        nearest_check(&c, ds, r, in);
    }
    free(all);
    syn_corpus_free(&ctx, &c);
}

/* ---- Tests ---- */

static void foreign_rows_are_the_nearest_pieces_that_may_stand_there(void **state)
{
    syn_dataset ds;
    dataset_begin(&ds);
    random_records(&ds, 30, 10, 2, true);
    all_check(&ds, 0);
    syn_dataset_free(&ds);
}

static void records_are_filled_with_further_pieces_of_the_same_kind(void **state)
{
    syn_dataset ds;
    dataset_begin(&ds);
    random_records(&ds, 14, 5, 2, true);
    random_records(&ds, 3, 14, 3, true); /* larger already */
    all_check(&ds, 12);
    all_check(&ds, SYN_PIECES_OWN_MAX);
    syn_dataset_free(&ds);
}

/* The same question again, the same title elsewhere or twice, claims: near, yet never foreign. */
static void a_piece_of_the_same_question_or_title_and_a_claim_never_stand_in(void **state)
{
    syn_dataset ds;
    dataset_begin(&ds);
    for (int n = 0; n < 6; n++) {
        char id[16], text[80];
        snprintf(id, sizeof id, "q%d", n);
        dataset_record(&ds, id, n < 3 ? "Where is the blue lagoon" : "Who built the blue lagoon");
        for (int p = 0; p < 8; p++) {
            char title[32];
            snprintf(title, sizeof title, p < 2 ? "Blue lagoon %d" : "Place %d of %d", p, n);
            snprintf(text, sizeof text, "the blue lagoon lies near town%d by hill%d", n, p);
            if (p == 4 && n >= 3) { /* nearest to the first three, which get it once */
                strcpy(title, "Where");
                snprintf(text, sizeof text, "is the blue lagoon town%d", n);
            }
            dataset_piece(&ds, title, text, p == 7)->claim = p == 3;
        }
    }
    all_check(&ds, 0);
    syn_dataset_free(&ds);
}

static void pieces_without_titles_may_stand_in_too(void **state)
{
    syn_dataset ds;
    dataset_begin(&ds);
    random_records(&ds, 6, 6, 2, false);
    all_check(&ds, 0);
    syn_dataset_free(&ds);
}

static void records_and_foreign_pieces_come_from_those_that_are_marked(void **state)
{
    syn_dataset ds;
    syn_corpus c;
    uint8_t use[20] = {0}, pool[20] = {0};
    dataset_begin(&ds);
    random_records(&ds, 20, 6, 2, true);
    for (int r = 0; r < 20; r++) {
        use[r] = r % 4 == 0;
        pool[r] = r % 4 == 1;
    }
    assert_ok(syn_corpus_idf(&ds, NULL, idf));
    assert_ok(syn_corpus_build(&ctx, &c, &ds, use, pool, idf, table, 0));
    assert_int_equal(c.records, 5);
    real *all = embeddings(&ds);
    for (int64_t r = 0; r < c.records; r++) {
        assert_int_equal(c.record[r], 4 * r);
        for (int row = 6; row < 6 + SYN_FOREIGN_ROWS; row++)
            assert_int_equal(
                record_of_piece(&ds, piece_in_row(&c, all, ds.piece_count, r, row)) % 4, 1);
    }
    free(all);
    syn_corpus_free(&ctx, &c);
    syn_dataset_free(&ds);
}

/* Foreign rows of a corpus of the first `records` records, as indices of records. */
static void foreign_records(const syn_corpus *c, const syn_dataset *ds, const real *all, int64_t r,
                            int64_t *from)
{
    const int pieces = c->tasks.info[2 * r].pieces;
    for (int k = 0; k < SYN_FOREIGN_ROWS; k++)
        from[k] = record_of_piece(ds, piece_in_row(c, all, ds->piece_count, r, pieces + k));
}

/* A paragraph among the facts of a dialogue would tell that it is foreign. */
static void foreign_pieces_are_of_the_same_data_set(void **state)
{
    syn_dataset ds;
    syn_corpus c;
    int64_t from[SYN_FOREIGN_ROWS];
    dataset_begin(&ds);
    random_records(&ds, 24, 6, 2, true);
    ds.source_count = 3; /* the first and the last are files of one data set */
    strcpy(ds.sources[0].name, "wiki");
    strcpy(ds.sources[1].name, "woz");
    strcpy(ds.sources[2].name, "wiki");
    for (int r = 0; r < 24; r++) ds.records[r].source = (uint8_t)(r % 3);
    corpus_build(&c, &ds, 0);
    real *all = embeddings(&ds);
    int other_file = 0;
    for (int64_t r = 0; r < c.records; r++) {
        foreign_records(&c, &ds, all, r, from);
        for (int k = 0; k < SYN_FOREIGN_ROWS; k++) {
            assert_int_equal(from[k] % 3 == 1, r % 3 == 1);
            other_file += from[k] % 3 != r % 3;
        }
    }
    assert_true(other_file > 0);
    free(all);
    syn_corpus_free(&ctx, &c);
    syn_dataset_free(&ds);
}

/* Four questions about each dialogue: what is said elsewhere in it might be evidence. What is said
 * in every dialogue must not stand there twice. */
static void foreign_pieces_are_not_of_the_same_dialogue_nor_the_same_text(void **state)
{
    syn_dataset ds;
    syn_corpus c;
    int64_t from[SYN_FOREIGN_ROWS];
    dataset_begin(&ds);
    for (int n = 0; n < 12; n++) {
        char id[16], question[40], text[60];
        snprintf(id, sizeof id, "q%d", n);
        snprintf(question, sizeof question, "Who said hello number%d", n);
        dataset_record(&ds, id, question)->context_key = (uint64_t)(1 + n / 4);
        for (int p = 0; p < 6; p++) {
            snprintf(text, sizeof text,
                     p == 5 ? "hello hello" : "hello said %d in dialogue%d part%d", p, n / 4, n);
            dataset_piece(&ds, "", text, p == n % 4);
        }
    }
    corpus_build(&c, &ds, 0);
    real *all = embeddings(&ds);
    for (int64_t r = 0; r < c.records; r++) {
        const int pieces = c.tasks.info[2 * r].pieces;
        const real *e = c.tasks.e + 2 * r * R * SYN_DE;
        foreign_records(&c, &ds, all, r, from);
        for (int k = 0; k < SYN_FOREIGN_ROWS; k++) {
            assert_int_not_equal(from[k] / 4, r / 4);
            for (int row = 0; row < pieces + k; row++)
                assert_memory_not_equal(e + row * SYN_DE, e + (pieces + k) * SYN_DE,
                                        SYN_DE * sizeof *e);
        }
    }
    free(all);
    syn_corpus_free(&ctx, &c);
    syn_dataset_free(&ds);
}

/* Records of facts: domain d has slots 0..3, of which the record holds the first `held`. */
static void fact_records(syn_dataset *ds, int records, int held)
{
    for (int n = 0; n < records; n++) {
        char id[32], question[60], title[40], body[60];
        snprintf(id, sizeof id, "woz%d#%lld", n, (long long)ds->record_count);
        snprintf(question, sizeof question, "please book domain0 for me%d", n);
        dataset_record(ds, id, question)->context_key = (uint64_t)(100 + n);
        for (int p = 0; p < 2 * held; p++) {
            snprintf(title, sizeof title, "domain%d slot%d", p % 2, (p / 2 + n) % 4);
            snprintf(body, sizeof body, "%s value%d", title, n);
            dataset_piece(ds, title, body, p == 0)->group = (uint8_t)(p % 2 ? 7 : 2);
        }
    }
}

static void groups_become_masks_and_facts_of_a_known_slot_stand_in_last(void **state)
{
    for (int held = 2; held <= 4; held++) {
        syn_dataset ds;
        syn_corpus c;
        dataset_begin(&ds);
        fact_records(&ds, 8, held);
        corpus_build(&c, &ds, 0);
        real *all = embeddings(&ds);
        for (int64_t r = 0; r < c.records; r++) {
            const syn_task_info *info = &c.tasks.info[2 * r];
            const syn_record *rec = &ds.records[c.record[r]];
            const uint32_t even = 0x55555555u & ((1u << 2 * held) - 1);
            assert_int_equal(info->group[0], even);
            assert_int_equal(info->group[1], even << 1);
            assert_int_equal(info->group[2], 0);
            for (int k = 0; k < SYN_FOREIGN_ROWS; k++) {
                int64_t p = piece_in_row(&c, all, ds.piece_count, r, info->pieces + k);
                bool known = false;
                for (int own = 0; own < rec->piece_count; own++)
                    known |= syn_record_piece(&ds, rec, own)->title_key == ds.pieces[p].title_key;
                assert_int_equal(known, held == 4); /* all slots known: other values stand in */
            }
        }
        free(all);
        syn_corpus_free(&ctx, &c);
        syn_dataset_free(&ds);
    }
}

/* Fillers are of no group: they may go to anybody. */
static void fillers_are_of_no_group(void **state)
{
    syn_dataset ds;
    syn_corpus c;
    dataset_begin(&ds);
    fact_records(&ds, 8, 2);
    corpus_build(&c, &ds, 9);
    assert_int_equal(c.tasks.info[0].pieces, 9);
    assert_int_equal(c.tasks.info[0].group[0] | c.tasks.info[0].group[1], 0xf);
    syn_corpus_free(&ctx, &c);
    syn_dataset_free(&ds);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(foreign_rows_are_the_nearest_pieces_that_may_stand_there),
        cmocka_unit_test(records_are_filled_with_further_pieces_of_the_same_kind),
        cmocka_unit_test(a_piece_of_the_same_question_or_title_and_a_claim_never_stand_in),
        cmocka_unit_test(pieces_without_titles_may_stand_in_too),
        cmocka_unit_test(records_and_foreign_pieces_come_from_those_that_are_marked),
        cmocka_unit_test(foreign_pieces_are_of_the_same_data_set),
        cmocka_unit_test(foreign_pieces_are_not_of_the_same_dialogue_nor_the_same_text),
        cmocka_unit_test(groups_become_masks_and_facts_of_a_known_slot_stand_in_last),
        cmocka_unit_test(fillers_are_of_no_group),
    };
    return cmocka_run_group_tests(tests, corpus_setup, corpus_teardown);
}
