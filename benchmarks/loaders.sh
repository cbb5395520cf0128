#!/usr/bin/env bash
# Speed and memory of `syncog data prepare` on a large file.
#
#   benchmarks/loaders.sh [PROGRAM] [MEGABYTES]      defaults: build/syncog 1024
#
# Writes synthetic records, repeats them under other ids until the file is large, prepares it with at
# most 512 MB of address space, and loads the cache. Where others use the machine, the time of one
# core says more than the clock. Exit code 1 when that does not suffice.
set -euo pipefail

program=$(realpath "${1:-build/syncog}")
megabytes=${2:-1024}
limit_kib=$((512 * 1024))
folder=$(mktemp -d "${TMPDIR:-/tmp}/syncog-loaders-XXXXXX")
trap 'rm -rf "$folder"' EXIT
export SYNCOG_QUIET=1

"$program" data synth --tasks 5000 --seed 1 --out "$folder/part.json"
# One record a line, without the list's brackets; ids get the number of the copy.
sed -e '1s/^\[//' -e '$s/\]$//' -e 's/^,//' -e 's/,$//' "$folder/part.json" | grep '^{' >"$folder/part.jsonl"
part_bytes=$(stat -c %s "$folder/part.jsonl")
copies=$((megabytes * 1048576 / part_bytes + 1))
for ((i = 0; i < copies; i++)); do
    sed "s/\"_id\": *\"/&$i-/" "$folder/part.jsonl"
done >"$folder/large.jsonl"
rm "$folder/part.json" "$folder/part.jsonl"

bytes=$(stat -c %s "$folder/large.jsonl")
start=$(date +%s.%N)
(ulimit -v "$limit_kib" && "$program" data prepare --format hotpotqa \
    --input "$folder/large.jsonl" --out "$folder/large.h5" && times >"$folder/times")
middle=$(date +%s.%N)
"$program" data info "$folder/large.h5" --json >"$folder/info.json"
end=$(date +%s.%N)

awk -v b="$bytes" -v c="$(stat -c %s "$folder/large.h5")" -v s="$start" -v m="$middle" -v e="$end" \
    -v kib="$limit_kib" -v cpu="$(tail -n 1 "$folder/times")" 'BEGIN {
    split(cpu, part, /[ms ]+/) # 0m1.234s 0m0.567s
    user = 60 * part[1] + part[2]
    system_s = 60 * part[3] + part[4]
    used = user + system_s
    printf "prepare  %.0f MB in %.1f s, %.0f MB/s, within %d MB of address space\n",
           b / 1e6, m - s, b / 1e6 / (m - s), kib / 1024
    printf "         %.1f s of one core (%.1f user, %.1f system), %.0f MB/s of it\n",
           used, user, system_s, b / 1e6 / used
    printf "load     %.0f MB in %.2f s\n", c / 1e6, e - m }'
