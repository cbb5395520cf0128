#!/usr/bin/env bash
# Our kernels and our PPO trainer beside PyTorch's on this machine, in one go, taking turns.
#
#   python3 -m venv V && V/bin/pip install -r benchmarks/peers/requirements.txt
#   benchmarks/peers/run.sh --python V/bin/python [--program build/syncog] [--rounds 2]
#                           [--seconds 3] [--only kernels|ppo] [--out FOLDER]
#
# PyTorch runs in two ways, and ratios are printed for both:
#   theirs  as it is installed;
#   tuned   with what its users know to do: torch.compile where it helps, memory kept by the
#           allocator, and on a processor that is not Intel's a one-line library that lets MKL use
#           its AVX-512 kernels there (its products run at about half of their speed without).
# A row's time is the median over rounds of the median of its runs; above 1, ours is faster.
# The demo and the tests do not need this.
set -euo pipefail
export PYTHONDONTWRITEBYTECODE=1
self=$(realpath "$0")
cd "$(dirname "$self")/../.."

program=build/syncog python=python3 rounds=2 seconds=3 out= only="kernels ppo"
while [ $# -gt 0 ]; do
    case $1 in
        --program | --python | --rounds | --seconds | --out | --only)
            [ $# -ge 2 ] || { echo "run.sh: $1 needs a value" >&2; exit 2; }
            declare "${1#--}=$2"
            shift 2 ;;
        -h | --help) sed -n '2,15s/^# \{0,1\}//p' "$self"; exit 0 ;;
        *) echo "run.sh: unknown option '$1'; see run.sh --help" >&2; exit 2 ;;
    esac
done
[ -x "$program" ] || {
    echo "run.sh: there is no program at $program: build it with ./dev build" >&2
    exit 1
}
"$python" -c "import torch" 2>/dev/null || {
    echo "run.sh: $python has no PyTorch: install benchmarks/peers/requirements.txt into a" \
        "virtual environment and name its python with --python" >&2
    exit 1
}

load=$(cut -d' ' -f1 /proc/loadavg)
case $load in
    0.*) ;;
    *) echo "run.sh: this machine is busy (load $load): the figures will be poor" >&2 ;;
esac

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
preload=
if ! grep -qm1 GenuineIntel /proc/cpuinfo; then
    line='int mkl_serv_intel_cpu_true(void) { return 1; }'
    if echo "$line" | cc -shared -fPIC -x c - -o "$work/mkl.so"; then
        preload=$work/mkl.so
    fi
fi

# ROUND WAY SUITE: runs one suite once and keeps its JSON lines.
run() {
    local file="$work/$3.$2.$1" script=bench_lstm.py
    [ "$3" = kernels ] || script=bench_ppo.py
    echo "round $1: $3, $2" >&2
    case $2 in
        ours) "$program" bench "$3" --json > "$file" ;;
        theirs) "$python" benchmarks/peers/$script --seconds "$seconds" > "$file" 2> "$file.log" ;;
        tuned)
            LD_PRELOAD=$preload MALLOC_MMAP_THRESHOLD_=33554432 \
                MALLOC_TRIM_THRESHOLD_=1073741824 "$python" benchmarks/peers/$script --compile \
                --seconds "$seconds" > "$file" 2> "$file.log" ;;
    esac || {
        echo "run.sh: $3, $2: it failed; the last lines it wrote:" >&2
        tail -n 5 "$file" "$file.log" >&2 2> /dev/null || true
        exit 1
    }
}

for ((round = 1; round <= rounds; round++)); do
    for suite in $only; do
        for way in ours theirs tuned; do
            run "$round" "$way" "$suite"
        done
    done
done
if [ -n "$out" ]; then
    mkdir -p "$out"
    cp "$work"/*.[0-9]* "$out"/
fi
"$python" benchmarks/peers/ratios.py "$work"
