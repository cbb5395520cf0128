#!/usr/bin/env bash
# Five-fold figures on real records: every fold is pre-trained and trained on the others, evaluated on itself;
# predictions and episodes are pooled over the folds by benchmarks/folds.py, which prints the tables.
#
#   benchmarks/folds.sh DATA_DIR OUT_DIR [SEEDS] [JOBS]
#
# DATA_DIR holds hotpotqa/ and 2wikimultihopqa/ as published. SEEDS: "1 2 3". JOBS: how many folds at a time,
# each on one thread (default: one per core). Runs that are complete are not run again.
# GAP_ONLY=1 leaves out phase 2 and judges the gap detector alone.
# PRE names an OUT_DIR of an earlier run whose pre-trained checkpoints are used again (other PIECES or GOAL).
# Environment: PIECES (0: as it is), GOAL (asker), STEPS (300000), CROSS_FIT (4), EPISODES (4000), SYNCOG (the binary).
set -euo pipefail
data=$1 out=$2 seeds=${3:-1 2 3} jobs=${4:-$(nproc)}
here=$(cd "$(dirname "$0")/.." && pwd)
export SYNCOG=${SYNCOG:-$here/build/syncog} PIECES=${PIECES:-0} GOAL=${GOAL:-asker} STEPS=${STEPS:-300000}
export PRE=${PRE:-$out} GAP_ONLY=${GAP_ONLY:-} EPISODES=${EPISODES:-4000} CROSS_FIT=${CROSS_FIT:-4} OMP_WAIT_POLICY=passive
mkdir -p "$out"

prepare() { # NAME FORMAT FILE
    [ -s "$out/$1.h5" ] || "$SYNCOG" data prepare --format "$2" --input "$3" --out "$out/$1.h5"
}
prepare distractor hotpotqa "$data/hotpotqa/hotpot_dev_distractor_v1_subset.json"
prepare train hotpotqa "$data/hotpotqa/hotpot_train_v1.1_subset.json"
prepare fullwiki hotpotqa "$data/hotpotqa/hotpot_dev_fullwiki_v1_subset.json"
prepare 2wiki 2wiki "$data/2wikimultihopqa/dev_subset.json"

one() { # OUT SEED FOLD
    local out=$1 seed=$2 fold=$3 run=$1/seed$2-fold$3 pre=$PRE/seed$2-fold$3/pre
    [ -s "$run/2wiki.json" ] && return
    mkdir -p "$run"
    local common=(--folds 5 --fold "$fold" --threads 1 --pieces "$PIECES")
    local train=(--data "$out/distractor.h5" --data "$out/train.h5" --data "$out/fullwiki.h5" --data "$out/2wiki.h5")
    [ -s "$pre/manifest.json" ] || "$SYNCOG" pretrain "${train[@]}" "${common[@]}" --seed "$seed" --cross-fit "$CROSS_FIT" --out "$pre" \
        >"$run/pretrain.log" 2>&1 || return
    local model=$run/policy
    if [ -n "$GAP_ONLY" ]; then
        model=$pre
    elif [ ! -e "$run/train.done" ]; then
        "$SYNCOG" train "${train[@]}" "${common[@]}" --seed "$seed" --goal "$GOAL" --init "$pre" \
            --env-steps "$STEPS" --save-best-only --out "$run/policy" >"$run/train.log" 2>&1 || return
        touch "$run/train.done"
    fi
    for set in distractor 2wiki; do
        "$SYNCOG" eval --data "$out/$set.h5" "${common[@]}" --goal "$GOAL" --checkpoint "$model" \
            --seed $((100 * seed + fold)) --episodes "$EPISODES" --raw "$run/$set.jsonl" --json >"$run/$set.tmp" 2>"$run/eval.log" || return
        mv "$run/$set.tmp" "$run/$set.json"
    done
    echo "done: seed $seed fold $fold" >&2
}
export -f one
for seed in $seeds; do for fold in 0 1 2 3 4; do echo "$out $seed $fold"; done; done |
    xargs -P "$jobs" -L 1 bash -c \
        'one "$0" "$1" "$2" || { echo "failed: seed $1 fold $2, see the logs in $0/seed$1-fold$2" >&2; exit 1; }'
python3 "$here/benchmarks/folds.py" "$out"
