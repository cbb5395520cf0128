#!/usr/bin/env bash
# Everything about the CUDA side of this tree, on a machine with a device, in one call of under ten
# minutes. The machine needs nvcc, CMake and a C and C++ compiler; cuDNN and PyTorch are measured
# beside ours where they are.
#
#   benchmarks/gpu.sh [tests] [train] [bench]      nothing named: all of them (./dev gpu)
#
#   tests   every cuda_ test on the device; compute-sanitizer over those of the ops; equal seeds
#   train   a short pre-training beside the CPU's; five short training runs whose final return is
#           compared with the CPU's by interval
#   bench   the limits of the device, recurrent layers beside cuDNN and PyTorch, PPO, the scorer
#
# Results go to $OUT, or build-gpu/results: results.md and results.json, the rows they are made
# from, lstm_table.json (which way of the LSTM is the fastest, for SYNCOG_LSTM_TABLE), and logs.
# Every stage has its own time limit, and one that fails does not stop the others.
# SYN_GPU_SECONDS: all of it together (570). SYN_GPU_TASKS: what train learns on, a file of
# 'syncog tasks' (build-gpu-data/tasks.safetensors where it is there; else drawn tasks).
# SYN_EMULATED=1: no device; the same on the emulator with tiny sizes, to try this script.
set -uo pipefail
invoked="./dev gpu${*:+ $*}"
cd "$(dirname "$0")/.." || exit 1
export LC_ALL=C PYTHONDONTWRITEBYTECODE=1 OMP_WAIT_POLICY=passive
export PATH=$PATH:/usr/local/cuda/bin

emulated=${SYN_EMULATED:-0}
seconds=${SYN_GPU_SECONDS:-570}
folder=build-gpu seeds="1 2 3 4 5" updates=40 steps=150 tiny=() bench=bench_gpu
build_limit=300 test_limit=150
if [ "$emulated" = 1 ]; then
    folder=build-gpu-emulated seeds="1 2" updates=2 steps=2 tiny=(--tiny) bench=bench_gpu_emulated
    seconds=${SYN_GPU_SECONDS:-3600} build_limit=1800 test_limit=1800
fi
out=${OUT:-$folder/results}
work=$folder/work
cores=$(nproc)
stages=("$@")
[ ${#stages[@]} -gt 0 ] || stages=(tests train bench)
for stage in "${stages[@]}"; do
    case $stage in
        tests | train | bench) ;;
        *) echo "gpu.sh: unknown stage '$stage': tests, train or bench" >&2; exit 2 ;;
    esac
done

passed=0 failed=0 skipped=0
lines=() # verdicts, for the report

step() { printf '\n== %s (%d s)\n' "$*" "$SECONDS"; }
wanted() { case " ${stages[*]} " in *" $1 "*) ;; *) return 1 ;; esac; }

# verdict passed|failed|skipped WHAT: one check more.
verdict() {
    case $1 in
        passed) passed=$((passed + 1)) ;;
        failed) failed=$((failed + 1)) ;;
        skipped) skipped=$((skipped + 1)) ;;
    esac
    lines+=("$1: $2")
    echo "$1: $2"
}

# limited SECONDS COMMAND...: within its own limit and what is left of all. 124 when it ran out.
limited() {
    local limit=$1 left=$((seconds - SECONDS))
    shift
    [ "$limit" -le "$left" ] || limit=$left
    [ "$limit" -gt 0 ] || return 124
    timeout -k 5 "$limit" "$@"
}

# ---- The device and the build ----

describe_device() {
    if [ "$emulated" = 1 ]; then
        device="emulated, no device" driver=none architecture=
        return 0
    fi
    command -v nvidia-smi >/dev/null || { echo "gpu.sh: no nvidia-smi on this machine" >&2; return 1; }
    nvidia-smi -L || return 1
    local facts
    facts=$(nvidia-smi --query-gpu=name,driver_version,compute_cap,memory.total,clocks.max.sm \
        --format=csv,noheader | head -n 1) || return 1
    echo "$facts"
    IFS=, read -r device driver architecture _ <<<"$facts"
    driver=${driver# }
    architecture=${architecture//[. ]/}
    [ "$architecture" != 90 ] || architecture=90a
    nvcc --version | tail -n 2 || { echo "gpu.sh: no nvcc on this machine" >&2; return 1; }
}

build() {
    local generator=() on=(-k) options=(-DSYN_CUDA=ON "-DCMAKE_CUDA_ARCHITECTURES=$architecture-real")
    [ "$emulated" = 0 ] || options=(-DSYN_CUDA=OFF -DSYN_CORE=ON)
    ! command -v ninja >/dev/null || generator=(-G Ninja) on=(-k 0)
    mkdir -p "$folder"
    limited 60 cmake -S . -B "$folder" "${generator[@]}" "${options[@]}" &&
        limited "$build_limit" cmake --build "$folder" --target gpu -j "$cores" -- "${on[@]}"
}

# ---- Tests ----

run_ctest() {
    local log=$folder/Testing/Temporary/LastTest.log line good bad left jobs=8
    [ "$emulated" = 0 ] || jobs=$cores
    rm -f "$log"
    limited "$test_limit" ctest --test-dir "$folder" -R cuda -j "$jobs" --output-on-failure --no-tests=error \
        --test-output-size-passed 100000000 --test-output-size-failed 100000000 \
        2>&1 | tee "$work/ctest" | grep --line-buffered -v '^\[' # single tests' lines are counted, not shown
    cp "$work/ctest" "$out/tests.log"
    if [ ! -s "$log" ]; then
        verdict failed "cuda_ tests: none was run to its end"
        return
    fi
    line=$(./dev count "$work/ctest" "$log" | tail -n 1)
    IFS=' ,' read -r good _ bad _ left _ <<<"$line"
    passed=$((passed + good)) failed=$((failed + bad)) skipped=$((skipped + left))
    lines+=("cuda_ tests: $line")
    echo "cuda_ tests: $line"
}

# sanitize TOOL PROGRAM: writes "passed|failed|skipped TOOL PROGRAM REASON" and the tool's output.
sanitize() {
    local tool=$1 program=$2 name log status=0 left=$((sanitizer_end - SECONDS))
    name=$(basename "$program")
    log=$work/sanitizer.$tool.$name
    [ "$left" -lt 60 ] || left=60
    limited "$left" compute-sanitizer --tool "$tool" --error-exitcode 86 "$program" >"$log" 2>&1 || status=$?
    if [ $status = 124 ] || [ $status = 137 ]; then
        echo "skipped $tool $name not run to its end: time limit"
    elif grep -qiE 'device not supported|not supported on this|unable to (attach|initialize)|failed to initialize' "$log"; then
        echo "skipped $tool $name not run: the tool refuses the device"
    elif [ $status = 0 ]; then
        echo "passed $tool $name"
    else
        echo "failed $tool $name exit $status: $(grep -m 1 '=========  *[A-Z]' "$log" | tr -d '"' || true)"
    fi >"$work/verdict.$tool.$name"
}

run_sanitizer() {
    local tool program file word rest
    rm -f "$work"/verdict.* "$work"/sanitizer.*
    if ! command -v compute-sanitizer >/dev/null; then
        verdict skipped "compute-sanitizer: not run: not on this machine"
        return
    fi
    # What the benchmarks need is left to them.
    sanitizer_end=$((SECONDS + 120))
    ! wanted bench || [ $sanitizer_end -le $((seconds - 240)) ] || sanitizer_end=$((seconds - 240))
    for tool in memcheck racecheck synccheck; do
        for program in "$folder"/cuda_kernels_*; do
            [ -x "$program" ] && [ -f "$program" ] || continue
            while [ "$(jobs -rp | wc -l)" -ge $((cpu_jobs + 6)) ]; do sleep 0.1; done
            sanitize "$tool" "$program" &
        done
    done
    for program in $(jobs -p); do
        case " $cpu_pids " in *" $program "*) ;; *) wait "$program" ;; esac
    done
    for file in "$work"/verdict.*; do
        [ -f "$file" ] || continue
        read -r word rest <"$file"
        verdict "$word" "sanitizer: $rest"
    done
    cat "$work"/sanitizer.* >"$out/sanitizer.log" 2>/dev/null || true
}

# learn SECONDS DEVICE SEED PRECISION THREADS UPDATES: one JSON line.
learn() {
    local tasks=()
    [ -z "$tasks_file" ] || tasks=(--tasks "$tasks_file")
    limited "$1" "$folder/$bench" learn --device "$2" --seed "$3" --precision "$4" --threads "$5" \
        --updates "$6" "${tiny[@]}" "${tasks[@]}"
}

run_equal_seeds() {
    local precision hash k
    for precision in fp32 mixed; do
        for k in 0 1; do
            hash[k]=$(learn 40 cuda 1 $precision 1 $((updates < 5 ? updates : 5)) 2>>"$work/equal.log" |
                sed -n 's/.*"hash": "\([0-9a-f]*\)".*/\1/p')
        done
        if [ -z "${hash[0]}" ] || [ -z "${hash[1]}" ]; then
            verdict failed "equal seeds, $precision: the runs did not end: $(tail -n 1 "$work/equal.log" 2>/dev/null)"
        elif [ "${hash[0]}" = "${hash[1]}" ]; then
            verdict passed "equal seeds, $precision: the weights are equal to the bit (${hash[0]})"
        else
            verdict failed "equal seeds, $precision: the weights differ: ${hash[0]}, ${hash[1]}"
        fi
    done
}

# ---- Training ----

cpu_pids="" cpu_jobs=0
# The CPU learns in the background while the device is tested.
start_cpu_training() {
    local seed threads count
    count=$(wc -w <<<"$seeds")
    threads=$(((cores - 4) / count))
    [ "$threads" -ge 1 ] || threads=1
    for seed in $seeds; do
        learn 300 cpu "$seed" fp32 "$threads" "$updates" \
            >"$work/learn.cpu.$seed" 2>"$work/learn.cpu.$seed.log" &
        cpu_pids+=" $!"
        cpu_jobs=$((cpu_jobs + 1))
    done
}

# fit DEVICE PRECISION NAME: phase 1; one row, which is kept under NAME.
fit() {
    local tasks=()
    [ -z "$tasks_file" ] || tasks=(--tasks "$tasks_file")
    limited 60 "$folder/$bench" pretrain --device "$1" --precision "$2" --threads 1 --steps "$steps" \
        "${tiny[@]}" "${tasks[@]}" >"$work/fit.$3" 2>"$work/fit.$3.log"
}

number() { sed -n "s/.*\"$1\": \"\{0,1\}\([0-9a-f.]*\).*/\1/p" "$2"; }

# Rounding apart, phase 1 learns on the device what it learns on the CPU, and the same bits twice.
run_pretraining() {
    local k name on precision
    for k in cpu:fp32:cpu cuda:fp32:fp32 cuda:fp32:again cuda:mixed:mixed; do
        IFS=: read -r on precision name <<<"$k"
        fit "$on" "$precision" "$name" || {
            verdict failed "pre-training, $name: $(tail -n 1 "$work/fit.$name.log")"
            return
        }
    done
    cat "$work"/fit.{cpu,fp32,mixed} >>"$rows"
    for name in fp32 mixed; do
        if awk -v a="$(number gap_auroc "$work/fit.cpu")" -v b="$(number gap_auroc "$work/fit.$name")" \
            'BEGIN { exit !(a > 0 && b > 0 && (a - b) ^ 2 < 0.03 ^ 2) }'; then
            verdict passed "pre-training, $name: AUROC $(number gap_auroc "$work/fit.$name"), $(number gap_auroc "$work/fit.cpu") on the CPU, $(number steps_per_s "$work/fit.$name") and $(number steps_per_s "$work/fit.cpu") steps/s"
        else
            verdict failed "pre-training, $name: AUROC $(number gap_auroc "$work/fit.$name"), $(number gap_auroc "$work/fit.cpu") on the CPU"
        fi
    done
    if [ "$(number hash "$work/fit.fp32")" = "$(number hash "$work/fit.again")" ]; then
        verdict passed "pre-training: equal seeds give equal bits"
    else
        verdict failed "pre-training: equal seeds give other bits"
    fi
}

run_training() {
    local seed precision pid word rest
    for precision in fp32 mixed; do
        for seed in $seeds; do
            learn 60 cuda "$seed" $precision 1 "$updates" \
                >"$work/learn.cuda.$precision.$seed" 2>"$work/learn.cuda.$precision.$seed.log" ||
                echo "seed $seed, $precision: $(tail -n 1 "$work/learn.cuda.$precision.$seed.log")"
        done
    done
    for pid in $cpu_pids; do wait "$pid"; done
    cat "$work"/learn.cpu.[0-9] "$work"/learn.cuda.*.[0-9] >>"$rows" 2>/dev/null
    for precision in fp32 mixed; do
        awk -f benchmarks/gpu_field.awk -f benchmarks/gpu_interval.awk -v want="$(wc -w <<<"$seeds")" \
            "$work"/learn.cpu.[0-9] "$work"/learn.cuda."$precision".[0-9] >"$work/interval"
        read -r word rest <"$work/interval"
        [ "$word" != failed ] || [ "$SECONDS" -lt "$seconds" ] || word=skipped rest="cut off by the time limit of all"
        verdict "${word:-failed}" "training, $precision: ${rest:-nothing was measured}"
    done
}

# ---- Benchmarks ----

# measure NAME SECONDS COMMAND...: rows go to the file of rows; what was printed before a time limit counts.
measure() {
    local name=$1 limit=$2 status=0 count
    shift 2
    limited "$limit" "$@" >"$work/bench.$name" 2>"$work/bench.$name.log" || status=$?
    count=$(grep -c '^ *{' "$work/bench.$name" || true)
    if [ $status = 0 ] && [ "$count" -gt 0 ]; then
        verdict passed "benchmark $name: $count lines"
    elif [ $status = 2 ]; then
        verdict skipped "benchmark $name: not run: $(tail -n 1 "$work/bench.$name.log")"
    elif [ $status = 124 ] || [ $status = 137 ]; then
        verdict skipped "benchmark $name: cut off by its time limit after $count lines"
    else
        verdict failed "benchmark $name: exit $status after $count lines: $(tail -n 1 "$work/bench.$name.log")"
    fi
}

run_benchmarks() {
    local quick=()
    [ "$emulated" = 0 ] || quick=(--layer bilstm-128)
    step "recurrent layers, beside cuDNN"
    measure kernels 190 "$folder/$bench" kernels --device cuda --tune "$out/lstm_table.json" "${tiny[@]}" "${quick[@]}"
    cat "$work/bench.kernels" >>"$rows"
    step "PPO"
    measure ppo 70 "$folder/$bench" ppo --device cuda --json "${tiny[@]}"
    sed -n 's/^ *{"name"/{"bench": "ppo", "who": "ours", "name"/p' "$work/bench.ppo" | sed 's/},$/}/' >>"$rows"
    step "the scorer"
    measure score 50 "$folder/$bench" score --device cuda --json "${tiny[@]}"
    sed -n 's/^ *{"name"/{"bench": "score", "who": "ours", "name"/p' "$work/bench.score" | sed 's/},$/}/' >>"$rows"
    if ! python3 -c 'import torch, sys; sys.exit(not torch.cuda.is_available())' 2>/dev/null; then
        verdict skipped "PyTorch: not run: python3 has no torch that sees a CUDA device"
        return
    fi
    step "PyTorch"
    measure torch-lstm 90 python3 benchmarks/peers/lstm_gpu.py --seconds 0.03
    cat "$work/bench.torch-lstm" >>"$rows"
    measure torch-ppo 90 python3 benchmarks/peers/ppo_gpu.py --seconds 1 --compile
    sed -n 's/^{"name"/{"bench": "ppo", "who": "torch", "name"/p' "$work/bench.torch-ppo" >>"$rows"
}

# ---- The report ----

report() {
    local line first=1 table
    table=$(awk -f benchmarks/gpu_field.awk -f benchmarks/gpu_table.awk "$rows" 2>&1) || verdict failed "the table: $table"
    {
        echo "# CUDA: $device"
        echo
        echo "Driver $driver; $(nvcc --version 2>/dev/null | sed -n 's/.*release \([0-9.]*\).*/nvcc \1/p'); $(date -u +%Y-%m-%dT%H:%MZ); \`$invoked\`"
        echo
        echo "$table"
        echo
        echo "Checks:"
        echo
        printf -- '- %s\n' "${lines[@]}"
        echo
        echo "$passed passed, $failed failed, $skipped skipped"
    } >"$out/results.md"
    {
        printf '{"device": "%s", "driver": "%s", "date": "%s", "command": "%s",\n "passed": %d, "failed": %d, "skipped": %d,\n "checks": [' \
            "$device" "$driver" "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$invoked" "$passed" "$failed" "$skipped"
        for line in "${lines[@]}"; do
            line=${line//\\/}
            [ $first = 1 ] || printf ','
            printf '\n  "%s"' "${line//\"/}"
            first=0
        done
        printf '],\n "rows": ['
        awk '/^\{.*\}$/ { printf "%s\n  %s", n++ ? "," : "", $0 }' "$rows"
        printf ']}\n'
    } >"$out/results.json"
    cp "$rows" "$out/rows.jsonl"
}

# ---- All of it ----

main() {
    device=unknown driver=unknown architecture=
    mkdir -p "$out" "$work" || exit 1
    rm -f "$work"/learn.* "$work"/fit.* "$work"/bench.* "$work"/equal.log
    rows=$work/rows.jsonl
    : >"$rows"
    tasks_file=${SYN_GPU_TASKS:-}
    [ -n "$tasks_file" ] || [ ! -f build-gpu-data/tasks.safetensors ] || tasks_file=build-gpu-data/tasks.safetensors
    [ "$emulated" = 0 ] || tasks_file=
    step "device"
    describe_device || { verdict failed "device: there is none, or no nvcc"; report; echo "$passed passed, $failed failed, $skipped skipped"; exit 1; }
    step "building $folder"
    if build >"$out/build.log" 2>&1; then
        verdict passed "build: $SECONDS s"
    else
        grep -E 'error|FAILED|undefined' "$out/build.log" | head -n 20
        verdict failed "build: see build.log; what was built is used"
    fi
    if [ -x "$folder/$bench" ]; then
        ! wanted train || start_cpu_training
        if wanted tests; then
            step "cuda_ tests"
            run_ctest
            step "compute-sanitizer"
            run_sanitizer
            step "equal seeds"
            run_equal_seeds
        fi
        if wanted train; then
            step "pre-training"
            run_pretraining
            step "training"
            run_training
        fi
        ! wanted bench || run_benchmarks
    fi
    report
    printf '\n'
    cat "$out/results.md"
    [ "$failed" = 0 ]
}
main
