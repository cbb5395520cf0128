#!/usr/bin/env bash
# './dev gpu' on programs that only pretend: every stage has its say, a failed one stops no other, and
# the report tells what was measured.
set -euo pipefail
root=$PWD
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

fail() {
    echo "$*"
    exit 1
}

# A tree with the script and nothing else, and a PATH whose cmake builds programs that pretend.
mkdir -p "$folder/tree/benchmarks" "$folder/bin"
cp "$root/dev" "$folder/tree/"
cp "$root"/benchmarks/gpu.sh "$root"/benchmarks/gpu_*.awk "$folder/tree/benchmarks/"
cat >"$folder/bin/cmake" <<'END'
#!/usr/bin/env bash
[ "$1" = --build ] || exit 0
cp "$(dirname "$0")/bench" build-gpu-emulated/bench_gpu_emulated
cp "$(dirname "$0")/op_test" build-gpu-emulated/cuda_kernels_op
END
cat >"$folder/bin/ctest" <<'END'
#!/usr/bin/env bash
echo '50% tests passed, 1 tests failed out of 2'
mkdir -p build-gpu-emulated/Testing/Temporary
cat >build-gpu-emulated/Testing/Temporary/LastTest.log <<'LOG'
1/2 Testing: kernels/cuda_op
[  PASSED  ] 3 test(s).
Test Passed.
2/2 Testing: kernels/cuda_other
[  PASSED  ] 1 test(s).
[  FAILED  ] 1 test(s), listed below:
Test Failed.
LOG
exit 1
END
printf '#!/bin/sh\nexit 0\n' >"$folder/bin/op_test"
# Found no race, refuses one tool, and is killed in another.
cat >"$folder/bin/compute-sanitizer" <<'END'
#!/usr/bin/env bash
case $2 in
    memcheck) exit 0 ;;
    racecheck) echo "========= Error: race" ; exit 86 ;;
    *) echo "Device not supported"; exit 1 ;;
esac
END
cat >"$folder/bin/python3" <<'END'
#!/bin/sh
exit 1
END
cat >"$folder/bin/bench" <<'END'
#!/usr/bin/env bash
what=$1; shift
while [ $# -gt 0 ]; do
    case $1 in --device) device=$2 ;; --seed) seed=$2 ;; --precision) math=$2 ;; esac
    shift
done
lstm() {
    echo "{\"bench\": \"lstm\", \"row\": \"lstm-512 B 1 forward\", \"batch\": 1, \"steps\": 64, \"who\": \"$1\", \"math\": \"$2\", \"how\": \"$3\", $4}"
}
case $what in
    learn)
        # Mixed precision learns something else, whatever the seed.
        final=1.$seed; [ "$device $math" != "cuda mixed" ] || final=9.$seed
        echo "{\"bench\": \"learn\", \"device\": \"$device\", \"math\": \"$math\", \"first_return\": -10, \"return\": $final, \"hash\": \"00$math\"}" | sed 's/00fp32/00f0/; s/00mixed/00'"$(date +%N)"/ ;;
    pretrain)
        auroc=0.91; [ "$math" != mixed ] || auroc=0.71
        echo "{\"bench\": \"pretrain\", \"device\": \"$device\", \"math\": \"$math\", \"gap_auroc\": $auroc, \"steps_per_s\": 5.0, \"hash\": \"00f1\"}" ;;
    kernels)
        echo '{"bench": "device", "name": "a pretended device", "compute": "9.0", "cudnn": 91900}'
        echo '{"bench": "limits", "copy_gbs": 4000, "hop_us": 0.5}'
        lstm ours mixed auto '"takes": "grid", "us": 90, "least_us": 32, "binds": "exchange"'
        lstm ours fp32 auto '"takes": "grid", "us": 205'
        lstm ours mixed cluster '"us": 80, "least_us": 32, "binds": "exchange"'
        lstm ours fp32 grid '"us": 200'
        lstm ours mixed block '"not_run": "one block takes width 128, alone"'
        lstm cudnn bf16 standard '"us": 320'
        lstm cudnn bf16 'persist static' '"us": 160'
        lstm cudnn fp16 'persist static' '"us": 120'
        lstm cudnn 'fp16 sums' 'persist static' '"us": 40' ;;
    ppo)
        printf '{"bench": "ppo", "rows": [\n  {"name": "env", "p50_us": 10.0, "steps_per_s": 2000000.0},\n'
        printf '  {"name": "update", "p50_us": 12.0}\n]}\n' ;;
    score) echo "syncog: bench: no such word" >&2; exit 2 ;;
esac
END
chmod +x "$folder"/bin/*
cd "$folder/tree"
status=0
PATH=$folder/bin:$PATH SYN_EMULATED=1 ./dev gpu >"$folder/printed" 2>&1 || status=$?
report=build-gpu-emulated/results/results.md
expect() { grep -qF -- "$1" "$report" || fail "the report lacks \"$1\": $(cat "$folder/printed")"; }

[ $status = 1 ] || fail "failed checks, but exit status $status: $(cat "$folder/printed")"
expect 'cuda_ tests: 4 passed, 1 failed, 0 skipped'
expect 'passed: sanitizer: memcheck cuda_kernels_op'
expect 'failed: sanitizer: racecheck cuda_kernels_op exit 86: ========= Error: race'
expect 'skipped: sanitizer: synccheck cuda_kernels_op not run: the tool refuses the device'
expect 'passed: equal seeds, fp32'
expect 'failed: equal seeds, mixed: the weights differ'
expect 'passed: pre-training, fp32: AUROC 0.91, 0.91 on the CPU'
expect 'failed: pre-training, mixed: AUROC 0.71, 0.91 on the CPU'
expect 'passed: pre-training: equal seeds give equal bits'
expect 'passed: training, fp32: final return 1.15 on the device, 1.15 on the CPU (-10.00 at first): difference 0.00'
expect 'failed: training, mixed: final return 9.15'
expect 'passed: benchmark kernels: 11 lines'
expect 'skipped: benchmark score: not run: syncog: bench: no such word'
expect 'skipped: PyTorch: not run'
expect '| lstm-512 B 1 forward | 80.0 (cluster) | 1.250 | 90.0 (grid) | 200.0 (grid) | 160.0 (persist static) | 40.0 (persist static, fp16 sums) | - | - | 2.00 | 0.50 | - | 32.0 | 2.5 | exchange |'
expect 'In mixed, auto is within 5 % of the fastest way in 0 of 1 rows'
expect 'In fp32, auto is within 5 % of the fastest way in 1 of 1 rows'
expect 'Faster than cudnn bf16 in 1 of 1 rows.'
expect 'Faster than cudnn fp16 in 0 of 1 rows.'
expect '| ppo env | 10.0 | 2000000.0 | - | - | - |'
last=$(tail -n 1 "$folder/printed")
# build; 4 + 1 tests; 1 + 1 + 1 of the sanitizer; seeds 1 + 1; pre-training 2 + 1; training 1 + 1; kernels, ppo; score, PyTorch
[ "$last" = '12 passed, 5 failed, 3 skipped' ] || fail "the last line is \"$last\""
[ "$(find build-gpu-emulated/results -type f | wc -l)" -le 8 ] || fail "more files than travel"
if command -v jq >/dev/null; then
    jq -e '.failed == 5 and (.rows | length) > 10 and (.checks | length) > 10' \
        build-gpu-emulated/results/results.json >/dev/null || fail "results.json is no JSON, or lacks rows"
fi

# One stage by itself, and a word that is none.
PATH=$folder/bin:$PATH SYN_EMULATED=1 ./dev gpu train >"$folder/printed" 2>&1 || true
! grep -q 'cuda_ tests' "$report" || fail "tests were run, though not asked for"
expect '`./dev gpu train`'
status=0
./dev gpu everything >"$folder/printed" 2>&1 || status=$?
[ $status = 2 ] || fail "an unknown stage gives exit status $status"

# A build that fails ends with a report, too.
printf '#!/bin/sh\necho no compiler; exit 1\n' >"$folder/bin/cmake"
rm -rf build-gpu-emulated
status=0
PATH=$folder/bin:$PATH SYN_EMULATED=1 ./dev gpu >"$folder/printed" 2>&1 || status=$?
[ $status = 1 ] && [ "$(tail -n 1 "$folder/printed")" = '0 passed, 1 failed, 0 skipped' ] ||
    fail "a failed build: exit status $status, $(tail -n 1 "$folder/printed")"
