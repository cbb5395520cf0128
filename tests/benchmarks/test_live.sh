#!/usr/bin/env bash
# `syncog eval --benchmarks` as a user runs it: it is stopped, killed, goes on, and what it leaves can be read by
# report, compare, metrics and data export. $1 is the program.
set -euo pipefail
syncog=$(realpath "$1")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export SYNCOG_QUIET=1 OMP_WAIT_POLICY=passive
unset CHECKPOINT_DIR

fail() {
    echo "$1"
    exit 1
}
# expect CODE WORDS ARGUMENTS...: the exit code, and WORDS in what is printed.
expect() {
    local code=$1 words=$2 got=0
    shift 2
    "$syncog" "$@" >out 2>err || got=$?
    if [ "$got" != "$code" ] || ! grep -qF -- "$words" out err; then
        cat out err
        fail "syncog $*: exit $got, expected $code and \"$words\""
    fi
}

"$syncog" data synth --tasks 3000 --seed 3 --out many.json >/dev/null 2>&1
mkdir -p data/hotpotqa
"$syncog" data synth --tasks 40 --seed 4 --out data/hotpotqa/hotpot_dev_distractor_v1.json >/dev/null 2>&1

# Words.
expect 0 "self_consistency  the same agent" eval --benchmarks --help
expect 0 "syncog eval --benchmarks --help" eval --help
expect 0 '"limit": 200' eval --benchmarks hotpotqa --print-config
expect 2 "did you mean 'hotpotqa'?" eval --benchmarks hotpotq --output a.json
expect 2 "--output is missing" eval --benchmarks hotpotqa --data-dir data
expect 2 "--benchmark-data hotpotqa=PATH" eval --benchmarks hotpotqa --output a.json
expect 2 "is not NAME=PATH" eval --benchmarks hotpotqa --benchmark-data many.json --output a.json
expect 2 "did you mean 'learned'?" eval --benchmarks hotpotqa --data-dir data --policies learnd --output a.json
expect 2 "'1' is no number from 2 to 10" eval --benchmarks hotpotqa --data-dir data --num-agents 3,1 --output a.json
expect 2 "cannot be given together" eval --benchmarks hotpotqa --data-dir data --record a --replay b --output a.json
expect 0 '"policies": "learned,broadcast,round_robin,single,self_consistency"' eval --benchmarks hotpotqa --print-config
expect 0 "asker             the networks decide" eval --benchmarks --help
expect 1 "has no folder mmlu" eval --benchmarks hotpotqa,mmlu --data-dir data --output a.json
expect 1 "nowhere/a.records.jsonl: cannot be opened" \
    eval --benchmarks hotpotqa --data-dir data --output nowhere/a.json
[ ! -e a.json ] || fail "a refused run has left a file"

# A run over a folder, and what reads it.
expect 0 "a.json" eval --benchmarks hotpotqa --data-dir data --num-agents 3,4 --quick-eval --output a.json
grep -q "a cosine-threshold rule stands in" err
[ "$(wc -l <a.records.jsonl)" = $((40 * 5 * 2)) ] || fail "not every question was asked"
expect 0 "wrote a.html" report a.json --out a.html
grep -q "self_consistency" a.html
expect 0 "learned of A, broadcast of B" compare a.json a.json --policy learned --against broadcast
expect 0 "answers are in" data export --history a.records.jsonl --format instruction --out rows --min-score 0 \
    --min-confidence 0
expect 0 "a.json" eval --benchmarks hotpotqa --data-dir data --num-agents 3,4 --quick-eval --output a.json \
    --predictions predictions
expect 0 '"em"' metrics --benchmark hotpotqa --gold data/hotpotqa/hotpot_dev_distractor_v1.json --json \
    --predictions predictions/hotpotqa.learned.4.json
grep -qF "$(grep '"joint_f1"' out | grep -oE '0\.[0-9]+')" a.json || fail "the official figures differ"

# The asker is asked where it is named: the others' answers stay as they are.
cp a.records.jsonl before.records.jsonl
expect 0 "a.json" eval --benchmarks hotpotqa --data-dir data --num-agents 3,4 --quick-eval --output a.json \
    --predictions predictions --policies learned,broadcast,round_robin,asker,single,self_consistency
head -n $((40 * 5 * 2)) a.records.jsonl | cmp - before.records.jsonl || fail "answers were asked again"
[ "$(grep -c '"policy":"asker"' a.records.jsonl)" = $((40 * 2)) ] || fail "the asker was not asked"
[ "$(wc -l <a.records.jsonl)" = $((40 * 6 * 2)) ] || fail "more than the asker was asked"
expect 0 '"em"' metrics --benchmark hotpotqa --gold data/hotpotqa/hotpot_dev_distractor_v1.json --json \
    --predictions predictions/hotpotqa.asker.4.json
expect 0 "asker of A, single of B" compare a.json a.json --policy asker --against single
expect 0 "wrote a.html" report a.json --out a.html --markdown a.md --csv a.csv
grep -q "<th>asker</th><td>4</td>" a.html || fail "the page has no row of the asker"
grep -q "^| asker | 4 |" a.md || fail "the Markdown has no row of the asker"
grep -q "^benchmark,policy,.*,messages,calls,tokens," a.csv || fail "the CSV has no calls"
grep -q "^hotpotqa,asker,4," a.csv || fail "the CSV has no row of the asker"
expect 2 "(policies: there" eval --benchmarks hotpotqa --data-dir data --num-agents 3,4 --quick-eval --output a.json
expect 2 "(seed: there 1, here 9)" eval --benchmarks hotpotqa --data-dir data --num-agents 3,4 --seed 9 --output a.json

# SIGINT ends it within a second, kill -9 at any moment; then it goes on.
run=(eval --benchmarks hotpotqa --benchmark-data hotpotqa=many.json --num-agents 3 --limit 0 --output b.json)
begin() {
    "$syncog" "${run[@]}" >out 2>err &
    pid=$!
    for _ in $(seq 400); do
        [ -e b.records.jsonl ] && [ "$(wc -l <b.records.jsonl)" -gt "$1" ] && return
        kill -0 $pid 2>/dev/null || break
        sleep .02
    done
    cat err
    fail "the run has not come to $1 answers"
}
begin 50
kill -INT $pid
got=0
wait $pid || got=$?
[ $got = 130 ] || fail "SIGINT: exit $got"
grep -q "stopped by SIGINT; b.json says so" err || fail "SIGINT was not told: $(cat err)"
grep -q '"why": "stopped by SIGINT"' b.json
before=$(wc -l <b.records.jsonl)
[ "$before" -lt 15000 ] || fail "the run was over before it was stopped"

begin $((before + 50))
kill -9 $pid
wait $pid || true
grep -q '"why": "the run has not ended' b.json
printf '{"benchmark":"hotpotqa","id":"cut' >>b.records.jsonl
before=$(grep -c '^{.*}$' b.records.jsonl)

run+=(--policies learned,broadcast,round_robin,single,self_consistency --parallel 8)
begin $((before + 50))
kill -TERM $pid
wait $pid || true
key='s/^[{]"benchmark":"([^"]*)","id":"([^"]*)","policy":"([^"]*)","num_agents":([0-9]+),.*[}]$/\1 \2 \3 \4/'
grep -v '^{.*}$' b.records.jsonl && fail "a line is damaged"
[ -z "$(sed -E "$key" b.records.jsonl | sort | uniq -d)" ] || fail "an answer was asked twice"
[ "$(sed -E "$key" b.records.jsonl | grep -cE '^hotpotqa [^ ]+ [a-z_]+ 3$')" = "$(wc -l <b.records.jsonl)" ] ||
    fail "a line has no key"
