#!/usr/bin/env python3
"""Pools the out-of-fold predictions and episodes that benchmarks/folds.sh left and prints Markdown tables.

Per seed the folds are pooled; figures are means over seeds, with 95 % intervals bootstrapped by question (the
predictions and episodes of all seeds about one question, or about one dialogue or story, move together). What was
chosen (stop biases, thresholds) was chosen by each run on its own validation records. Standard library only.

    benchmarks/folds.py OUT_DIR [TABLE...]
"""
import glob
import json
import os
import random
import re
import sys
from collections import Counter, defaultdict

BOOTSTRAPS = 300
RAW = ("return", "success", "answerable", "abstained", "messages", "deliveries", "ended", "requests", "moves")
EPISODES, SUCCESS, RIGHT = len(RAW), len(RAW) + 1, len(RAW) + 2  # RIGHT: abstained where nobody could answer
WIDTH = len(RAW) + 3
TITLES = {"gap": "Gap detector", "k10": "Records as they are", "k28": "28 pieces a record", "consensus": "Goal consensus",
          "agents": "Trained on teams of 2 to 6, tested on 7 to 10", "transfer": "Trained on one data set, tested on another"}
UNTRAINED = ("never", "random", "broadcast", "round_robin", "cosine_push")


# ---- What the runs left ----

class Pool:
    """All runs of one table on one data set.

    A unit is what moves together: the "group" of a raw line, the question's own id where it stands alone.
    gaps: {seed: {kind: [(unit, p, label)]}}; sums: {policy: {seed: {unit: [sums of RAW..]}}};
    parts: {(policy, "agents" or "stratum", value): sums}; reports, train: [JSON of a run]."""

    def __init__(self, folder, name):
        self.gaps = defaultdict(lambda: defaultdict(list))
        self.sums = defaultdict(lambda: defaultdict(lambda: defaultdict(lambda: [0.0] * WIDTH)))
        self.parts = defaultdict(lambda: [0.0] * WIDTH)
        self.reports, self.train = [], []
        for path in sorted(glob.glob(os.path.join(folder, "seed*-fold*", name + ".json"))):
            seed = int(re.search(r"seed(\d+)-fold", path).group(1))
            with open(path) as f:
                self.reports.append(json.load(f))
            with open(path + "l") as f:
                for line in f:
                    self.add(seed, json.loads(line))
            if os.path.exists(path[:-5] + "-train.json"):
                with open(path[:-5] + "-train.json") as f:
                    self.train.append(json.load(f))
        self.seeds = sorted(self.gaps)
        self.units = sorted({row[0] for seed in self.seeds for row in self.gaps[seed]["gap"]})
        rng = random.Random(1)
        self.draws = [self.drawn(rng) for _ in range(BOOTSTRAPS)]
        self.again = {}

    def add(self, seed, row):
        unit = row.get("group", row["id"])
        if row["kind"] != "episode":
            self.gaps[seed][row["kind"]].append((unit, row["p"], row["label"]))
            return
        values = [row[key] for key in RAW]
        right = row["abstained"] and not row["answerable"]
        values += [1, 1 if row["success"] or right else 0, 1 if right else 0]
        targets = [self.sums[row["policy"]][seed][unit]]
        targets += [self.parts[row["policy"], key, row[key]] for key in ("agents", "stratum") if key in row]
        for target in targets:
            for k, value in enumerate(values):
                target[k] += value

    def drawn(self, rng):
        times = defaultdict(int)
        for _ in self.units:
            times[rng.choice(self.units)] += 1
        return times

    def policies(self, section):
        return [p for p in self.reports[0][section] if p in self.sums]

    def total(self, policy, seed=None):
        """A policy's sums by unit, of one seed or of all."""
        by_unit = defaultdict(lambda: [0.0] * WIDTH)
        for s, units in self.sums[policy].items():
            if seed is None or s == seed:
                for i, sums in units.items():
                    by_unit[i] = plus(by_unit[i], sums)
        return by_unit

    def figures(self, policy, seed=None):
        return figures([sum(column) for column in zip(*self.total(policy, seed).values())])

    def resampled(self, policy):
        """Its figures for every draw of the bootstrap."""
        if policy not in self.again:
            by_unit = self.total(policy)
            self.again[policy] = []
            for times in self.draws:
                out = [0.0] * WIDTH
                for i, weight in times.items():
                    if i in by_unit:
                        out = [x + weight * y for x, y in zip(out, by_unit[i])]
                self.again[policy].append(figures(out))
        return self.again[policy]

    def mean(self, *keys):
        values = []
        for report in self.reports:
            for key in keys:
                report = (report or {}).get(key)
            if report is not None:
                values.append(report)
        return sum(values) / len(values) if values else float("nan")

    def interval(self, a, b, measure):
        """measure(figures of policy a, figures of policy b), and its interval."""
        values = sorted(measure(x, y) for x, y in zip(self.resampled(a), self.resampled(b)))
        low, high = values[int(0.025 * len(values))], values[min(int(0.975 * len(values)), len(values) - 1)]
        return measure(self.figures(a), self.figures(b)), low, high


def plus(a, b):
    return [x + y for x, y in zip(a, b)]


def ratio(a, b):
    return a / b if b else 0.0


def figures(t):
    """Sums -> what a table shows."""
    index = {key: k for k, key in enumerate(RAW)}
    n, answerable, abstained = t[EPISODES], t[index["answerable"]], t[index["abstained"]]
    return {"return": ratio(t[0], n), "success": ratio(t[SUCCESS], n),
            "success_answerable": ratio(t[index["success"]], answerable), "precision": ratio(t[RIGHT], abstained),
            "recall": ratio(t[RIGHT], n - answerable), "messages": ratio(t[index["messages"]], n),
            "deliveries": ratio(t[index["deliveries"]], n), "ended": ratio(t[index["ended"]], n),
            "requests": ratio(t[index["requests"]], t[index["moves"]])}


def shown(value, low, high, digits=3):
    return f"{value:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def head(*columns):
    print("| " + " | ".join(columns) + " |\n|" + "---|" * len(columns))


# ---- The judges ----

def auroc(rows, times):
    """rows, sorted by p: (unit, p, label), each as often as its unit was drawn; ties count half."""
    below = area = positives = i = 0
    while i < len(rows):
        p, n, at = 0, 0, rows[i][1]
        while i < len(rows) and rows[i][1] == at:
            weight = 1 if times is None else times.get(rows[i][0], 0)
            if rows[i][2]:
                p += weight
            else:
                n += weight
            i += 1
        area += p * (below + n / 2)
        below += n
        positives += p
    return area / (positives * below) if positives and below else 0.5


def threshold_sums(rows, prior, bins=15):
    """{unit: sums}: right at the prior and count by label, squared error, the error of each bin of p."""
    by_unit = defaultdict(lambda: [0.0] * (5 + bins))
    for unit, p, label in rows:
        t = by_unit[unit]
        t[label] += (p >= prior) == bool(label)
        t[2 + label] += 1
        t[4] += (p - label) ** 2
        t[5 + min(int(p * bins), bins - 1)] += p - label
    return by_unit


def threshold_measures(by_unit, times):
    """-> balanced accuracy at the prior, expected calibration error, Brier score"""
    t = None
    for unit, sums in by_unit.items():
        weight = 1 if times is None else times.get(unit, 0)
        if weight:
            t = [weight * x for x in sums] if t is None else [x + weight * y for x, y in zip(t, sums)]
    if t is None:
        return 0.0, 0.0, 0.0
    count = t[2] + t[3]
    return (ratio(t[0], t[2]) + ratio(t[1], t[3])) / 2, ratio(sum(map(abs, t[5:])), count), ratio(t[4], count)


def gap_table(pool):
    prior = pool.mean("gap", "prior")
    head("gap detector", "AUROC", "balanced accuracy", "ECE", "Brier")
    for kind, name in (("gap", "with titles"), ("gap_no_title", "without titles"), ("gap_shuffled", "shuffled labels")):
        seeds = [s for s in pool.seeds if pool.gaps[s][kind]]
        if not seeds:
            continue
        rows = {s: sorted(pool.gaps[s][kind], key=lambda r: r[1]) for s in seeds}
        sums = {s: threshold_sums(rows[s], prior) for s in seeds}
        every = lambda times: [(auroc(rows[s], times), *threshold_measures(sums[s], times)) for s in seeds]
        mean = lambda measured: [sum(column) / len(seeds) for column in zip(*measured)]
        value, draws = mean(every(None)), [mean(every(times)) for times in pool.draws[:BOOTSTRAPS // 3]]
        cells = []
        for k in range(4):
            sample = sorted(d[k] for d in draws)
            cells.append(shown(value[k], sample[int(0.025 * len(sample))], sample[int(0.975 * len(sample))]))
        print(f"| {name} | " + " | ".join(cells) + " |")
    print(f"\nmean over folds: count-only AUROC {pool.mean('gap', 'count_only_auroc'):.3f}, question-only "
          f"{pool.mean('gap', 'question_only_auroc'):.3f}, shuffled {pool.mean('gap', 'shuffled_auroc'):.3f}, link "
          f"{pool.mean('link', 'auroc'):.3f}, ranker {pool.mean('ranker', 'auroc'):.3f} (cosine "
          f"{pool.mean('ranker', 'cosine_auroc'):.3f})" +
          (f", gap while playing {pool.mean('gap_rollout', 'auroc'):.3f}" if "learned" in pool.sums else "") + "\n")


# ---- Policies ----

def policy_table(pool, section, title):
    names = pool.policies(section)
    robin, oracle = (pool.figures(p)["return"] for p in ("round_robin", "oracle"))
    head(title, "return", "score", "success", "answerable", "abstain precision / recall", "messages", "deliveries", "area")
    for policy in names:
        f, area = pool.figures(policy), pool.mean(section, policy, "success_message_area")
        print(f"| {policy} | {f['return']:.2f} | {ratio(f['return'] - robin, oracle - robin):.3f} | {f['success']:.3f} | "
              f"{f['success_answerable']:.3f} | {f['precision']:.2f} / {f['recall']:.2f} | {f['messages']:.2f} | "
              f"{f['deliveries']:.2f} | {'-' if area != area else format(area, '.3f')} |")
    print()


def best_untrained(pool):
    return max(UNTRAINED, key=lambda p: pool.figures(p)["return"])


def difference(pool, policy, against, key):
    return pool.interval(policy, against, lambda x, y: x[key] - y[key])


def message_ratio(pool, policy, against):
    return pool.interval(policy, against, lambda x, y: ratio(x["messages"], y["messages"]))


def comparison(pool):
    best = best_untrained(pool)
    requests = pool.figures("learned")["requests"]
    print(f"learned minus {best} (the best untrained): return {shown(*difference(pool, 'learned', best, 'return'), 2)}, "
          f"success_answerable {shown(*difference(pool, 'learned', best, 'success_answerable'))}, messages "
          f"{shown(*message_ratio(pool, 'learned', best))} of its; REQUEST's share of moves {requests:.3f}\n")
    per_seed = [pool.figures("learned", s)["return"] - pool.figures(best, s)["return"]
                for s in pool.seeds]
    print("return minus its, per seed: " + ", ".join(f"{s}: {x:+.2f}" for s, x in zip(pool.seeds, per_seed)) + "\n")


# ---- Stopping ----

def reaches(f, reference, target):
    """Figures of a policy and of what it is held against."""
    return (ratio(f["messages"], reference["messages"]) <= target["message_ratio_max"] and
            reference["success_answerable"] - f["success_answerable"] <= target["success_answerable_loss_max"])


def stopping_table(pool, reference, chosen):
    """chosen: [{target: what a run has chosen}]; its episodes are those of the policy learned_TARGET."""
    head("stopping, chosen on validation records", f"messages of {reference}'s", f"answerable minus {reference}'s",
         f"return minus {reference}'s", "target", "reached in total", "by seeds", "by runs", "ANSWER / ABSTAIN bias (runs)")
    for name, target in chosen[0].items():
        policy, loss = "learned_" + name, target["success_answerable_loss_max"]
        aim, reached = "the highest return", ["-"] * 3
        if loss is not None:
            aim = f"{target['message_ratio_max']:.2f} at -{loss:.2f}"
            total, *seeds = [reaches(pool.figures(policy, s), pool.figures(reference, s), target)
                             for s in (None, *pool.seeds)]
            runs = [c[name]["met"] for c in chosen]
            reached = ["yes" if total else "no", f"{sum(seeds)} of {len(seeds)}", f"{sum(runs)} of {len(runs)}"]
        times = Counter((c[name]["answer_bias"], c[name]["abstain_bias"]) for c in chosen)
        print(f"| {name} | {shown(*message_ratio(pool, policy, reference))} | "
              f"{shown(*difference(pool, policy, reference, 'success_answerable'))} | "
              f"{shown(*difference(pool, policy, reference, 'return'), 2)} | {aim} | " + " | ".join(reached) + " | " +
              ", ".join(f"{a:+.1f} / {b:+.1f} ({n})" for (a, b), n in times.most_common()) + " |")
    print()


def sweep_tables(pool):
    sweeps = [r["sweep"] for r in pool.reports if "sweep" in r]
    if not sweeps:
        return
    reference = Counter(s["reference"] for s in sweeps).most_common(1)[0][0]
    stopping_table(pool, reference, [s["chosen"] for s in sweeps])
    head("ANSWER bias", "ABSTAIN bias", "messages", "answerable", "return", "success")
    for k, point in enumerate(sweeps[0]["points"]):
        mean = {key: sum(s["points"][k]["test"][key] for s in sweeps) / len(sweeps)
                for key in ("messages", "success_answerable", "return", "success")}
        print(f"| {point['answer_bias']:+.1f} | {point['abstain_bias']:+.1f} | {mean['messages']:.2f} | "
              f"{mean['success_answerable']:.3f} | {mean['return']:.2f} | {mean['success']:.3f} |")
    print()


def parts_table(pool, key, names):
    shown_policies = [p for p in ("round_robin", "cosine_push", "learned", "oracle") if p in pool.sums]
    head(key, *[f"{p}: return, success, messages" for p in shown_policies])
    for value in sorted({v for policy, k, v in pool.parts if k == key}):
        cells = []
        for policy in shown_policies:
            f = figures(pool.parts[policy, key, value])
            cells.append(f"{f['return']:.2f}, {f['success']:.3f}, {f['messages']:.2f}")
        print(f"| {names.get(value, value)} | " + " | ".join(cells) + " |")
    print()


def train_table(pool):
    if not pool.train:
        return
    mean = lambda reports, *keys: sum(_get(r, keys) for r in reports) / len(reports)
    head("learnt from or not (mean over folds)", "gap AUROC", "balanced accuracy", "ranker AUROC", "return", "answerable")
    for name, reports in (("training records", pool.train), ("test records", pool.reports)):
        policy = ["-", "-"]
        if all("learned" in r["policies"] for r in reports):
            policy = [f"{mean(reports, 'policies', 'learned', 'return'):.2f}",
                      f"{mean(reports, 'policies', 'learned', 'success_answerable'):.3f}"]
        print(f"| {name} | {mean(reports, 'gap', 'auroc'):.3f} | {mean(reports, 'gap', 'balanced_accuracy'):.3f} | "
              f"{mean(reports, 'ranker', 'auroc'):.3f} | " + " | ".join(policy) + " |")
    print()


def _get(report, keys):
    for key in keys:
        report = report[key]
    return report


def dataset_tables(folder, name, title):
    pool = Pool(folder, name)
    records = sum(r["records"] for r in pool.reports) / len(pool.seeds)
    print(f"### {title}: seeds {pool.seeds}, {len(pool.reports)} runs, {records:.0f} records a seed, "
          f"{pool.reports[0]['episodes']} episodes a run\n")
    gap_table(pool)
    if "learned" in pool.sums:
        policy_table(pool, "policies", "policy")
        comparison(pool)
        policy_table(pool, "ablations", "ablation")
        sweep_tables(pool)
        parts_table(pool, "agents", {})
        parts_table(pool, "stratum", {0: "sufficient", 1: "closable", 2: "unanswerable"})
    train_table(pool)


def main(out, tables):
    for table in tables or TITLES:
        for folder in sorted(glob.glob(os.path.join(out, table)) + glob.glob(os.path.join(out, table + "-*"))):
            names = {os.path.basename(p)[:-6] for p in glob.glob(os.path.join(folder, "seed*-fold*", "*.jsonl"))
                     if os.path.exists(p[:-1])}
            if not names:
                continue
            source = os.path.basename(folder)[len(table) + 1:]
            print(f"## {TITLES[table]}" + (f": {source}" if source else "") + "\n")
            for name in sorted(names):
                dataset_tables(folder, name, name)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2:])
