/* The records of a JSON file, one at a time: a top-level list of objects, or objects one after the
 * other (JSON lines). Memory is bounded by the largest record, whatever the size of the file; a
 * record is at most SYN_RECORD_BYTES_MAX long. The stream only finds where a record ends; what is
 * inside is checked by json_read.h. */
#ifndef SYN_DATASETS_JSON_STREAM_H
#define SYN_DATASETS_JSON_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "datasets/json_read.h"
#include "kernels/base/status.h"

enum { SYN_RECORD_BYTES_MAX = 64 << 20 };

typedef struct syn_json_stream {
    const char *path; /* the caller's */
    int fd;
    int64_t file_bytes; /* 0: not known (a pipe) */
    int64_t read_bytes;
    void *digest; /* EVP_MD_CTX: SHA-256 of all bytes read */
    char *data;
    size_t data_max, begin, end; /* unread bytes */
    bool at_end, list, opened;
    int64_t records;      /* handed out so far */
    size_t record_bytes;  /* of the one handed out last, at data[begin] */
    int64_t line, column; /* of data[begin], from 1; columns count bytes */
} syn_json_stream;

/* Opens a file. Errors: SYN_ERR_IO, SYN_ERR_FORMAT (a folder). */
SYN_WARN_UNUSED syn_status syn_json_stream_open(syn_json_stream *s, const char *path);

/* The next record: *record points into the stream until the next call and has no bytes at the end
 * of the file. Errors name the file, line and column: SYN_ERR_FORMAT (an empty file, wrong top
 * level, text between records, cut off), SYN_ERR_LIMIT (a record too long), SYN_ERR_IO,
 * SYN_ERR_MEMORY. */
SYN_WARN_UNUSED syn_status syn_json_stream_next(syn_json_stream *s, syn_slice *record);

/* Turns the fault of a reader on the current record into the error sentence. */
syn_status syn_json_stream_fault(const syn_json_stream *s, const syn_json *j);

/* At the end of the file: its SHA-256 in hexadecimal. */
SYN_WARN_UNUSED syn_status syn_json_stream_sha256(syn_json_stream *s, char hex[65]);

/* Safe on a zeroed or failed stream. */
void syn_json_stream_close(syn_json_stream *s);

#endif
