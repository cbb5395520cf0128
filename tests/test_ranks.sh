#!/usr/bin/env bash
# Several ranks under mpirun: sums, failures, and 'syncog train'. $1 is the program; beside it lies
# the worker of tests/trainer/test_dist.c. Prints one line per test, and what failed.
set -uo pipefail
program=$(realpath "$1")
worker=$(dirname "$program")/trainer_test_dist
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
failures=0

# Root, and more ranks than cores, as options of Open MPI that other launchers do not know.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_hwloc_base_binding_policy=none
export OMP_WAIT_POLICY=passive SYNCOG_QUIET=1
# What MPI leaks and locks is not ours; our side is checked without it by tests/trainer/test_dist.c.
export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0
for library in libmpi libopen- libpmix libevent mca_; do
    printf '%s:'"$library"'\n' race deadlock signal thread mutex
done >"$folder/suppressions"
export TSAN_OPTIONS=${TSAN_OPTIONS:+$TSAN_OPTIONS:}suppressions=$folder/suppressions

command -v mpirun >/dev/null || { echo "no mpirun on this machine"; exit 77; }
[ -x "$worker" ] || { echo "$worker is not built"; exit 77; }
timeout 60 mpirun -np 2 "$worker" worker id auto - 30 >"$folder/out" 2>&1 ||
    { grep -q 'this build has no MPI' "$folder/out" && echo "this build has no MPI" && exit 77; }

# check NAME COMMAND...: the test passed when the command says so.
check() {
    local name=$1
    shift
    if "$@" >"$folder/why" 2>&1; then
        echo "[       OK ] $name"
    else
        echo "[  FAILED  ] $name"
        cat "$folder/why"
        failures=$((failures + 1))
    fi
}

# ranks N CASE TIMEOUT_S [WHO [SECONDS [FOLDER]]]: one run of the worker; output in $folder/out.
ranks() {
    local size=$1 name=$2 timeout_s=$3
    shift 3
    timeout 60 mpirun -np "$size" "$worker" worker "$name" auto - "$timeout_s" "$@" \
        >"$folder/out" 2>&1
}

# The run failed, not by its time limit, with the words in at least COUNT ranks' sentences.
failed_with() { # CODE COUNT WORDS
    local code=$1 count=$2 words=$3 found
    found=$(grep -cF -- "$words" "$folder/out")
    [ "$code" != 0 ] && [ "$code" != 124 ] && [ "$found" -ge "$count" ] && return
    echo "exit $code, $found times \"$words\", expected $count; it printed:"
    cat "$folder/out"
    return 1
}

sums_are_the_trees() {
    local size first shards=
    for size in 1 2 3 4 8; do
        ranks "$size" check 30 || { cat "$folder/out"; return 1; }
        first=$(cat "$folder/out")
        case $first in sums*) ;; *) echo "$size ranks printed: $first"; return 1 ;; esac
        [ "$size" != 3 ] || continue # does not divide the eight shards
        [ "${shards:=${first#*shards}}" = "${first#*shards}" ] ||
            { echo "shards on $size ranks:${first#*shards}, on 1:$shards"; return 1; }
    done
    ranks 8 check 30
    [ "$first" = "$(cat "$folder/out")" ] ||
        { echo "one run gives $first, the next $(cat "$folder/out")"; return 1; }
}

odd_weights_are_found() {
    ranks 4 odd 20 2
    failed_with $? 1 "rank 2's weights at update 300 are not rank 0's"
}

a_local_failure_is_told() {
    local began=$SECONDS
    ranks 4 abort 50 2
    # mpirun may end a rank before it has said anything, rank 2 itself too, once another has gone.
    failed_with $? 1 "rank 2 stopped the run: the loss is not finite at update 7" &&
        failed_with 1 3 "the loss is not finite at update 7" &&
        [ $((SECONDS - began)) -lt 20 ]
}

# signal_one SIGNAL RANK TIMEOUT_S: runs rounds on 4 ranks and sends one of them a signal.
signal_one() {
    local signal=$1 rank=$2 timeout_s=$3 job waited=0 r code
    rm -rf "$folder/pids"
    mkdir "$folder/pids"
    ranks 4 rounds "$timeout_s" -1 50 "$folder/pids" &
    job=$!
    for r in 0 1 2 3; do
        until [ -s "$folder/pids/$r" ] || [ $waited -gt 300 ]; do
            sleep 0.1
            waited=$((waited + 1))
        done
    done
    sleep 0.3
    kill "-$signal" "$(cat "$folder/pids/$rank")"
    SECONDS=0
    wait $job
    code=$?
    [ $SECONDS -lt $((timeout_s + 15)) ] || { echo "it took $SECONDS s to end"; return 1; }
    return $code
}

a_killed_rank_ends_the_run() {
    local rank
    for rank in 0 2; do
        signal_one KILL $rank 40
        failed_with $? 1 "rank $rank has ended without a word" || return 1
    done
}

a_stopped_rank_ends_the_run() {
    signal_one STOP 1 3
    failed_with $? 1 "rank 1 has not answered for"
}

# ---- training ----

small=(--data "$folder/data.h5" --deterministic --batch-size 128 --mini-batch-size 64 --horizon 8
    --epochs 1 --eval-episodes 8 --eval-interval 3 --env-steps 768 --schedule-steps 768)

prepare_training() {
    "$program" data synth --tasks 40 --seed 1 --out "$folder/data.json" &&
        "$program" data prepare --format hotpotqa --input "$folder/data.json" \
            --out "$folder/data.h5" &&
        "$program" pretrain --data "$folder/data.h5" --out "$folder/pre" --threads 1 --batch 4 \
            --cross-fit 0 --no-leak-test --ranker-steps 2 --gap-steps 2 --state-steps 1
}

# The tensors of the last version in a run's folder.
content() { "$program" checkpoint list --json "$1" | grep content_sha256 | tail -n 1; }

a_run_has_the_same_bits_on_1_2_and_4_ranks() {
    local size expected= got
    for size in 1 2 4; do
        timeout 60 mpirun -np $size "$program" train "${small[@]}" --init "$folder/pre" \
            --out "$folder/on$size" || return 1
        got=$(content "$folder/on$size")
        [ -n "$got" ] && [ "$got" = "${expected:=$got}" ] ||
            { echo "$size ranks: $got, 1 rank: $expected"; return 1; }
    done
}

# The process of rank $1 of the run that writes to $2.
process_of() {
    local p
    for p in /proc/[0-9]*; do
        tr '\0' '\n' <"$p/environ" 2>/dev/null | grep -qx "OMPI_COMM_WORLD_RANK=$1" &&
            tr '\0' '\n' <"$p/cmdline" 2>/dev/null | grep -qx -- "$2" && echo "${p#/proc/}"
    done
}

a_killed_run_resumes_on_other_ranks() {
    local out=$folder/killed job waited=0 code
    timeout 60 mpirun -np 4 "$program" train "${small[@]}" --init "$folder/pre" --out "$out" \
        --checkpoint-interval 1 >"$folder/out" 2>&1 &
    job=$!
    until [ -e "$out/latest" ] || [ $waited -gt 1500 ]; do
        sleep 0.02
        waited=$((waited + 1))
    done
    kill -KILL "$(process_of 2 "$out")"
    wait $job
    failed_with $? 1 "rank 2 has ended without a word" || return 1
    timeout 60 mpirun -np 2 "$program" train "${small[@]}" --out "$out" --resume || return 1
    [ "$(content "$out")" = "$(content "$folder/on1")" ] ||
        { echo "killed and resumed: $(content "$out"), in one go: $(content "$folder/on1")"; return 1; }
}

check sums_on_1_2_3_4_8_ranks_have_the_bits_of_the_tree sums_are_the_trees
check odd_weights_are_found odd_weights_are_found
check a_local_failure_is_told_to_all a_local_failure_is_told
check a_killed_rank_ends_the_run a_killed_rank_ends_the_run
check a_stopped_rank_ends_the_run a_stopped_rank_ends_the_run
check training_is_prepared prepare_training
check a_run_has_the_same_bits_on_1_2_and_4_ranks a_run_has_the_same_bits_on_1_2_and_4_ranks
check a_killed_run_resumes_on_other_ranks a_killed_run_resumes_on_other_ranks

[ "$failures" = 0 ]
