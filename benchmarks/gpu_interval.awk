# Do the CPU and the device learn alike? Reads lines of 'syncog bench learn'; want: runs on each.
# Prints passed, failed or skipped, and the means with the 95 % interval of their difference (Welch).
/"bench": "learn"/ {
    where = field("device")
    x = field("return") + 0
    n[where]++
    sum[where] += x
    square[where] += x * x
    began[where] += field("first_return")
}
function variance(w) { return n[w] < 2 ? 0 : (square[w] - sum[w] * sum[w] / n[w]) / (n[w] - 1) }
# Student's t at 97.5 %, for the fewest degrees of freedom that Welch's test can come to.
function quantile(runs) {
    split("12.706 4.303 3.182 2.776 2.571 2.447 2.365 2.306 2.262", t, " ")
    return runs < 2 ? 1e9 : runs > 10 ? 2.262 : t[runs - 1]
}
END {
    if (n["cpu"] < want || n["cuda"] < want) {
        printf "failed only %d runs on the CPU and %d on the device ended\n", n["cpu"], n["cuda"]
        exit
    }
    difference = sum["cuda"] / n["cuda"] - sum["cpu"] / n["cpu"]
    half = quantile(want) * sqrt(variance("cpu") / n["cpu"] + variance("cuda") / n["cuda"])
    alike = difference - half <= 0 && difference + half >= 0
    printf "%s final return %.2f on the device, %.2f on the CPU (%.2f at first): difference %.2f [%.2f, %.2f] over %d seeds\n", \
        alike ? "passed" : "failed", sum["cuda"] / n["cuda"], sum["cpu"] / n["cpu"], began["cpu"] / n["cpu"], \
        difference, difference - half, difference + half, want
}
