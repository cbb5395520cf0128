#include "datasets/raw_record.h"

void syn_raw_begin(syn_raw_record *r)
{
    r->id = r->question = (syn_slice){NULL, 0};
    r->type = SYN_TYPE_OTHER;
    r->hops = 0;
    r->answerable = true;
    r->fact_warning = r->generated = false;
    r->piece_count = r->sentence_count = r->fact_count = r->claim_count = 0;
}

bool syn_raw_piece_add(syn_json *j, syn_raw_record *r, syn_slice title)
{
    if (r->piece_count == SYN_RAW_PIECES_MAX)
        return syn_json_fault(j, j->at, "more than %d paragraphs in a record", SYN_RAW_PIECES_MAX);
    r->pieces[r->piece_count++] =
        (syn_raw_piece){.title = title, .sentence_first = r->sentence_count};
    return true;
}

bool syn_raw_sentence_add(syn_json *j, syn_raw_record *r, syn_slice text)
{
    if (r->sentence_count == SYN_RAW_SENTENCES_MAX)
        return syn_json_fault(j, j->at, "more than %d sentences in a record",
                              SYN_RAW_SENTENCES_MAX);
    r->sentences[r->sentence_count++] = text;
    r->pieces[r->piece_count - 1].sentence_count++;
    return true;
}

bool syn_raw_check(syn_json *j, const syn_raw_record *r, const char *start, const char *id_key)
{
    if (!r->id.bytes) return syn_json_fault(j, start, "the record has no \"%s\"", id_key);
    if (r->id.count < 1 || r->id.count > SYN_RAW_ID_MAX)
        return syn_json_fault(j, start, "\"%s\" has %zu bytes, 1 to %d are allowed", id_key,
                              r->id.count, SYN_RAW_ID_MAX);
    if (!r->question.bytes) return syn_json_fault(j, start, "the record has no \"question\"");
    return true;
}
