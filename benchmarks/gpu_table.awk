# The tables of benchmarks/results/gpu.md from rows, one JSON object a line.
# Keeps the fastest of a row's cells.
function keep(row, cell, us, how) {
    if (!((row, cell) in time) || us + 0 < time[row, cell]) {
        time[row, cell] = us + 0
        way[row, cell] = how
    }
}
/"bench": "device"/ {
    about = sprintf("%s: compute %s, %s multiprocessors, %s GB, L2 %s MB, %s KB of shared memory a block; CUDA %s; cuDNN %s", \
        field("name"), field("compute"), field("multiprocessors"), field("memory_gb"), field("l2_mb"), \
        field("shared_kb"), field("runtime_cuda"), field("cudnn") == 0 ? "none" : field("cudnn"))
}
/"bench": "about"/ { torch = field("torch") }
/"bench": "limits"/ {
    limits = sprintf("Measured limits: copy %s GB/s; products bf16 %s, TF32 %s, fp32 %s TFLOP/s; a hop in a cluster %s us, a barrier of the grid %s us, a kernel of a graph %s us", \
        field("copy_gbs"), field("bf16_tflops"), field("tf32_tflops"), field("fp32_tflops"), field("hop_us"), \
        field("grid_us"), field("launch_us"))
}
/"bench": "lstm"/ {
    row = field("row")
    if (!(row in seen)) { seen[row] = 1; order[++rows] = row }
    us = field("us")
    if (us == "") next # not run: the row of that way stays empty
    who = field("who"); math = field("math"); how = field("how")
    steps[row] = field("steps")
    if (who == "ours") {
        keep(row, "ours " math, us, how)
        if (how == "auto") keep(row, "auto " math, us, field("takes"))
        if (math == "mixed") { least[row] = field("least_us") + 0; binds[row] = field("binds") }
    } else if (who == "cudnn" && math == "fp16 sums") keep(row, "cudnn fp16", us, how ", fp16 sums")
    else keep(row, who " " math, us, how)
}
/"bench": "(ppo|score)"/ {
    name = field("bench") " " field("name") (field("envs") == "" ? "" : ", " field("envs") " environments")
    if (field("graph_nodes") != "") name = name ", " field("graph_nodes") " nodes in its graph"
    if (!(name in known)) { known[name] = 1; others[++other_rows] = name }
    rate = field("steps_per_s")
    if (rate == "") rate = field("decisions_per_s")
    value[name, field("who")] = field("p50_us")
    rates[name, field("who")] = rate
}
function cell(row, what) {
    if (!((row, what) in time)) return "-"
    return sprintf("%.1f (%s)", time[row, what], way[row, what])
}
function plain(row, what) {
    if (!((row, what) in time)) return "-"
    return sprintf("%.1f", time[row, what])
}
function known_or_dash(x) { return x == "" ? "-" : x }
function ratio(row, what) {
    if (!((row, what) in time) || !((row, "ours mixed") in time) || time[row, "ours mixed"] == 0) return "-"
    compared[what]++
    faster[what] += time[row, what] > time[row, "ours mixed"]
    return sprintf("%.2f", time[row, what] / time[row, "ours mixed"])
}
END {
    if (about != "") print about "."
    if (limits != "") print limits "."
    if (rows) {
        print "\nRecurrent layers, us of a pass of T steps (median; inputs rotate over more than twice the L2). Ratios are to the"
        print "fastest of ours in MIXED: above 1, ours is faster. The limit is the largest of what the steps' exchange, the tensor"
        print "cores and the memory need at the measured rates" (torch == "" ? "" : "; PyTorch " torch) ".\n"
        print "| row | ours (way) | a step | auto | ours fp32 | cuDNN bf16 | cuDNN fp16 | PyTorch bf16 | PyTorch fp16 | to cuDNN bf16 | to cuDNN fp16 | to PyTorch bf16 | limit | times the limit | binds |"
        print "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|"
    }
    for (k = 1; k <= rows; k++) {
        r = order[k]
        step = far = "-"
        if ((r, "ours mixed") in time) {
            if (steps[r] > 0) step = sprintf("%.3f", time[r, "ours mixed"] / steps[r])
            if (least[r] > 0) far = sprintf("%.1f", time[r, "ours mixed"] / least[r])
        }
        for (m = 1; m <= 2; m++) {
            math = m == 1 ? "mixed" : "fp32"
            if (!((r, "auto " math) in time)) continue
            told[math]++
            right[math] += time[r, "auto " math] <= 1.05 * time[r, "ours " math]
        }
        printf "| %s | %s | %s | %s | %s | %s | %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", r, cell(r, "ours mixed"), step, \
            cell(r, "auto mixed"), cell(r, "ours fp32"), cell(r, "cudnn bf16"), cell(r, "cudnn fp16"), \
            plain(r, "torch bf16"), plain(r, "torch fp16"), ratio(r, "cudnn bf16"), ratio(r, "cudnn fp16"), \
            ratio(r, "torch bf16"), (least[r] > 0 ? sprintf("%.1f", least[r]) : "-"), far, known_or_dash(binds[r])
    }
    if (rows) print ""
    for (math in told) printf "In %s, auto is within 5 %% of the fastest way in %d of %d rows; lstm_table.json has what would be.\n", \
        math, right[math], told[math]
    for (what in compared) printf "Faster than %s in %d of %d rows.\n", what, faster[what], compared[what]
    if (other_rows) {
        print "\n| row | ours us | ours a second | PyTorch us | PyTorch a second | ratio of rates |"
        print "|---|---|---|---|---|---|"
    }
    for (k = 1; k <= other_rows; k++) {
        r = others[k]
        a = rates[r, "ours"]; b = rates[r, "torch"]
        printf "| %s | %s | %s | %s | %s | %s |\n", r, known_or_dash(value[r, "ours"]), known_or_dash(a), \
            known_or_dash(value[r, "torch"]), known_or_dash(b), (a > 0 && b > 0 ? sprintf("%.2f", a / b) : "-")
    }
    if (!rows && !other_rows) print "No benchmark was run."
}
