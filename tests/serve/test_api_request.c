/* The body of a collaboration: every field's default, range and fault. */
#include "tests/test.h"

#include "serve/api_request.h"

static syn_settings settings = {
    .agents_max = 10, .rounds_max = 20, .timeout_s = 300, .reply_tokens_max = 1024};
static syn_providers *providers;
static const syn_provider *extractive, *model;

static json_t *parsed(const char *text)
{
    json_error_t e;
    json_t *j = json_loads(text, JSON_REJECT_DUPLICATES, &e);
    if (!j) fail_msg("the test's own JSON: %s: %s", e.text, text);
    return j;
}

static void assert_refused(const char *text, const char *field, const char *message)
{
    json_t *body = parsed(text);
    syn_api_request r;
    syn_field_fault fault;
    if (syn_api_request_read(body, &settings, providers, model, &r, &fault))
        fail_msg("%s was taken", text);
    if (strcmp(fault.field, field) != 0 || !strstr(fault.message, message))
        fail_msg("%s: field \"%s\", message \"%s\"", text, fault.field, fault.message);
    json_decref(body);
}

typedef struct taken {
    json_t *body;
    syn_api_request r;
} taken;

static void take_by(taken *t, const char *text, const syn_provider *provider)
{
    syn_field_fault fault;
    t->body = parsed(text);
    if (!syn_api_request_read(t->body, &settings, providers, provider, &t->r, &fault))
        fail_msg("%s: %s: %s", text, fault.field, fault.message);
}

static void drop(taken *t)
{
    syn_api_request_free(&t->r);
    json_decref(t->body);
}

static void what_is_left_out_has_its_default(void **state)
{
    taken t;
    take_by(&t, "{\"query\": \"Who?\"}", model);
    const syn_round_config *c = &t.r.round;
    assert_string_equal(c->question, "Who?");
    assert_int_equal(c->agents, 3);
    assert_int_equal(c->rounds_max, 5);
    assert_int_equal(c->rounds_min, 0); /* min(2, max_rounds), by the round */
    assert_int_equal(c->task, SYN_TASK_QA);
    assert_true(c->temperature == .7 && c->convergence_threshold == .85);
    assert_true(c->cognitive_gaps);
    assert_int_equal(c->ask, SYN_ASK_ALL);
    assert_int_equal(c->document_count, 0);
    assert_true(c->timeout_s == 300);
    assert_int_equal(c->reply_tokens_max, 1024);
    assert_true(c->messages_cap == 0 && c->tokens_cap == 0 && c->cost_cap_usd == 0);
    assert_null(t.r.session_id);
    assert_null(t.r.aggregator.provider);
    for (int i = 0; i < 3; i++) {
        assert_ptr_equal(t.r.agent[i].provider, model);
        assert_null(t.r.agent[i].model);
    }
    drop(&t);
}

static void everything_that_may_be_said_is_heard(void **state)
{
    taken t;
    take_by(&t,
            "{\"query\": \"Who?\", \"max_rounds\": 7, \"task_type\": \"reasoning\","
            " \"context\": \"Background\", \"session_id\": \"dialogue-1.a:b_c\","
            " \"config\": {\"temperature\": 0, \"enable_cognitive_gaps\": false,"
            "  \"convergence_threshold\": 1, \"min_rounds\": 7, \"max_context_length\": 100,"
            "  \"ask\": \"asker\"},"
            " \"agents\": [{\"name\": \"Ada\", \"role\": \"critic\", \"context\": \"own\"},"
            "  {\"provider\": \"extractive\"}, {\"provider\": \"custom\", \"model\": \"x/y:free\"},"
            "  {\"model\": \"custom:z\"}],"
            " \"documents\": [{\"id\": \"a\", \"title\": \"T\", \"text\": \"words\","
            "  \"agents\": [1, 3]}, {\"text\": \"more\"}],"
            " \"caps\": {\"messages\": 5, \"tokens\": 1000, \"cost_usd\": 0.5}}",
            model);
    const syn_round_config *c = &t.r.round;
    assert_int_equal(c->agents, 4); /* as many as are listed */
    assert_int_equal(c->rounds_max, 7);
    assert_int_equal(c->rounds_min, 7);
    assert_int_equal(c->task, SYN_TASK_REASONING);
    assert_string_equal(c->context, "Background");
    assert_true(c->temperature == 0 && c->convergence_threshold == 1 && !c->cognitive_gaps);
    assert_int_equal(c->context_bytes_max, 100);
    assert_int_equal(c->ask, SYN_ASK_ASKER);
    assert_string_equal(c->agent[0].name, "Ada");
    assert_string_equal(c->agent[0].role, "critic");
    assert_string_equal(c->agent[0].context, "own");
    assert_ptr_equal(t.r.agent[1].provider, extractive);
    assert_string_equal(t.r.agent[2].model, "x/y:free");
    assert_string_equal(t.r.agent[3].model, "z");
    assert_int_equal(c->document_count, 2);
    assert_int_equal(c->documents[0].agents, 5);
    assert_int_equal(c->documents[1].agents, 0);
    assert_string_equal(c->documents[1].text, "more");
    assert_int_equal(c->messages_cap, 5);
    assert_int_equal(c->tokens_cap, 1000);
    assert_true(c->cost_cap_usd == .5);
    assert_string_equal(t.r.session_id, "dialogue-1.a:b_c");
    drop(&t);
    take_by(&t, "{\"query\": \"Who?\", \"num_agents\": null, \"config\": null}", model);
    assert_int_equal(t.r.round.agents, 3); /* null is nothing said */
    drop(&t);
}

static void each_fault_names_its_field(void **state)
{
    static const char *const cases[][3] = {
        {"{}", "query", "required"},
        {"{\"query\": \" \\n\"}", "query", "empty"},
        {"{\"query\": 3}", "query", "text"},
        {"{\"query\": null}", "query", "required"},
        {"{\"query\": \"q\", \"num_agent\": 3}", "num_agent", "did you mean num_agents?"},
        {"{\"query\": \"q\", \"zebra\": 3}", "zebra", "unknown field"},
        {"{\"query\": \"q\", \"<script>\": 3}", "body", "unknown field"},
        {"{\"query\": \"q\", \"\": 3}", "body", "unknown field"},
        {"{\"query\": \"q\", \"num_agents\": 1}", "num_agents", "2 to 10"},
        {"{\"query\": \"q\", \"num_agents\": 11}", "num_agents", "2 to 10"},
        {"{\"query\": \"q\", \"num_agents\": -1}", "num_agents", "2 to 10"},
        {"{\"query\": \"q\", \"num_agents\": 9223372036854775807}", "num_agents", "2 to 10"},
        {"{\"query\": \"q\", \"num_agents\": 3.5}", "num_agents", "whole"},
        {"{\"query\": \"q\", \"num_agents\": \"3\"}", "num_agents", "whole"},
        {"{\"query\": \"q\", \"num_agents\": true}", "num_agents", "whole"},
        {"{\"query\": \"q\", \"max_rounds\": 0}", "max_rounds", "1 to 20"},
        {"{\"query\": \"q\", \"max_rounds\": 21}", "max_rounds", "1 to 20"},
        {"{\"query\": \"q\", \"task_type\": \"poem\"}", "task_type", "explanation"},
        {"{\"query\": \"q\", \"task_type\": 1}", "task_type", "qa"},
        {"{\"query\": \"q\", \"context\": []}", "context", "text"},
        {"{\"query\": \"q\", \"session_id\": \"\"}", "session_id", "letters"},
        {"{\"query\": \"q\", \"session_id\": \"a b\"}", "session_id", "letters"},
        {"{\"query\": \"q\", \"session_id\": \"../../etc\"}", "session_id", "letters"},
        {"{\"query\": \"q\", \"config\": []}", "config", "object"},
        {"{\"query\": \"q\", \"config\": {\"temperature\": 2.1}}", "config.temperature", "0 to 2"},
        {"{\"query\": \"q\", \"config\": {\"temperature\": -0.1}}", "config.temperature", "0 to 2"},
        {"{\"query\": \"q\", \"config\": {\"temperature\": \"hot\"}}", "config.temperature",
         "number"},
        {"{\"query\": \"q\", \"config\": {\"temprature\": 1}}", "config.temprature",
         "did you mean temperature?"},
        {"{\"query\": \"q\", \"config\": {\"enable_cognitive_gaps\": 1}}",
         "config.enable_cognitive_gaps", "true or false"},
        {"{\"query\": \"q\", \"config\": {\"convergence_threshold\": 1.5}}",
         "config.convergence_threshold", "0 to 1"},
        {"{\"query\": \"q\", \"config\": {\"min_rounds\": 0}}", "config.min_rounds", "1 to 5"},
        {"{\"query\": \"q\", \"max_rounds\": 2, \"config\": {\"min_rounds\": 3}}",
         "config.min_rounds", "1 to 2"},
        {"{\"query\": \"q\", \"config\": {\"ask\": \"some\"}}", "config.ask", "asker"},
        {"{\"query\": \"q\", \"config\": {\"ask\": \"asker\"}}", "config.ask", "documents"},
        {"{\"query\": \"q\", \"config\": {\"max_context_length\": 0}}", "config.max_context_length",
         "1 to"},
        {"{\"query\": \"q\", \"agents\": {}}", "agents", "list"},
        {"{\"query\": \"q\", \"agents\": []}", "agents", "2 to 10"},
        {"{\"query\": \"q\", \"agents\": [{}]}", "agents", "2 to 10"},
        {"{\"query\": \"q\", \"num_agents\": 3, \"agents\": [{}, {}]}", "agents",
         "2 elements, and num_agents is 3"},
        {"{\"query\": \"q\", \"agents\": [{}, 7]}", "agents[1]", "object"},
        {"{\"query\": \"q\", \"agents\": [{}, {\"nmae\": \"x\"}]}", "agents[1].nmae",
         "did you mean name?"},
        {"{\"query\": \"q\", \"agents\": [{\"name\": \"a\\nb\"}, {}]}", "agents[0].name",
         "control"},
        {"{\"query\": \"q\", \"agents\": [{\"provider\": \"nobody\"}, {}]}", "agents[0].provider",
         "not configured"},
        {"{\"query\": \"q\", \"agents\": [{\"provider\": \"anthropic\"}, {}]}",
         "agents[0].provider", "no key"},
        {"{\"query\": \"q\", \"agents\": [{}, {\"model\": \"anthropic:claude\"}]}",
         "agents[1].model", "no key"},
        {"{\"query\": \"q\", \"agents\": [{}, {\"provider\": \"extractive\", \"model\": \"x\"}]}",
         "agents[1].model", "none"},
        {"{\"query\": \"q\", \"agents\": [{}, {\"provider\": \"http://10.0.0.1/\"}]}",
         "agents[1].provider", "not configured"},
        {"{\"query\": \"q\", \"agents\": [{}, {\"base_url\": \"http://10.0.0.1/\"}]}",
         "agents[1].base_url", "unknown field"},
        {"{\"query\": \"q\", \"documents\": \"x\"}", "documents", "list"},
        {"{\"query\": \"q\", \"documents\": [\"x\"]}", "documents[0]", "object"},
        {"{\"query\": \"q\", \"documents\": [{}]}", "documents[0].text", "required"},
        {"{\"query\": \"q\", \"documents\": [{\"text\": \"\"}]}", "documents[0].text", "empty"},
        {"{\"query\": \"q\", \"documents\": [{\"text\": \"t\", \"agents\": []}]}",
         "documents[0].agents", "empty"},
        {"{\"query\": \"q\", \"documents\": [{\"text\": \"t\", \"agents\": [4]}]}",
         "documents[0].agents", "1 to 3"},
        {"{\"query\": \"q\", \"documents\": [{\"text\": \"t\", \"agents\": [0]}]}",
         "documents[0].agents", "1 to 3"},
        {"{\"query\": \"q\", \"documents\": [{\"text\": \"t\", \"agents\": [1.5]}]}",
         "documents[0].agents", "1 to 3"},
        {"{\"query\": \"q\", \"documents\": [{\"text\": \"t\", \"url\": \"u\"}]}",
         "documents[0].url", "unknown field"},
        {"{\"query\": \"q\", \"caps\": {\"messages\": 0}}", "caps.messages", "1 to"},
        {"{\"query\": \"q\", \"caps\": {\"tokens\": -5}}", "caps.tokens", "1 to"},
        {"{\"query\": \"q\", \"caps\": {\"cost_usd\": 0}}", "caps.cost_usd", "number"},
        {"{\"query\": \"q\", \"caps\": {\"dollars\": 1}}", "caps.dollars", "unknown field"},
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++)
        assert_refused(cases[k][0], cases[k][1], cases[k][2]);
    json_t *list = json_array();
    syn_api_request r;
    syn_field_fault fault;
    assert_false(syn_api_request_read(list, &settings, providers, model, &r, &fault));
    assert_string_equal(fault.field, "body");
    json_decref(list);
}

static void texts_have_limits(void **state)
{
    static char text[SYN_ROUND_QUESTION_BYTES_MAX + 2];
    memset(text, 'a', sizeof text - 1);
    syn_api_request r;
    syn_field_fault fault;
    json_t *body = json_pack("{s:s}", "query", text);
    assert_false(syn_api_request_read(body, &settings, providers, model, &r, &fault));
    assert_string_equal(fault.field, "query");
    assert_string_equal(fault.message, "is longer than 32768 bytes");
    json_decref(body);
    body = json_pack("{s:s}", "query", text + 1);
    assert_true(syn_api_request_read(body, &settings, providers, model, &r, &fault));
    syn_api_request_free(&r);
    json_decref(body);

    json_t *documents = json_array();
    for (int k = 0; k <= SYN_ROUND_DOCUMENTS_MAX; k++)
        json_array_append_new(documents, json_pack("{s:s}", "text", "t"));
    body = json_pack("{s:s, s:o}", "query", "q", "documents", documents);
    assert_false(syn_api_request_read(body, &settings, providers, model, &r, &fault));
    assert_string_equal(fault.field, "documents");
    json_decref(body);
}

static void the_servers_own_limits_are_kept(void **state)
{
    settings.agents_max = 2;
    settings.rounds_max = 3;
    taken t;
    take_by(&t, "{\"query\": \"q\"}", model);
    assert_int_equal(t.r.round.agents, 2);
    assert_int_equal(t.r.round.rounds_max, 3);
    drop(&t);
    assert_refused("{\"query\": \"q\", \"num_agents\": 3}", "num_agents", "2 to 2");
    assert_refused("{\"query\": \"q\", \"max_rounds\": 4}", "max_rounds", "1 to 3");
    assert_refused("{\"query\": \"q\", \"agents\": [{}, {}, {}]}", "agents", "2 to 2");
    settings.agents_max = 10;
    settings.rounds_max = 20;
}

/* They read documents alone: a context becomes one, and without either there is nothing to say. */
static void extractive_agents_need_something_to_read(void **state)
{
    json_t *body = parsed("{\"query\": \"q\", \"context\": \"  \"}");
    syn_api_request r;
    syn_field_fault fault;
    assert_false(syn_api_request_read(body, &settings, providers, extractive, &r, &fault));
    assert_string_equal(fault.field, "documents");
    assert_non_null(strstr(fault.message, "Either send them, or configure a provider"));
    json_decref(body);
    taken t;
    take_by(&t, "{\"query\": \"q\", \"context\": \"c\"}", extractive);
    assert_int_equal(t.r.round.document_count, 1);
    assert_string_equal(t.r.round.documents[0].text, "c");
    assert_int_equal(t.r.round.documents[0].agents, 7);
    drop(&t);
    take_by(&t, "{\"query\": \"q\", \"agents\": [{}, {\"context\": \"own\"}]}", extractive);
    assert_int_equal(t.r.round.document_count, 1);
    assert_int_equal(t.r.round.documents[0].agents, 2);
    drop(&t);
    take_by(&t, "{\"query\": \"q\", \"agents\": [{\"provider\": \"custom\"}, {}]}", extractive);
    assert_int_equal(t.r.round.document_count, 0); /* a model is among them */
    drop(&t);
}

static void the_aggregator_is_the_servers_choice(void **state)
{
    taken t;
    settings.aggregator_model = "custom:big";
    take_by(&t, "{\"query\": \"q\", \"documents\": [{\"text\": \"t\"}]}", extractive);
    assert_ptr_equal(t.r.aggregator.provider, model);
    assert_string_equal(t.r.aggregator.model, "big");
    drop(&t);
    settings.aggregator_model = "anthropic:claude"; /* no key: the asker writes */
    take_by(&t, "{\"query\": \"q\"}", model);
    assert_null(t.r.aggregator.provider);
    drop(&t);
    settings.aggregator_model = NULL;
}

static int start(void **state)
{
    unsetenv("ANTHROPIC_API_KEY");
    const syn_providers_options o = {.base_url = "http://127.0.0.1:9/v1", .model = "m"};
    if (syn_providers_open(&o, &providers) != SYN_OK) return 1;
    extractive = syn_providers_find(providers, "extractive");
    model = syn_providers_find(providers, "custom");
    return !extractive || !model || !model->ready;
}

static int stop(void **state)
{
    syn_providers_close(providers);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_left_out_has_its_default),
        cmocka_unit_test(everything_that_may_be_said_is_heard),
        cmocka_unit_test(each_fault_names_its_field),
        cmocka_unit_test(texts_have_limits),
        cmocka_unit_test(the_servers_own_limits_are_kept),
        cmocka_unit_test(extractive_agents_need_something_to_read),
        cmocka_unit_test(the_aggregator_is_the_servers_choice),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
