#!/usr/bin/env python3
"""Gap detectors of other kinds on our features, beside ours: rules, neighbours, logistic regression, boosted trees, a
set transformer and a BiLSTM. gap_peers.sh makes the files. Per fold everything is fitted on the training states,
stopped early and calibrated (Platt) on the validation states; test probabilities are pooled over the folds. The call
is made where the calibrated probability equals the prior, as 'syncog eval' does.

    gap_peers.py DIR [--folds 0,1,2,3,4] [--only NAME,...] [--train train|train_cross] [--seed 1]
"""
import argparse
import collections
import json
import os
import sys
import time

import numpy as np
import torch
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

import gap_nets
from gap_states import FEATURES, States, auroc, balanced_accuracy, ece, platt, probability

SETS = ("distractor", "2wiki")


def logit(p):
    p = np.clip(p, 1e-4, 1 - 1e-4)
    return np.log(p / (1 - p))


def loss(z, states):
    return float(np.mean(np.logaddexp(0, z) - states.label * z))


def cosine_rule(train, validation, seed):
    return lambda s: s.cosine_mass()


def classifier(candidates):
    """Of several settings the one with the least validation loss."""

    def make(train, validation, seed):
        scale = StandardScaler().fit(train.pooled())
        x, v = scale.transform(train.pooled()), scale.transform(validation.pooled())
        fitted = [c(seed).fit(x, train.label) for c in candidates]
        best = min(fitted, key=lambda c: loss(logit(c.predict_proba(v)[:, 1]), validation))
        return lambda s: logit(best.predict_proba(scale.transform(s.pooled()))[:, 1])

    return make


def network(build, columns=FEATURES, scaled=True):
    """On these columns of the items, standardised by the training states or as they are."""

    def make(train, validation, seed):
        items = train.x[train.mask][:, columns]
        mean, deviation = (items.mean(0), items.std(0) + 1e-3) if scaled else (np.float32(0), np.float32(1))
        see = lambda s: s.scaled(columns, mean, deviation)
        torch.manual_seed(seed)
        net = gap_nets.fit(build(items.shape[1]), see(train), see(validation), seed=seed)
        return lambda s: gap_nets.predict(net, see(s))

    return make


def boosted(leaves, rate):
    return lambda seed: HistGradientBoostingClassifier(max_leaf_nodes=leaves, learning_rate=rate, max_iter=150,
                                                       l2_regularization=1.0, early_stopping=False, random_state=seed)


PEERS = {
    "cosine mass": cosine_rule,
    "k nearest": classifier([lambda seed, k=k: KNeighborsClassifier(k) for k in (15, 50)]),
    "logistic regression": classifier([lambda seed, c=c: LogisticRegression(C=c, max_iter=300) for c in (1e-3, 1e-2)]),
    "boosted trees": classifier([boosted(8, 0.1), boosted(16, 0.05)]),
    "pooled pieces": network(gap_nets.Pooled),
    "pooled pieces and aggregates": network(gap_nets.Aggregates),
    "set transformer": network(gap_nets.SetTransformer),
    "BiLSTM": network(gap_nets.BiLstm),
    "set transformer, unscaled": network(gap_nets.SetTransformer, scaled=False),
    "BiLSTM, unscaled": network(gap_nets.BiLstm, scaled=False),
    "set transformer, unscaled, with embeddings": network(gap_nets.SetTransformer, slice(None), False),
    "BiLSTM, unscaled, with embeddings": network(gap_nets.BiLstm, slice(None), False),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dir")
    parser.add_argument("--folds", default="0,1,2,3,4")
    parser.add_argument("--only", default=",".join(PEERS))
    parser.add_argument("--train", default="train")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(1)
    pooled = collections.defaultdict(lambda: ([], []))  # (peer, set) -> probabilities, labels
    seconds = collections.Counter()
    for fold in args.folds.split(","):
        read = lambda name: States(os.path.join(args.dir, "fold" + fold, name + ".h5"))
        train, validation, tests = read(args.train), read("validation"), {s: read(s) for s in SETS}
        for name in args.only.split(","):
            begun = time.process_time()
            score = PEERS[name](train, validation, args.seed)
            scale = platt(score(validation), validation.label)
            for s, states in tests.items():
                pooled[name, s][0].append(probability(score(states), scale))
                pooled[name, s][1].append(states.label)
            seconds[name] += time.process_time() - begun
            print(f"fold {fold}: {name}, {time.process_time() - begun:.0f} s, AUROC " + ", ".join(
                f"{auroc(pooled[name, s][0][-1], pooled[name, s][1][-1]):.4f}" for s in SETS), file=sys.stderr)
        for s, states in tests.items():
            pooled["ours", s][0].append(states.gap[:, 1].astype(np.float64))
            pooled["ours", s][1].append(states.label)
    print("| detector | " + " | ".join(f"{s} AUROC | balanced | ECE" for s in SETS) + " | CPU s |")
    print("|---" * (2 + 3 * len(SETS)) + "|")
    for name in args.only.split(",") + ["ours"]:
        cells = []
        for s in SETS:
            p, y = (np.concatenate(a) for a in pooled[name, s])
            cells += [f"{auroc(p, y):.4f}", f"{balanced_accuracy(p, y):.4f}", f"{ece(p, y):.4f}"]
        print(f"| {name} | " + " | ".join(cells) + f" | {seconds[name]:.0f} |")
    print(json.dumps({"folds": args.folds, "train": args.train, "seed": args.seed}), file=sys.stderr)


if __name__ == "__main__":
    main()
