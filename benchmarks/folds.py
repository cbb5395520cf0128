#!/usr/bin/env python3
"""Pools the out-of-fold predictions and episodes that benchmarks/folds.sh left and prints Markdown tables.

Per seed the five folds are pooled; figures are means over seeds, with 95 % intervals bootstrapped by question
(the question's predictions and episodes of all seeds move together). Standard library only.

    benchmarks/folds.py OUT_DIR
"""
import bisect
import glob
import json
import os
import random
import re
import sys
from collections import defaultdict

BOOTSTRAPS = 300


def auroc(rows):
    """rows: (score, label, weight); weighted by the bootstrap's multiplicity, ties count half."""
    rows = sorted(rows)
    below = area = positives = negatives = 0.0
    i = 0
    while i < len(rows):
        j, p, n = i, 0.0, 0.0
        while j < len(rows) and rows[j][0] == rows[i][0]:
            if rows[j][1]:
                p += rows[j][2]
            else:
                n += rows[j][2]
            j += 1
        area += p * (below + n / 2)
        below += n
        positives += p
        negatives += n
        i = j
    return area / (positives * negatives) if positives and negatives else 0.5


def balanced(rows, threshold):
    right, count = [0.0, 0.0], [0.0, 0.0]
    for score, label, weight in rows:
        count[label] += weight
        right[label] += weight * ((score >= threshold) == bool(label))
    return (right[0] / count[0] + right[1] / count[1]) / 2


def ece(rows, bins=15):
    total, error = 0.0, defaultdict(float)
    for score, label, weight in rows:
        error[min(int(score * bins), bins - 1)] += weight * (score - label)
        total += weight
    return sum(abs(e) for e in error.values()) / total


def load(out, dataset):
    """-> {seed: {kind: [(id, p, label)]}}, {seed: {policy: [episode]}}, {seed: [report]}"""
    gaps, episodes, reports = (defaultdict(lambda: defaultdict(list)) for _ in range(3))
    for path in sorted(glob.glob(os.path.join(out, "seed*-fold*", dataset + ".jsonl"))):
        seed = int(re.search(r"seed(\d+)-", path).group(1))
        if not os.path.exists(path[:-1]):
            continue
        with open(path[:-1]) as f:
            reports[seed]["all"].append(json.load(f))
        with open(path) as f:
            for line in f:
                row = json.loads(line)
                if row["kind"] == "episode":
                    episodes[seed][row["policy"]].append(row)
                else:
                    gaps[seed][row["kind"]].append((row["id"], row["p"], row["label"]))
    return gaps, episodes, reports


def weights(ids, rng):
    drawn = defaultdict(int)
    for _ in ids:
        drawn[rng.choice(ids)] += 1
    return drawn


def interval(values):
    values = sorted(values)
    return values[int(0.025 * len(values))], values[min(int(0.975 * len(values)), len(values) - 1)]


def shown(value, low, high, digits=3):
    return f"{value:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def gap_table(gaps, prior):
    seeds = sorted(gaps)
    ids = sorted({row[0] for seed in seeds for row in gaps[seed]["gap"]})
    rng = random.Random(1)
    draws = [weights(ids, rng) for _ in range(BOOTSTRAPS // 3)]
    print("| gap detector | AUROC | balanced accuracy | ECE |\n|---|---|---|---|")
    for kind, name in (("gap", "with titles"), ("gap_no_title", "without titles"), ("gap_shuffled", "shuffled labels")):
        measures = (auroc, lambda r: balanced(r, prior), ece)
        cells = []
        for measure in measures:
            mean = lambda w: sum(measure([(p, y, w[i]) for i, p, y in gaps[s][kind] if w is None or w[i]])
                                 for s in seeds) / len(seeds)
            one = defaultdict(lambda: 1)
            cells.append(shown(mean(one), *interval([mean(w) for w in draws])))
        print(f"| {name} | " + " | ".join(cells) + " |")
    print()


def mean_of(rows, key):
    return sum(r[key] for r in rows) / len(rows)


def trained(episodes):
    """The seeds for which a policy was trained."""
    return [s for s in sorted(episodes) if "learned" in episodes[s]]


def policy_table(episodes):
    seeds = trained(episodes)
    print("| policy | return | success | answerable | abstain precision / recall | messages | deliveries | ended |")
    print("|---|---|---|---|---|---|---|---|")
    for policy in episodes[seeds[0]]:
        rows = [r for s in seeds for r in episodes[s][policy]]
        answerable = [r for r in rows if r["answerable"]]
        abstained = [r for r in rows if r["abstained"]]
        right = sum(not r["answerable"] for r in abstained)
        impossible = len(rows) - len(answerable)
        success = sum(r["success"] or (r["abstained"] and not r["answerable"]) for r in rows) / len(rows)
        print(f"| {policy} | {mean_of(rows, 'return'):.2f} | {success:.3f} | {mean_of(answerable, 'success'):.3f} | "
              f"{right / len(abstained) if abstained else 0:.2f} / {right / impossible if impossible else 0:.2f} | "
              f"{mean_of(rows, 'messages'):.2f} | {mean_of(rows, 'deliveries'):.2f} | {mean_of(rows, 'ended'):.2f} |")
    print()


def difference(episodes):
    seeds = trained(episodes)
    untrained = ["never", "random", "broadcast", "round_robin", "cosine_push"]
    returns = {p: sum(mean_of(episodes[s][p], "return") for s in seeds) / len(seeds) for p in untrained}
    best = max(returns, key=returns.get)
    sums = defaultdict(lambda: [0.0, 0.0, 0.0, 0.0])
    requests = moves = 0
    for s in seeds:
        for a, b in zip(episodes[s]["learned"], episodes[s][best]):
            assert (a["id"], a["episode"]) == (b["id"], b["episode"])
            t = sums[a["id"]]
            t[0] += a["return"] - b["return"]
            t[1] += 1
            t[2] += a["messages"]
            t[3] += b["messages"]
            requests += a["requests"]
            moves += a["moves"]
    ids, rng = sorted(sums), random.Random(2)

    def total(drawn):
        t = [sum(sums[i][k] * w for i, w in drawn.items()) for k in range(4)]
        return t[0] / t[1], t[2] / t[3]

    value = total({i: 1 for i in ids})
    samples = [total(weights(ids, rng)) for _ in range(BOOTSTRAPS)]
    print(f"learned minus {best} (the best untrained): return "
          f"{shown(value[0], *interval([x[0] for x in samples]), 2)}, messages "
          f"{shown(value[1], *interval([x[1] for x in samples]))} of its; REQUEST's share of moves "
          f"{requests / max(moves, 1):.3f}\n")
    per_seed = [sum(a["return"] - b["return"] for a, b in zip(episodes[s]["learned"], episodes[s][best])) /
                len(episodes[s][best]) for s in seeds]
    print("per seed: " + ", ".join(f"{x:+.2f}" for x in per_seed) + "\n")


def main(out):
    for dataset, name in (("distractor", "HotpotQA distractor"), ("2wiki", "2WikiMultihopQA")):
        gaps, episodes, reports = load(out, dataset)
        if not gaps:
            continue
        runs = [r for s in reports for r in reports[s]["all"]]
        print(f"### {name}: seeds {sorted(gaps)}, {len(runs)} folds, "
              f"{sum(r['records'] for r in reports[min(reports)]['all'])} records\n")
        known = lambda *keys: [x for x in (_get(r, keys) for r in runs) if x is not None]
        mean = lambda *keys: sum(known(*keys)) / max(len(known(*keys)), 1)
        gap_table(gaps, mean("gap", "prior"))
        print(f"mean over folds: count-only AUROC {mean('gap', 'count_only_auroc'):.3f}, question-only "
              f"{mean('gap', 'question_only_auroc'):.3f}, shuffled {mean('gap', 'shuffled_auroc'):.3f}, link "
              f"{mean('link', 'auroc'):.3f}, ranker {mean('ranker', 'auroc'):.3f}, while playing "
              f"{mean('gap_rollout', 'auroc'):.3f}\n")
        policy_table(episodes)
        difference(episodes)


def _get(report, keys):
    for key in keys:
        report = report[key]
    return report


if __name__ == "__main__":
    main(sys.argv[1])
