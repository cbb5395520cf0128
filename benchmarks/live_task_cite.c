/* What an answer rests on, as the data set counts it. */
#include <string.h>

#include "benchmarks/live_task_private.h"
#include "serve/aggregate.h"

void syn_live_answer_of(const syn_round_reply *reply, syn_live_piece cited[SYN_TEAM_ITEMS_MAX],
                        syn_live_answer *out)
{
    const syn_team *team = reply->team;
    uint64_t items = 0;
    bool spoken = false;
    for (int i = 0; i < reply->agents; i++) {
        const syn_answer *a = &reply->answers[i];
        if (!a->given || !syn_same_answer(a->short_text, reply->short_answer)) continue;
        items |= a->support;
        spoken = true;
    }
    if (!spoken && reply->answers[0].given) items = reply->answers[0].support;
    *out = (syn_live_answer){.answer = reply->final_answer,
                             .short_answer = reply->short_answer,
                             .abstained = reply->abstained || syn_no_answer(reply->short_answer),
                             .cited = cited};
    for (int k = 0; !reply->abstained && k < team->item_count; k++)
        if (items >> k & 1)
            cited[out->cited_count++] = (syn_live_piece){team->items[k].title, team->items[k].text};
}

/* Where the piece stands in the documents: in one of its title first, else in any. */
static int find_document(const syn_question *q, const syn_live_piece *piece, size_t *at)
{
    const char *title = piece->title ? piece->title : "";
    for (int any = 0; any < 2; any++)
        for (int k = 0; k < q->document_count; k++) {
            if (!any && strcmp(q->documents[k].title, title)) continue;
            const char *found = strstr(q->documents[k].text, piece->text);
            if (!found) continue;
            *at = (size_t)(found - q->documents[k].text);
            return k;
        }
    return -1;
}

void syn_live_cited_sentences(const syn_question *q, const syn_live_answer *a, bool *cited)
{
    for (int c = 0; c < a->cited_count; c++) {
        size_t at, begin = 0;
        const size_t bytes = a->cited[c].text ? strlen(a->cited[c].text) : 0;
        const int found = bytes ? find_document(q, &a->cited[c], &at) : -1;
        if (found < 0) continue;
        bool *sentence = cited;
        for (int k = 0; k < found; k++) sentence += q->documents[k].sentence_count;
        const syn_question_document *d = &q->documents[found];
        for (int s = 0; s < d->sentence_count; s++) {
            const size_t end = begin + strlen(d->sentences[s]);
            sentence[s] |= begin < at + bytes && at < end;
            begin = end;
        }
    }
}
