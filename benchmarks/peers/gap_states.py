"""States that 'syncog states' wrote, as arrays; measures of a gap detector as 'syncog eval' takes them."""
import copy

import h5py
import numpy as np

FEATURES = slice(0, 65)  # of an item: interaction features and the relevance logit; behind them meta and embeddings
COSINE = 0  # the first of them: 3 x the tf-idf cosine with the question
PRIOR = 0.75  # of a gap, by the strata of the environment


class States:
    """S states; items (S, P, D) with mask (S, P), owner 1: the asker holds it.

    Pieces that the asker holds too are left out where others hold them: they add nothing to what the team has.
    """

    def __init__(self, path):
        with h5py.File(path) as f:
            self.gap = f["states/gap"][:]
            self.label = f["states/label"][:, 0].astype(np.int64)
            self.agents = f["states/agents"][:]
            self.consensus = f["states/goal"][:]
            count = f["states/items"][:]
            agent, row = f["items/agent"][:], f["items/row"][:]
            x = np.concatenate([f["items/x"][:], f["items/text"][:]], 1)
        state = np.repeat(np.arange(len(count)), count)
        mine = agent == 0
        held = np.zeros((len(count), 32), bool)
        held[state[mine], row[mine]] = True
        seen = np.zeros((len(count), 32), bool)
        keep = mine.copy()
        for i in np.flatnonzero(~mine):  # the first of several holders stands for the piece
            s, r = state[i], row[i]
            keep[i] = not (held[s, r] or seen[s, r])
            seen[s, r] = True
        state, mine, x = state[keep], mine[keep], x[keep]
        size = np.bincount(state, minlength=len(count))
        at = np.arange(len(state)) - np.repeat(np.cumsum(size) - size, size)
        self.x = np.zeros((len(count), size.max(), x.shape[1]), np.float32)
        self.mask = np.zeros(self.x.shape[:2], bool)
        self.owner = np.zeros(self.x.shape[:2], bool)
        self.x[state, at], self.mask[state, at], self.owner[state, at] = x, True, mine

    def __len__(self):
        return len(self.label)

    def scaled(self, columns, mean, deviation):
        """The same states with these columns of the items, standardised; padding stays zero."""
        other = copy.copy(self)
        other.x = ((self.x[:, :, columns] - mean) / deviation * self.mask[:, :, None]).astype(np.float32)
        return other

    def pooled(self):
        """Max, mean and mean of the two largest of each interaction column and the relevance, for the asker's
        pieces and the others', with counts: (S, F)."""
        columns = self.x[:, :, FEATURES]
        parts = []
        for group in (self.mask & self.owner, self.mask & ~self.owner):
            n = group.sum(1, keepdims=True)
            masked = np.where(group[:, :, None], columns, -np.inf)
            top = -np.sort(-masked, 1)[:, :2]
            top[~np.isfinite(top)] = 0
            parts += [top[:, 0], top.mean(1), np.where(group[:, :, None], columns, 0).sum(1) / np.maximum(n, 1), n]
        return np.concatenate(parts + [self.agents[:, None], self.consensus[:, None]], 1).astype(np.float32)

    def cosine_mass(self):
        """Less of the question's cosine with the asker than with the others: (S), larger means a gap."""
        cosine = self.x[:, :, COSINE] * self.mask
        return -(cosine * self.owner).sum(1) / np.maximum(cosine.sum(1), 1e-6)


def auroc(score, label):
    order = np.argsort(score, kind="stable")
    _, inverse, counts = np.unique(score[order], return_inverse=True, return_counts=True)
    rank = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    positive = label[order] == 1
    p, n = positive.sum(), (~positive).sum()
    return (rank[positive].sum() - p * (p + 1) / 2) / (p * n)


def balanced_accuracy(probability, label, threshold=PRIOR):
    called = probability >= threshold
    return (called[label == 1].mean() + (~called[label == 0]).mean()) / 2


def ece(probability, label, bins=15):
    at = np.minimum((probability * bins).astype(int), bins - 1)
    return np.abs(np.bincount(at, probability - label, bins)).sum() / len(label)


def platt(logit, label, steps=50):
    """(a, b) of sigmoid(a z + b) with the least negative log-likelihood, by Newton's method."""
    a, b = 1.0, 0.0
    for _ in range(steps):
        p = 1 / (1 + np.exp(-np.clip(a * logit + b, -40, 40)))
        w = p * (1 - p) + 1e-9
        g = np.array([((p - label) * logit).mean(), (p - label).mean()])
        h = np.array([[(w * logit * logit).mean(), (w * logit).mean()], [(w * logit).mean(), w.mean()]])
        a, b = np.array([a, b]) - np.linalg.solve(h + 1e-9 * np.eye(2), g)
    return a, b


def probability(logit, scale):
    return 1 / (1 + np.exp(-np.clip(scale[0] * logit + scale[1], -40, 40)))
