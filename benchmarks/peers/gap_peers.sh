#!/usr/bin/env bash
# Gap detectors of other kinds on our features, beside ours, on real records kept out (gap_peers.py says which).
#
#   python3 -m venv V && V/bin/pip install -r benchmarks/peers/requirements.txt
#   SEEDS=1 benchmarks/folds.sh DATA OUT gap                   # the checkpoints of five folds
#   benchmarks/peers/gap_peers.sh OUT STATES V/bin/python [SEED] [gap_peers.py's options]
#
# STATES receives 0.8 GB a fold; files that are there are not made again. SYNCOG: the program.
set -euo pipefail
if [ $# -lt 3 ]; then
    sed -n '2,8s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
out=$1 states=$2 python=$3 seed=${4:-1}
shift $(($# < 4 ? $# : 4))
here=$(cd "$(dirname "$0")" && pwd)
syncog=${SYNCOG:-$here/../../build/syncog}
export OMP_WAIT_POLICY=passive PYTHONDONTWRITEBYTECODE=1
data=(--data "$out/data/distractor.h5" --data "$out/data/train.h5" --data "$out/data/fullwiki.h5" --data "$out/data/2wiki.h5")

for fold in 0 1 2 3 4; do
    to=$states/fold$fold
    mkdir -p "$to"
    dump() { # NAME OPTIONS
        [ -s "$to/$1.h5" ] || "$syncog" states --folds 5 --fold "$fold" --threads 1 \
            --checkpoint "$out/pre/seed$seed-fold$fold" --out "$to/$1.h5" "${@:2}"
    }
    dump train "${data[@]}" --records train --draw training --count 16000 --seed 1
    dump train_cross "${data[@]}" --records train --draw training --count 16000 --seed 1 --cross-fitted
    dump validation "${data[@]}" --records validation --draw opening --count 3000 --seed 2
    for set in distractor 2wiki; do # the states that folds.sh has judged
        dump "$set" --data "$out/data/$set.h5" --count 4000 --seed $((100 * seed + fold))
    done
done
OMP_NUM_THREADS=1 "$python" "$here/gap_peers.py" "$states" "$@"
