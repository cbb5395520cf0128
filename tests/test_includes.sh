#!/usr/bin/env bash
# Who may include whom:
#   kernels/base <- kernels <- engine <- {datasets, checkpoints} <- {trainer, serve} <- benchmarks, syncog.c
# Folders between braces never meet, includes are relative to the root, and a library of the outside
# world is included in its one place. The check is proved on planted files before it is used.
set -euo pipefail

# Prints one line per wrong-way include below the folder $1.
wrong_includes() {
    (
        cd "$1"
        find kernels engine datasets checkpoints trainer serve benchmarks syncog.c -type f \
            \( -name '*.c' -o -name '*.h' -o -name '*.cu' -o -name '*.cuh' \) 2>/dev/null |
            sort | xargs -r grep -nHE '^[[:space:]]*#[[:space:]]*include' || true
    ) | awk '
    function level(path) {
        if (path ~ /^kernels\/base\//) return 0
        if (path ~ /^kernels\//) return 1
        if (path ~ /^engine\//) return 2
        if (path ~ /^(datasets|checkpoints)\//) return 3
        if (path ~ /^(trainer|serve)\//) return 4
        if (path ~ /^(benchmarks\/|syncog\.c$)/) return 5
        return -1
    }
    function folder(path) { sub(/\/.*/, "", path); return path }
    function wrong(why) { print file ":" line ": includes " header ": " why }
    {
        split($0, part, ":"); file = part[1]; line = part[2]
        quoted = $0 ~ /include[[:space:]]*"/
        header = $0
        sub(/^[^"<]*["<]/, "", header); sub(/[">].*$/, "", header)
        if (header ~ /(^|\/)curl\// && file !~ /^serve\/llm_([^\/]*\.c|lanes\.h)$/)
            wrong("curl belongs to serve/llm_*.c and llm_lanes.h")
        if (header ~ /(^|\/)llhttp\.h$/ && file !~ /^serve\/http_[^\/]*$/)
            wrong("llhttp belongs to serve/http_*")
        if (header ~ /(^|\/)(hdf5|H5[A-Za-z]*public)(_hl)?\.h$/ && file !~ /^(datasets|checkpoints)\//)
            wrong("HDF5 belongs to datasets/ and checkpoints/")
        if (header ~ /(^|\/)(nccl|mpi)\.h$/ && file !~ /^(trainer\/dist_[^\/]*\.cu?$|tests\/emulator\/|benchmarks\/peers\/)/)
            wrong("NCCL and MPI belong to trainer/dist_*")
        if (header ~ /(^|\/)zip\.h$/ && file != "datasets/archive.c")
            wrong("libzip belongs to datasets/archive.c")
        if (header ~ /(^|\/)sqlite3\.h$/ && file != "serve/store_sqlite.c")
            wrong("SQLite belongs to serve/store_sqlite.c")
        if (header ~ /(^|\/)libpq-fe\.h$/ && file != "serve/store_postgres.c")
            wrong("libpq belongs to serve/store_postgres.c")
        if (header ~ /(^|\/)hiredis\// && file != "serve/limits_redis.c")
            wrong("hiredis belongs to serve/limits_redis.c")
        if (header ~ /^tests\//) wrong("the product includes no test")
        if (!quoted) next
        to = level(header); from = level(file)
        if (to < 0) { wrong("not relative to the root"); next }
        if (to > from || (to == from && folder(header) != folder(file))) wrong("the wrong way")
    }'
}

self_check() {
    local tree found
    tree=$(mktemp -d)
    trap "rm -rf '$tree'" EXIT
    mkdir -p "$tree"/{kernels/base,engine,datasets,checkpoints,trainer,serve,benchmarks}
    plant() { # file, include, whether it is wrong
        rm -f "$tree"/*/*.c "$tree"/kernels/base/*.c "$tree"/*.c
        echo "#include $2" >"$tree/$1"
        found=$(wrong_includes "$tree")
        if [ "$3" = wrong ] && [ -z "$found" ]; then
            echo "the check is blind: $1 may include $2"
            exit 1
        fi
        if [ "$3" = right ] && [ -n "$found" ]; then
            echo "the check is too strict: $found"
            exit 1
        fi
    }
    plant kernels/base/a.c '"kernels/lstm.h"' wrong
    plant kernels/a.c '"engine/model.h"' wrong
    plant engine/a.c '"datasets/dataset.h"' wrong
    plant datasets/a.c '"checkpoints/checkpoint.h"' wrong
    plant checkpoints/a.c '"trainer/ppo.h"' wrong
    plant trainer/a.c '"serve/round.h"' wrong
    plant serve/a.c '"trainer/ppo.h"' wrong
    plant trainer/a.c '"benchmarks/eval.h"' wrong
    plant trainer/a.c '"ppo.h"' wrong
    plant trainer/a.c '"../kernels/lstm.h"' wrong
    plant trainer/a.c '"tests/test.h"' wrong
    plant serve/http.c '<curl/curl.h>' wrong
    plant serve/llm_curl.c '<llhttp/llhttp.h>' wrong
    plant serve/http_parse.c '<llhttp/llhttp.h>' right
    plant serve/store.c '<sqlite3.h>' wrong
    plant serve/store_sqlite.c '<sqlite3.h>' right
    plant serve/store.c '<libpq-fe.h>' wrong
    plant serve/limits.c '<hiredis/hiredis.h>' wrong
    plant datasets/files.c '<zip.h>' wrong
    plant trainer/a.c '<hdf5.h>' wrong
    plant trainer/a.c '<mpi.h>' wrong
    plant trainer/dist_mpi.c '<mpi.h>' right
    plant syncog.c '<hdf5.h>' wrong
    plant syncog.c '"trainer/train.h"' right
    plant benchmarks/a.c '"serve/round.h"' right
    plant kernels/a.c '"kernels/base/ctx.h"' right
    plant datasets/a.c '<hdf5.h>' right
    plant serve/llm_openai.c '<curl/curl.h>' right
}

self_check
found=$(wrong_includes "$(dirname "$0")/..")
if [ -n "$found" ]; then
    echo "$found"
    exit 1
fi
