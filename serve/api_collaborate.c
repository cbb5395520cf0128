#include "serve/api.h"
#include "serve/collaboration.h"

static void answer(void *context, const syn_collaboration_end *end)
{
    syn_visit *v = context;
    syn_collaboration *c = v->data;
    if (end->status == SYN_OK)
        syn_visit_text(v, 200, end->text, end->text_bytes);
    else
        syn_collaboration_refuse(v, end);
    syn_collaboration_free(c);
}

static void cancel(syn_http_request *request)
{
    syn_collaboration_cancel(syn_visit_of(request)->data);
}

void syn_api_collaborate(syn_visit *v)
{
    json_t *body;
    syn_collaboration *c;
    if (!syn_visit_object(v, &body)) return;
    const syn_collaboration_hooks hooks = {.done = answer, .context = v};
    const bool begun = syn_collaboration_start(v, body, &hooks, &c);
    json_decref(body);
    if (!begun) return;
    v->data = c;
    syn_http_drop_body(v->request);
    syn_http_on_cancel(v->request, cancel);
    if (syn_http_cancelled(v->request)) syn_collaboration_cancel(c);
}
