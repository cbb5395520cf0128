#!/bin/bash
# The recurrent kernels as the assembler made them: R stays in registers (no stack, no spills), and
# the products run on the matrix units, as many as the shapes say. Skipped (77) without nvcc.
set -u
nvcc=$(command -v nvcc || echo /usr/local/cuda/bin/nvcc)
[ -x "$nvcc" ] || { echo "no nvcc: skipped"; exit 77; }
cuobjdump=${CUOBJDUMP:-$(command -v cuobjdump || echo "$(dirname "$nvcc")/cuobjdump")}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
failures=0

fail()
{
    echo "$*"
    failures=$((failures + 1))
}

# build FILE ARCHITECTURE: object and assembler's report, beside the other builds.
build()
{
    "$nvcc" -std=c++17 -O3 "-gencode=arch=compute_$2,code=sm_$2" -Xptxas -v -I . -DSYN_HAVE_CUDA \
        -D_GNU_SOURCE -c "kernels/$1.cu" -o "$work/$1.$2.o" > "$work/$1.$2.txt" 2>&1 &
}

# expect FILE KERNEL COUNT [INSTRUCTION]: the kernel, by the start of its mangled name, uses neither
# stack nor local memory and has that many matrix instructions (0: not counted).
expect()
{
    local report sass
    report=$(grep -A 2 "Function properties for .*$2" "$work/$1.$arch.txt")
    [ -n "$report" ] || { fail "$1: no kernel $2"; return; }
    grep -q " 0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads" <<< "$report" ||
        fail "$2 on sm_$arch: $report"
    [ -x "$cuobjdump" ] || return
    sass=$("$cuobjdump" -sass "$work/$1.$arch.o" | awk -v name="$2" '/Function :/ {on = index($0, name)} on')
    grep -Eq "\b(LDL|STL)\b" <<< "$sass" && fail "$2 on sm_$arch: uses local memory"
    [ "$3" -eq 0 ] && return
    local count
    count=$(grep -c "${4:-HMMA\.16816\.F32\.BF16}" <<< "$sass")
    [ "$count" -eq "$3" ] || fail "$2 on sm_$arch: $count matrix instructions, not $3"
}

for arch in 90a 80; do
    for file in lstm_block lstm_grid lstm_grid_mixed; do build $file $arch; done
done
for file in lstm_cluster lstm_cluster_backward lstm_wide; do build $file 90a; done
wait
for object in lstm_{block,grid,grid_mixed}.{90a,80} lstm_{cluster,cluster_backward,wide}.90a; do
    [ -f "$work/$object.o" ] || { cat "$work/$object.txt"; exit 1; }
done

for arch in 90a 80; do
    for tiles in 1 2 4; do expect lstm_block "block_forwardILi${tiles}E" $((16 * tiles)); done
    for tiles in 1 2; do expect lstm_block "block_backwardILi${tiles}E" $((32 * tiles)); done
    expect lstm_grid grid_forward 0
    expect lstm_grid grid_backward 0
    expect lstm_grid_mixed grid_forward_mixed 32
    expect lstm_grid_mixed grid_backward_mixed 32
done
arch=90a
for width in 256 512; do
    for tiles in 1 2 4; do
        expect lstm_cluster "cluster_forwardILi${width}ELi${tiles}E" $((width / 16 * tiles))
        expect lstm_cluster_backward "cluster_backwardILi${width}ELi${tiles}E" \
            $((width / 16 * tiles))
    done
    expect lstm_wide "wide_forwardILi${width}E" $((width / 8)) "HGMMA\.64x32x16\.F32\.BF16"
    grep -q "C75[0-9][0-9]" "$work/lstm_wide.90a.txt" && fail "products of a warpgroup one by one"
done
[ -x "$cuobjdump" ] || echo "no cuobjdump (CUOBJDUMP names one): matrix instructions not counted"
[ $failures -eq 0 ]
