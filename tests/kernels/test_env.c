/* The environment: against the slow reference, and the promises that its openings keep. */
#include "kernels/env.h"
#include "tests/slow_env.h"

enum { RANKS = SYN_AGENTS_MAX * SYN_ROWS_MAX, ANSWER = SYN_ACTIONS_MAX - 2, ABSTAIN };

static syn_rng test_rng(uint64_t stream)
{
    return syn_rng_make(20, ((uint64_t)SYN_STREAM_TEST << 32) + stream);
}

/* `gold` supporting rows somewhere among `pieces`. */
static syn_task_info task_make(syn_rng *rng, int pieces, int gold)
{
    syn_task_info info = {.pieces = pieces, .claims = syn_rng_u32(rng)};
    while (syn_popcount(info.gold) < gold) info.gold |= 1u << syn_rng_below(rng, (uint32_t)pieces);
    return info;
}

/* ---- Actions ---- */

static void every_flat_index_names_one_action_in_the_promised_order(void **state)
{
    slow_action list[SLOW_ACTIONS];
    slow_actions(list);
    assert_int_equal(SYN_ACTIONS_MAX, SLOW_ACTIONS);
    for (int a = 0; a < SLOW_ACTIONS; a++) {
        syn_action x = syn_action_of(a);
        assert_int_equal(x.kind, list[a].kind);
        assert_int_equal(x.from, list[a].from);
        assert_int_equal(x.to, list[a].to);
        assert_int_equal(x.piece, -1);
        assert_int_equal(syn_action_index(x.kind, x.from, x.to), a);
    }
    assert_int_equal(syn_action_of(-1).kind, SYN_NO_ACTION);
}

/* ---- Against the reference ---- */

static void compare_states(const syn_env *e, const slow_env *s)
{
    assert_int_equal(e->turn, s->turn);
    assert_int_equal(e->messages, s->messages);
    assert_int_equal(e->deliveries, s->deliveries);
    assert_int_equal(e->done, s->done);
    assert_int_equal(e->success, s->success);
    assert_int_equal(e->last.kind, s->last.kind);
    assert_int_equal(e->last.piece, s->last_piece);
    assert_true(fabs(e->episode_return - s->episode_return) < 1e-3);
    assert_true(fabs(syn_env_progress(e) - slow_progress(s)) < 1e-6);
    assert_int_equal(syn_env_goal_reached(e), slow_goal_reached(s));
    for (int i = 0; i < s->agents; i++) {
        assert_int_equal(e->count[i], s->known[i]);
        for (int k = 0; k < s->known[i]; k++) {
            int p = s->list[i][k];
            assert_int_equal(e->item[i][k], p);
            assert_int_equal(e->giver[i][p], s->giver[i][p]);
            assert_int_equal(e->arrived[i][p], s->arrived[i][p]);
        }
        for (int p = 0; p < SLOW_ROWS; p++) {
            assert_int_equal(e->memory[i] >> p & 1, s->knows[i][p]);
            for (int j = 0; j < s->agents; j++)
                assert_int_equal(e->sent[i][j] >> p & 1, s->told[i][j][p]);
        }
    }
}

static int compare_masks(const syn_env *e, const slow_env *s, const slow_action *list, int *legal)
{
    uint8_t mask[SYN_ACTIONS_MAX];
    int n = 0;
    memset(mask, 7, sizeof mask);
    syn_env_legal(e, mask);
    for (int a = 0; a < SLOW_ACTIONS; a++) {
        if (mask[a] != slow_legal(s, list[a]))
            fail_msg("action %d (kind %d, %d to %d): mask %d, reference %d", a, list[a].kind,
                     list[a].from, list[a].to, mask[a], !mask[a]);
        if (mask[a]) legal[n++] = a;
    }
    return n;
}

/* Mostly legal moves, so that episodes last; now and then anything at all. */
static int action_draw(syn_rng *rng, const int *legal, int n)
{
    uint32_t u = syn_rng_below(rng, 20);
    if (u == 0) return (int)syn_rng_below(rng, SYN_ACTIONS_MAX);
    if (u == 1 || n == 2) return legal[n - 2 + (int)syn_rng_below(rng, 2)];
    return legal[syn_rng_below(rng, (uint32_t)n - 2)];
}

/* Worths with many ties, other ones each turn. */
static void ranks_draw(syn_rng *rng, float *rank)
{
    for (int k = 0; k < RANKS; k++) rank[k] = (float)syn_rng_below(rng, 12) - 6;
}

/* Plays one random episode on both sides; returns the kinds of action that occurred, as a mask. */
static int episode_compare(const syn_env_config *cfg, const syn_task_info *info, uint64_t number)
{
    slow_action list[SLOW_ACTIONS];
    float rank[RANKS];
    int legal[SLOW_ACTIONS], kinds = 0;
    syn_env e;
    slow_env s;
    syn_rng rng = test_rng(1000 + number);
    slow_actions(list);
    syn_env_reset(&e, cfg, 3, info, 5, number);
    slow_open(&s, &e, cfg->read_limit);
    compare_states(&e, &s);
    while (!s.done) {
        ranks_draw(&rng, rank);
        int a = action_draw(&rng, legal, compare_masks(&e, &s, list, legal));
        if (list[a].kind == SYN_ALONE)
            s.reads_next = syn_env_piece(&e, SYN_ALONE, list[a].from, -1, rank);
        if (list[a].kind <= SYN_ALONE && list[a].from < s.agents && list[a].to < s.agents)
            assert_int_equal(syn_env_piece(&e, list[a].kind, list[a].from, list[a].to, rank),
                             slow_piece(&s, list[a], rank));
        double expected = slow_step(&s, cfg, list[a], rank);
        double reward = syn_env_step(&e, cfg, a, rank);
        if (fabs(reward - expected) > 1e-4)
            fail_msg("reward %.6f, reference %.6f at turn %d", reward, expected, s.turn);
        compare_states(&e, &s);
        kinds |= 1 << s.last.kind;
    }
    return kinds;
}

static void ten_thousand_random_episodes_equal_the_slow_reference(void **state)
{
    int kinds = 0;
    syn_rng rng = test_rng(1);
    for (int n = 0; n < 10000; n++) {
        syn_env_config cfg = SYN_ENV_CONFIG_DEFAULT;
        int pieces = n % 16 == 0 ? 28 : 2 + (int)syn_rng_below(&rng, 11);
        int gold_max = pieces - 1 < 4 ? pieces - 1 : 4;
        syn_task_info info =
            task_make(&rng, pieces, 1 + (int)syn_rng_below(&rng, (uint32_t)gold_max));
        cfg.goal = n & 1 ? SYN_GOAL_CONSENSUS : SYN_GOAL_ASKER;
        cfg.read_limit = n & 2 ? 2 : 0;
        cfg.gamma = n & 4 ? 0.99f : 0;
        cfg.turns_max = n & 8 ? 1 + (int)syn_rng_below(&rng, 12) : 0;
        kinds |= episode_compare(&cfg, &info, (uint64_t)n);
    }
    assert_int_equal(kinds, (1 << (SYN_NO_ACTION + 1)) - 1);
}

static void every_cost_and_reward_is_taken_from_the_settings(void **state)
{
    syn_env_config cfg = {2, 10, 6, 0, SYN_GOAL_ASKER, -1, 0.5f, 3, 0.7f, 0.2f, 40, 30, -20, 8};
    syn_rng rng = test_rng(2);
    for (int n = 0; n < 600; n++) {
        cfg.goal = n % 2;
        syn_task_info info = task_make(&rng, 6, 2);
        episode_compare(&cfg, &info, 50000 + (uint64_t)n);
    }
}

/* With gamma 1, what the potential adds over an episode is -phi(opening), whatever was done. */
static void the_potential_telescopes(void **state)
{
    syn_env_config cfg = SYN_ENV_CONFIG_DEFAULT;
    cfg.gamma = 1;
    syn_rng rng = test_rng(3);
    for (int n = 0; n < 500; n++) {
        cfg.goal = n % 2;
        syn_task_info info = task_make(&rng, 8, 3);
        syn_env e;
        float rank[RANKS];
        syn_env_reset(&e, &cfg, 0, &info, 6, (uint64_t)n);
        double opening = cfg.potential * syn_env_progress(&e), shaped = 0;
        while (!e.done) {
            ranks_draw(&rng, rank);
            shaped += syn_env_step(&e, &cfg, (int)syn_rng_below(&rng, SYN_ACTIONS_MAX), rank);
        }
        assert_true(fabs(shaped - (e.episode_return - opening)) < 1e-3);
    }
}

/* ---- Openings ---- */

static void a_reset_follows_from_seed_and_episode_alone(void **state)
{
    syn_env_config cfg = SYN_ENV_CONFIG_DEFAULT;
    syn_rng rng = test_rng(4);
    syn_task_info info = task_make(&rng, 10, 2);
    syn_env a, b;
    int differ = 0;
    for (uint64_t n = 0; n < 200; n++) {
        memset(&a, 0xff, sizeof a);
        memset(&b, 0x11, sizeof b);
        syn_env_reset(&a, &cfg, 1, &info, 9, n);
        syn_env_reset(&b, &cfg, 1, &info, 9, n);
        assert_memory_equal(&a, &b, sizeof a);
        syn_env_reset(&b, &cfg, 1, &info, 9, n + 1);
        differ += memcmp(&a, &b, sizeof a) != 0;
        syn_env_reset(&b, &cfg, 1, &info, 10, n);
        differ += memcmp(&a, &b, sizeof a) != 0;
    }
    assert_int_equal(differ, 400);
}

/* What must hold of every single opening. */
static void opening_check(const syn_env *e, const syn_env_config *cfg, const syn_task_info *info)
{
    const uint32_t own = (uint32_t)((1ull << info->pieces) - 1), foreign = ~own;
    uint32_t team = 0;
    int sizes = 0;
    assert_true(e->agents >= cfg->agents_min && e->agents <= cfg->agents_max);
    for (int i = 0; i < e->agents; i++) {
        assert_int_equal(team & e->own[i], 0);
        team |= e->own[i];
        sizes += syn_popcount(e->own[i]);
        assert_int_equal(e->memory[i] & ~e->own[i], 0);
        int dealt = syn_popcount(e->own[i]);
        int read = cfg->read_limit && dealt > cfg->read_limit ? cfg->read_limit : dealt;
        assert_int_equal(syn_popcount(e->memory[i]), read);
    }
    const bool unanswerable = e->stratum == 2;
    assert_int_equal(team, e->present);
    assert_int_equal(sizes, info->pieces);
    assert_int_equal(syn_popcount(e->present & foreign), 1 + unanswerable);
    assert_int_equal(syn_popcount(own & ~info->gold & ~e->present), 1); /* one distractor left */
    assert_int_equal(syn_popcount(info->gold & ~e->present), unanswerable);
    assert_int_equal(e->gold, info->gold);
    assert_int_equal(e->claims, info->claims);
    assert_int_equal(e->turns_max, cfg->turns_max ? cfg->turns_max : 2 * info->pieces);
    assert_int_equal(e->last.kind, SYN_NO_ACTION);
    assert_true(e->changed == (1u << e->agents) - 1 && !e->done && e->turn == 0);
    if (cfg->goal == SYN_GOAL_CONSENSUS) return;
    assert_true(syn_popcount(e->own[0]) >= syn_popcount(info->gold));
    assert_int_equal((info->gold & ~e->own[0]) == 0, e->stratum == 0);
}

static void every_opening_keeps_its_stratum(void **state)
{
    syn_rng rng = test_rng(5);
    for (int n = 0; n < 60000; n++) {
        syn_env_config cfg = SYN_ENV_CONFIG_DEFAULT;
        int pieces = 2 + (int)syn_rng_below(&rng, n % 4 ? 6 : 27);
        int gold = 1 + (int)syn_rng_below(&rng, (uint32_t)(pieces > 5 ? 4 : pieces - 1));
        syn_task_info info = task_make(&rng, pieces, gold);
        cfg.goal = n % 3 == 0 ? SYN_GOAL_CONSENSUS : SYN_GOAL_ASKER;
        cfg.read_limit = n % 5 == 0 ? 2 : 0;
        if (n % 7 == 0) cfg.agents_max = 2;
        syn_env e;
        syn_env_reset(&e, &cfg, 0, &info, 11, (uint64_t)n);
        opening_check(&e, &cfg, &info);
    }
}

static bool near_share(int count, int all, double share)
{
    return fabs(count - share * all) < 4.5 * sqrt(all * share * (1 - share));
}

static void strata_and_team_sizes_have_their_shares(void **state)
{
    enum { EPISODES = 20000 };
    const double share[2][3] = {{.25, .60, .15}, {0, .75, .25}};
    syn_rng rng = test_rng(6);
    syn_task_info info = task_make(&rng, 10, 2);
    for (int goal = 0; goal < 2; goal++) {
        syn_env_config cfg = SYN_ENV_CONFIG_DEFAULT;
        int strata[3] = {0}, agents[SYN_AGENTS_MAX + 1] = {0};
        cfg.goal = goal;
        for (int n = 0; n < EPISODES; n++) {
            syn_env e;
            syn_env_reset(&e, &cfg, 0, &info, 12, (uint64_t)n);
            strata[e.stratum]++;
            agents[e.agents]++;
        }
        for (int k = 0; k < 3; k++)
            assert_true(share[goal][k] == 0 ? strata[k] == 0
                                            : near_share(strata[k], EPISODES, share[goal][k]));
        for (int n = 2; n <= SYN_AGENTS_MAX; n++)
            assert_true(near_share(agents[n], EPISODES, 1.0 / 9));
    }
}

static void a_wanted_stratum_is_always_drawn(void **state)
{
    syn_rng rng = test_rng(7);
    syn_task_info info = task_make(&rng, 10, 2);
    for (int n = 0; n < 300; n++) {
        syn_env_config cfg = SYN_ENV_CONFIG_DEFAULT;
        syn_env e;
        cfg.stratum = n % 3;
        syn_env_reset(&e, &cfg, 0, &info, 13, (uint64_t)n);
        assert_int_equal(e.stratum, n % 3);
    }
}

/* Area under the ROC curve of small integers by counting pairs. */
static double count_auroc(int with[][SYN_ROWS_MAX + 1])
{
    double wins = 0, pairs = 0;
    for (int a = 0; a <= SYN_ROWS_MAX; a++)
        for (int b = 0; b <= SYN_ROWS_MAX; b++) {
            double n = (double)with[1][a] * with[0][b];
            pairs += n;
            wins += a > b ? n : a == b ? n / 2 : 0;
        }
    return wins / pairs;
}

static void the_number_of_pieces_tells_nothing_about_the_gap(void **state)
{
    const int golds[] = {1, 2, 4}, sizes[] = {4, 10, 28};
    for (int g = 0; g < 3; g++)
        for (int k = g == 2; k < 3; k++) {
            syn_env_config cfg = SYN_ENV_CONFIG_DEFAULT;
            syn_rng rng = test_rng(8);
            syn_task_info info = task_make(&rng, sizes[k], golds[g]);
            int count[2][SYN_ROWS_MAX + 1] = {{0}};
            for (int n = 0; n < 20000; n++) {
                syn_env e;
                syn_env_reset(&e, &cfg, 0, &info, 14, (uint64_t)n);
                count[(e.gold & ~e.memory[0]) != 0][e.count[0]]++;
            }
            double auroc = count_auroc(count);
            if (fabs(auroc - 0.5) > 0.03)
                fail_msg("AUROC %.3f of the asker's count, %d pieces, %d gold", auroc, sizes[k],
                         golds[g]);
        }
}

/* In every stratum a gold piece stands anywhere in the asker's memory: its place says nothing. */
static void the_place_in_memory_tells_nothing_about_gold(void **state)
{
    syn_rng rng = test_rng(9);
    syn_task_info info = task_make(&rng, 10, 2);
    for (int stratum = 0; stratum < 3; stratum++) {
        syn_env_config cfg = SYN_ENV_CONFIG_DEFAULT;
        double sum = 0, square = 0, n = 0;
        cfg.stratum = stratum;
        for (int k = 0; k < 20000; k++) {
            syn_env e;
            syn_env_reset(&e, &cfg, 0, &info, 15, (uint64_t)k);
            for (int t = 0; t < e.count[0]; t++) {
                if (!(e.gold >> e.item[0][t] & 1)) continue;
                double place = t - (e.count[0] - 1) / 2.0; /* from the middle */
                sum += place;
                square += place * place;
                n++;
            }
        }
        if (fabs(sum / n) > 4.5 * sqrt(square / n / n))
            fail_msg("stratum %d: gold stands %.3f places from the middle on average", stratum,
                     sum / n);
    }
}

/* Who holds a piece does not depend on which piece it is, gold in the sufficient stratum apart. */
static void foreign_pieces_go_to_anybody(void **state)
{
    syn_env_config cfg = SYN_ENV_CONFIG_DEFAULT;
    syn_rng rng = test_rng(10);
    syn_task_info info = task_make(&rng, 10, 2);
    int foreign[2] = {0}, distractor[2] = {0}; /* held by another, by the asker */
    cfg.stratum = 1;
    cfg.agents_min = cfg.agents_max = 4;
    for (int k = 0; k < 20000; k++) {
        syn_env e;
        syn_env_reset(&e, &cfg, 0, &info, 16, (uint64_t)k);
        for (uint32_t left = e.present & ~e.gold; left; left &= left - 1) {
            int p = syn_lowest(left);
            (p >= 10 ? foreign : distractor)[e.own[0] >> p & 1]++;
        }
    }
    double share = (double)distractor[1] / (distractor[0] + distractor[1]);
    assert_true(near_share(foreign[1], foreign[0] + foreign[1], share));
}

/* The draws of tasks without groups are part of what makes a run reproducible. */
static void openings_without_groups_are_the_ones_they_always_were(void **state)
{
    uint64_t sum = 0xcbf29ce484222325ull;
    syn_rng rng = test_rng(77);
    for (int n = 0; n < 4000; n++) {
        syn_env_config cfg = SYN_ENV_CONFIG_DEFAULT;
        int pieces = 2 + (int)syn_rng_below(&rng, 27);
        syn_task_info info = {.pieces = pieces, .claims = syn_rng_u32(&rng)};
        int gold = 1 + (int)syn_rng_below(&rng, (uint32_t)(pieces > 5 ? 4 : pieces - 1));
        while (syn_popcount(info.gold) < gold)
            info.gold |= 1u << syn_rng_below(&rng, (uint32_t)pieces);
        cfg.goal = n % 3 == 0 ? SYN_GOAL_CONSENSUS : SYN_GOAL_ASKER;
        cfg.read_limit = n % 5 == 0 ? 2 : 0;
        syn_env e;
        syn_env_reset(&e, &cfg, 0, &info, 21, (uint64_t)n);
        uint32_t words[4 + 2 * SYN_AGENTS_MAX + SYN_ROWS_MAX] = {
            (uint32_t)e.agents, (uint32_t)e.stratum, e.present, e.gold};
        int at = 4;
        for (int i = 0; i < SYN_AGENTS_MAX; i++) {
            words[at++] = e.own[i];
            words[at++] = e.memory[i];
        }
        for (int i = 0; i < e.agents; i++)
            for (int t = 0; t < e.count[i]; t++) words[at++] = e.item[i][t];
        for (size_t w = 0; w < sizeof words / sizeof *words; w++)
            sum = (sum ^ words[w]) * 0x100000001b3ull;
    }
    assert_int_equal(sum, 0xb556e750ac9962af);
}

/* ---- Groups ---- */

/* Rows cut into `groups` groups of random sizes, the last `single` rows in none; gold within one or
 * two groups. */
static syn_task_info grouped_make(syn_rng *rng, int pieces, int groups, int single)
{
    syn_task_info info = {.pieces = pieces};
    const int rows = pieces - single;
    for (int p = 0; p < rows; p++)
        info.group[p < groups ? p : (int)syn_rng_below(rng, (uint32_t)groups)] |= 1u << p;
    const uint32_t one = info.group[syn_rng_below(rng, (uint32_t)groups)];
    info.gold = one & (syn_rng_u32(rng) | 1u << syn_lowest(one));
    if (syn_rng_below(rng, 4) == 0) info.gold |= 1u << syn_rng_below(rng, (uint32_t)rows);
    if (syn_popcount(info.gold) == pieces) info.gold &= info.gold - 1;
    return info;
}

/* What the removed rows have given place to, by the rows that are absent and foreign: a group keeps
 * its size, so every agent holds all or nothing of what is left of it. */
static void groups_check(const syn_env *e, const syn_task_info *info)
{
    const uint32_t own = (uint32_t)((1ull << info->pieces) - 1);
    for (int g = 0; g < SYN_GROUPS_MAX; g++) {
        const uint32_t rows = info->group[g] & e->present;
        int owner = -1;
        for (int i = 0; i < e->agents && rows; i++)
            if (e->own[i] & rows) {
                assert_int_equal(e->own[i] & rows, rows);
                assert_int_equal(owner, -1);
                owner = i;
            }
        /* Who holds the rest of a group holds what stands in for its absent rows, too. */
        const int absent = syn_popcount(info->group[g] & ~e->present);
        if (owner >= 0 && absent) assert_true(syn_popcount(e->own[owner] & ~own) >= 1);
    }
}

static void groups_are_dealt_whole_in_every_stratum(void **state)
{
    syn_rng rng = test_rng(21);
    int strata[3] = {0};
    for (int n = 0; n < 30000; n++) {
        syn_env_config cfg = SYN_ENV_CONFIG_DEFAULT;
        const int groups = 2 + (int)syn_rng_below(&rng, 6);
        const int single = n % 3 == 0 ? (int)syn_rng_below(&rng, 5) : 0;
        const int pieces =
            groups + single + (int)syn_rng_below(&rng, (uint32_t)(29 - groups - single));
        syn_task_info info = grouped_make(&rng, pieces, groups, single);
        cfg.goal = n % 7 == 0 ? SYN_GOAL_CONSENSUS : SYN_GOAL_ASKER;
        cfg.read_limit = n % 5 == 0 ? 2 : 0;
        syn_env e, again;
        syn_env_reset(&e, &cfg, 0, &info, 31, (uint64_t)n);
        syn_env_reset(&again, &cfg, 0, &info, 31, (uint64_t)n);
        assert_memory_equal(&e, &again, sizeof e);
        groups_check(&e, &info);
        uint32_t team = 0;
        for (int i = 0; i < e.agents; i++) {
            assert_int_equal(team & e.own[i], 0);
            team |= e.own[i];
        }
        assert_int_equal(team, e.present);
        assert_int_equal(syn_popcount(e.present), pieces);
        if (cfg.goal != SYN_GOAL_ASKER) continue;
        strata[e.stratum]++;
        assert_int_equal((info.gold & ~e.own[0]) == 0, e.stratum == 0);
        assert_int_equal((info.gold & ~team) == 0, e.stratum != 2);
    }
    assert_true(strata[0] && strata[1] && strata[2]);
}

static void a_task_that_is_one_group_is_dealt_too(void **state)
{
    syn_task_info info = {.gold = 3, .pieces = 6, .group = {63}};
    for (int n = 0; n < 300; n++) {
        syn_env_config cfg = SYN_ENV_CONFIG_DEFAULT;
        syn_env e;
        syn_env_reset(&e, &cfg, 0, &info, 32, (uint64_t)n);
        assert_int_equal((e.gold & ~e.own[0]) == 0, e.stratum == 0);
    }
}

/* How far the distributions of the asker's count with and without a gap are apart (total
 * variation), for a task of these groups. */
static double grouped_count_distance(const uint32_t *group, int groups, int pieces, uint32_t gold)
{
    syn_task_info info = {.gold = gold, .pieces = pieces};
    int count[2][SYN_ROWS_MAX + 1] = {{0}}, all[2] = {0};
    double distance = 0;
    memcpy(info.group, group, sizeof *group * (size_t)groups);
    for (int n = 0; n < 20000; n++) {
        syn_env_config cfg = SYN_ENV_CONFIG_DEFAULT;
        syn_env e;
        syn_env_reset(&e, &cfg, 0, &info, 33, (uint64_t)n);
        assert_true(e.count[0] > 0);
        const int gap = (e.gold & ~e.memory[0]) != 0;
        count[gap][e.count[0]]++;
        all[gap]++;
    }
    for (int c = 0; c <= SYN_ROWS_MAX; c++)
        distance += fabs((double)count[0][c] / all[0] - (double)count[1][c] / all[1]) / 2;
    return distance;
}

/* Groups of equal size leave no trace in the counts; nor do unequal ones that add up alike. */
static void the_number_of_pieces_tells_nothing_where_groups_can_be_matched(void **state)
{
    const uint32_t equal[] = {0x7, 0x38, 0x1c0, 0xe00}, sums[] = {0x0f, 0x30, 0xc0, 0xf00},
                   two[] = {0x1f, 0x3e0};
    const double distance[] = {
        grouped_count_distance(equal, 4, 12, 0x3), grouped_count_distance(equal, 4, 12, 0x9),
        grouped_count_distance(sums, 4, 12, 0x3), grouped_count_distance(two, 2, 10, 0x1f)};
    for (int k = 0; k < 4; k++) /* the third: as near as some draws come */
        if (distance[k] > (k == 2 ? 0.15 : 0.05))
            fail_msg("task %d: total variation %.3f", k, distance[k]);
}

/* Whether the asker holds the domain says nothing about whether its question can be answered. */
static void who_holds_the_gold_group_does_not_tell_unanswerable_episodes(void **state)
{
    const syn_task_info info = {.gold = 0x7, .pieces = 10, .group = {0x1f, 0x3e0}};
    int held[2][2] = {{0}};
    for (int n = 0; n < 20000; n++) {
        syn_env_config cfg = SYN_ENV_CONFIG_DEFAULT;
        syn_env e;
        syn_env_reset(&e, &cfg, 0, &info, 34, (uint64_t)n);
        held[e.stratum == 2][(e.own[0] & info.group[0]) != 0]++;
    }
    double share = (double)held[0][1] / (held[0][0] + held[0][1]);
    assert_true(near_share(held[1][1], held[1][0] + held[1][1], share));
}

/* ---- Batches ---- */

typedef struct batch {
    int64_t E;
    syn_env envs[33];
    syn_env_tally tally[33];
    uint64_t next[33];
    double reward_sum;
} batch;

static void batch_play(batch *b, const syn_env_config *cfg, const syn_env_source *src, int threads)
{
    syn_ctx ctx;
    float *rank = calloc(33 * RANKS, sizeof *rank);
    int32_t action[33];
    real reward[33];
    uint8_t done[33], mask[33 * SYN_ACTIONS_MAX];
    assert_non_null(rank);
    memset(b, 0, sizeof *b);
    b->E = 33;
    assert_ok(syn_ctx_init(&ctx, SYN_DEVICE_CPU, threads));
    assert_ok(syn_env_reset_batch(&ctx, b->E, b->envs, cfg, src, 100));
    for (int e = 0; e < b->E; e++) b->next[e] = (uint64_t)(100 + b->E + e);
    syn_rng rng = test_rng(11);
    for (int t = 0; t < 60; t++) {
        for (int k = 0; k < 33 * RANKS; k++) rank[k] = syn_rng_uniform(&rng);
        assert_ok(syn_env_mask_batch(&ctx, b->E, b->envs, mask));
        for (int e = 0; e < b->E; e++) {
            int a = (int)syn_rng_below(&rng, SYN_ACTIONS_MAX);
            action[e] = t % 9 == 8 ? ANSWER + e % 2 : mask[e * SYN_ACTIONS_MAX + a] ? a : 0;
        }
        assert_ok(syn_env_step_batch(&ctx, b->E, b->envs, cfg, src, action, rank, reward, done,
                                     b->tally, b->next, (uint64_t)b->E));
        for (int e = 0; e < b->E; e++) {
            b->reward_sum += (double)reward[e];
            assert_int_equal(done[e], b->envs[e].turn == 0);
        }
    }
    free(rank);
    syn_ctx_free(&ctx);
}

static void a_batch_starts_the_next_episode_in_place_and_counts_the_last(void **state)
{
    syn_env_config cfg = SYN_ENV_CONFIG_DEFAULT;
    syn_task_info info[6];
    int32_t record[3] = {0, 2, 1};
    syn_rng rng = test_rng(12);
    static batch one, two;
    for (int t = 0; t < 6; t++) info[t] = task_make(&rng, 5 + t / 2, 2);
    cfg.turns_max = 12;
    const syn_env_source src = {info, record, 3, 0.3f, 77, {0}};
    batch_play(&one, &cfg, &src, 1);
    batch_play(&two, &cfg, &src, 3);
    assert_memory_equal(one.envs, two.envs, sizeof one.envs);
    assert_memory_equal(one.tally, two.tally, sizeof one.tally);
    for (int e = 0; e < one.E; e++) {
        const syn_env_tally *t = &one.tally[e];
        syn_env expected;
        assert_true(t->episodes >= 6); /* one at least in nine turns */
        assert_int_equal(t->answerable + t->unanswerable, t->episodes);
        assert_true(t->ended <= t->episodes && t->abstained_right <= t->abstained);
        assert_int_equal(one.next[e], 100 + one.E * (1 + t->episodes) + e);
        syn_env_start(&expected, &cfg, &src, one.next[e] - (uint64_t)one.E);
        assert_int_equal(one.envs[e].own[0], expected.own[0]);
        assert_int_equal(one.envs[e].agents, expected.agents);
        assert_int_equal(one.envs[e].task, expected.task);
    }
}

static void episodes_come_from_the_listed_records_with_their_share_untitled(void **state)
{
    enum { EPISODES = 20000 };
    syn_env_config cfg = SYN_ENV_CONFIG_DEFAULT;
    syn_task_info info[20];
    int32_t record[3] = {1, 4, 9};
    int drawn[20] = {0}, untitled = 0;
    syn_rng rng = test_rng(13);
    for (int t = 0; t < 20; t++) info[t] = task_make(&rng, 6, 2);
    const syn_env_source src = {info, record, 3, 0.3f, 78, {0}};
    for (int n = 0; n < EPISODES; n++) {
        syn_env e;
        syn_env_start(&e, &cfg, &src, (uint64_t)n);
        drawn[e.task]++;
        untitled += e.task % 2;
    }
    assert_true(near_share(untitled, EPISODES, 0.3));
    for (int r = 0, k = 0; r < 10; r++) {
        bool listed = k < 3 && record[k] == r;
        int n = drawn[2 * r] + drawn[2 * r + 1];
        assert_true(listed ? near_share(n, EPISODES, 1.0 / 3) : n == 0);
        k += listed;
    }
}

static void teams_and_sources_that_cannot_be_are_refused(void **state)
{
    syn_ctx ctx;
    syn_env e;
    syn_env_config cfg = SYN_ENV_CONFIG_DEFAULT;
    syn_rng rng = test_rng(14);
    syn_task_info info[2] = {task_make(&rng, 6, 2), task_make(&rng, 6, 2)};
    int32_t record[1] = {0};
    syn_env_source src = {info, record, 0, 0, 1, {0}};
    assert_ok(syn_ctx_init(&ctx, SYN_DEVICE_CPU, 1));
    assert_int_equal(syn_env_reset_batch(&ctx, 1, &e, &cfg, &src, 0), SYN_ERR_INVALID);
    src.records = 1;
    assert_ok(syn_env_reset_batch(&ctx, 1, &e, &cfg, &src, 0));
    cfg.agents_min = 1;
    assert_int_equal(syn_env_reset_batch(&ctx, 1, &e, &cfg, &src, 0), SYN_ERR_INVALID);
    cfg.agents_min = 2;
    cfg.agents_max = 11;
    assert_int_equal(syn_env_reset_batch(&ctx, 1, &e, &cfg, &src, 0), SYN_ERR_INVALID);
    assert_non_null(strstr(syn_error_text(), "2 to 10 agents, not 2 to 11"));
    syn_ctx_free(&ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_flat_index_names_one_action_in_the_promised_order),
        cmocka_unit_test(ten_thousand_random_episodes_equal_the_slow_reference),
        cmocka_unit_test(every_cost_and_reward_is_taken_from_the_settings),
        cmocka_unit_test(the_potential_telescopes),
        cmocka_unit_test(a_reset_follows_from_seed_and_episode_alone),
        cmocka_unit_test(every_opening_keeps_its_stratum),
        cmocka_unit_test(strata_and_team_sizes_have_their_shares),
        cmocka_unit_test(a_wanted_stratum_is_always_drawn),
        cmocka_unit_test(the_number_of_pieces_tells_nothing_about_the_gap),
        cmocka_unit_test(the_place_in_memory_tells_nothing_about_gold),
        cmocka_unit_test(foreign_pieces_go_to_anybody),
        cmocka_unit_test(openings_without_groups_are_the_ones_they_always_were),
        cmocka_unit_test(groups_are_dealt_whole_in_every_stratum),
        cmocka_unit_test(a_task_that_is_one_group_is_dealt_too),
        cmocka_unit_test(the_number_of_pieces_tells_nothing_where_groups_can_be_matched),
        cmocka_unit_test(who_holds_the_gold_group_does_not_tell_unanswerable_episodes),
        cmocka_unit_test(a_batch_starts_the_next_episode_in_place_and_counts_the_last),
        cmocka_unit_test(episodes_come_from_the_listed_records_with_their_share_untitled),
        cmocka_unit_test(teams_and_sources_that_cannot_be_are_refused),
    };
    return cmocka_run_group_tests_name("test_env", tests, NULL, NULL);
}
