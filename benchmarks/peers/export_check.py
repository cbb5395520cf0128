#!/usr/bin/env python3
"""The networks of a checkpoint as plain PyTorch modules, fed from a safetensors export, beside our own answers.

    build/syncog checkpoint export runs/first --out policy.safetensors --sample sample.safetensors
    python3 benchmarks/peers/export_check.py policy.safetensors sample.safetensors

The sample holds inputs drawn at random and what the program answers to them. Prints the largest difference of
every output and exits 1 when one is above 1e-5. The modules are also a description of the networks: what a
translation into another framework has to do, and nothing else.
"""

import argparse
import json
import sys

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional as F

STATE, CKM, HALF, AGENTS, HIDDEN = 512, 256, 128, 10, 64
LIMIT = 1e-5


class Scorer(nn.Module):
    """Ranker and refiner: is a piece with these features worth sending?"""

    def __init__(self, features):
        super().__init__()
        self.w0, self.w1, self.w2 = nn.Linear(features, 64), nn.Linear(64, 64), nn.Linear(64, 1)

    def forward(self, x):
        return self.w2(F.relu(self.w1(F.relu(self.w0(x))))).squeeze(-1)


class Ckm(nn.Module):
    """One vector of what an agent knows, from its items: BiLSTM and attention pooling."""

    def __init__(self, width):
        super().__init__()
        self.inner = nn.Linear(width, 256)
        self.lstm = nn.LSTM(256, HALF, bidirectional=True)
        self.attention = nn.Linear(CKM, 128, bias=False)
        self.v = nn.Linear(128, 1, bias=False)
        self.empty = nn.Parameter(torch.zeros(CKM))

    def forward(self, items, bias):
        if len(items) == 0:
            return self.empty, bias
        h, _ = self.lstm(F.relu(self.inner(items)))
        alpha = torch.softmax(self.v(torch.tanh(self.attention(h))).squeeze(-1) + bias, dim=0)
        return alpha @ h, alpha


class Gap(nn.Module):
    """Of two vectors: does j hold what i lacks (output 0); of one and the others' mean: does i lack something (1)?
    The answer is the calibrated log-odds; its sigmoid is the probability."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(2 * CKM, 256)
        self.w3, self.w4, self.w5 = nn.Linear(256, 128), nn.Linear(128, 64), nn.Linear(64, 2)
        self.register_buffer("calibration", torch.zeros(2, 2))

    def forward(self, a, b, which):
        x = F.relu(self.first(torch.cat([a, b], dim=-1)))
        logit = self.w5(F.relu(self.w4(F.relu(self.w3(x)))))[..., which]
        temperature, offset = self.calibration[which]
        return logit / temperature + offset


class Pairs(nn.Module):
    """Additive scores of every ordered pair of agents for one kind of message, SEND or REQUEST."""

    def __init__(self, features):
        super().__init__()
        self.s = nn.Linear(STATE, HIDDEN)
        self.q = nn.Linear(CKM, HIDDEN, bias=False)
        self.r = nn.Linear(CKM, HIDDEN, bias=False)
        self.x = nn.Linear(features, HIDDEN, bias=False)
        self.w = nn.Linear(HIDDEN, 1)

    def forward(self, s, ckm, x):
        hidden = self.s(s)[:, None, None] + self.q(ckm)[:, :, None] + self.r(ckm)[:, None] + self.x(x)
        return self.w(torch.tanh(hidden)).squeeze(-1)


class Head(nn.Module):
    """ANSWER and ABSTAIN, or the value."""

    def __init__(self, width, hidden, outputs):
        super().__init__()
        self.w, self.out = nn.Linear(width, hidden), nn.Linear(hidden, outputs)

    def forward(self, x):
        return self.out(torch.tanh(self.w(x)))


class Control(nn.Module):
    """State encoder, policy and critic."""

    def __init__(self, message, pair, agent, summary):
        super().__init__()
        self.inner = nn.Linear(message, 256)
        self.lstm = nn.LSTMCell(256, STATE)
        self.pairs = nn.ModuleList([Pairs(pair), Pairs(pair)])
        self.agent = nn.Linear(STATE + CKM + agent, HIDDEN)
        self.agent_out = nn.Linear(HIDDEN, 2)
        self.globals = Head(STATE + 2 * CKM + summary, 128, 2)
        self.critic = Head(STATE + 2 * CKM + summary, 256, 1)

    def states(self, message, reset, h, c):
        """message (T, E, width), reset (T, E): one step per turn."""
        out = []
        for t, x in enumerate(message):
            keep = 1 - reset[t].float()[:, None]
            h, c = self.lstm(F.relu(self.inner(x)), (h * keep, c * keep))
            out.append(h)
        return torch.cat(out), h, c

    def forward(self, s, ckm, count, pair_x, agent_x, summary):
        """Rows of turns; agents from count on do not exist: their pairs score 0, ours to mask."""
        there = torch.arange(AGENTS)[None] < count[:, None]
        both = there[:, :, None] & there[:, None]
        apart = ~torch.eye(AGENTS, dtype=torch.bool)
        logits = [torch.where(both, p(s, ckm, pair_x[:, k]), 0.0)[:, apart] for k, p in enumerate(self.pairs)]
        each = torch.cat([s[:, None].expand(-1, AGENTS, -1), ckm, agent_x], dim=-1)
        agents = self.agent_out(torch.tanh(self.agent(each)))
        mean = (ckm * there[:, :, None]).sum(dim=1) / count[:, None]
        whole = torch.cat([s, ckm[:, 0], mean, summary], dim=-1)
        logits += [agents[..., 0], agents[..., 1], self.globals(whole)]
        return torch.cat(logits, dim=1), self.critic(whole).squeeze(-1)


def put(target, value):
    """Copies a tensor of the export into a parameter; shapes must be equal but for sizes of 1."""
    target.data.copy_(value.reshape(target.shape))


def put_lstm(module, t, name, suffix):
    """Gates stand in PyTorch's order; our one bias is the sum of its two."""
    for ours, theirs in (("W", "weight_ih"), ("R", "weight_hh"), ("b", "bias_ih")):
        put(getattr(module, theirs + suffix), t[f"{name}.{ours}"])
    getattr(module, "bias_hh" + suffix).data.zero_()


def scorer(t, name):
    m = Scorer(t[f"{name}.w0"].shape[1])
    for k in range(3):
        put(getattr(m, f"w{k}").weight, t[f"{name}.w{k}"])
        put(getattr(m, f"w{k}").bias, t[f"{name}.b{k}"])
    return m


def knowledge(t):
    m = Ckm(t["perception.ckm.in.w"].shape[1])
    put(m.inner.weight, t["perception.ckm.in.w"])
    put(m.inner.bias, t["perception.ckm.in.b"])
    put_lstm(m.lstm, t, "perception.ckm.forward", "_l0")
    put_lstm(m.lstm, t, "perception.ckm.reverse", "_l0_reverse")
    put(m.attention.weight, t["perception.ckm.attention.w"])
    put(m.v.weight, t["perception.ckm.attention.v"])
    put(m.empty, t["perception.ckm.empty"])
    return m


def gap(t):
    m = Gap()
    put(m.first.weight, torch.cat([t["perception.gap.w1"], t["perception.gap.w2"]], dim=1))
    put(m.first.bias, t["perception.gap.b1"])
    for k in (3, 4, 5):
        put(getattr(m, f"w{k}").weight, t[f"perception.gap.w{k}"])
        put(getattr(m, f"w{k}").bias, t[f"perception.gap.b{k}"])
    put(m.calibration, t["perception.calibration"])
    return m


def pairs(t, kind):
    m = Pairs(t["control.policy.pair.x"].shape[2])
    rows = slice(kind * HIDDEN, (kind + 1) * HIDDEN)
    for ours, target in (("s", m.s.weight), ("s.b", m.s.bias), ("q", m.q.weight), ("r", m.r.weight)):
        put(target, t[f"control.policy.pair.{ours}"][rows])
    put(m.x.weight, t["control.policy.pair.x"][kind])
    put(m.w.weight, t["control.policy.pair.w"][kind])
    put(m.w.bias, t["control.policy.pair.w0"][kind])
    return m


def control(t, sample):
    m = Control(*(sample[f"in.{k}"].shape[-1] for k in ("message", "pair_x", "agent_x", "summary")))
    put(m.inner.weight, t["control.state.in.w"])
    put(m.inner.bias, t["control.state.in.b"])
    put_lstm(m.lstm, t, "control.state.lstm", "")
    m.pairs = nn.ModuleList([pairs(t, 0), pairs(t, 1)])
    put(m.agent.weight, torch.cat([t["control.policy.agent.s"], t["control.policy.agent.q"]], dim=1))
    put(m.agent.bias, t["control.policy.agent.b"])
    put(m.agent_out.weight, t["control.policy.agent.w"])
    put(m.agent_out.bias, t["control.policy.agent.w0"])
    for head, name in ((m.globals, "control.policy.global"), (m.critic, "control.critic")):
        put(head.w.weight, t[f"{name}.w"])
        put(head.w.bias, t[f"{name}.b"])
        put(head.out.weight, t[f"{name}.out"])
        put(head.out.bias, t[f"{name}.out.b"])
    return m


def perception_answers(t, s):
    x = s["in.features"]
    out = {"out.ranker": scorer(t, "perception.ranker")(x), "out.refiner": scorer(t, "perception.refiner")(x)}
    offset, ckm = s["in.items.offset"].tolist(), knowledge(t)
    teams = [ckm(s["in.items"][a:b], s["in.items.bias"][a:b]) for a, b in zip(offset, offset[1:])]
    c = torch.stack([vector for vector, _ in teams])
    out["out.ckm"], out["out.relevance"] = c, torch.cat([alpha for _, alpha in teams])
    others = (c.sum(dim=0) - c) / (len(c) - 1)
    detector, i, j = gap(t), s["in.pair.i"].long(), s["in.pair.j"].long()
    out["out.link"], out["out.gap"] = detector(c[i], c[j], 0), detector(c, others, 1)
    return out


def control_answers(t, s):
    m, turns = control(t, s), s["in.reset"].shape[0]
    message = s["in.message"].unflatten(0, (turns, -1))
    states, h, c = m.states(message, s["in.reset"], s["in.h"], s["in.c"])
    rows = len(states)
    logit, value = m(states, s["in.ckm"], s["in.count"], s["in.pair_x"].reshape(rows, 2, AGENTS, AGENTS, -1),
                     s["in.agent_x"], s["in.summary"])
    return {"out.logit": logit, "out.value": value, "out.h": h, "out.c": c}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="what 'checkpoint export --out' wrote")
    parser.add_argument("sample", help="what its --sample wrote")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    args = parser.parse_args()
    with safe_open(args.model, framework="pt") as f:
        about = f.metadata()
    without = json.loads(about["config"]).get("without")
    if without:
        sys.exit(f"{args.model}: this model was trained without {without}: these modules are of the whole one")
    t, s = load_file(args.model), load_file(args.sample)
    answers = {}
    with torch.no_grad():
        if "in.features" in s:
            answers |= perception_answers(t, s)
        if "in.message" in s:
            answers |= control_answers(t, s)
    missing = {k for k in s if k.startswith("out.")} ^ answers.keys()
    if missing:
        sys.exit(f"{args.sample}: {', '.join(sorted(missing))}: not on both sides")
    error = {k: (answers[k] - s[k]).abs().max().item() for k in answers}
    if args.json:
        print(json.dumps({"version": about["version"], "tensors": len(t), "max_error": error}))
    else:
        for k, e in error.items():
            print(f"{k:14} {e:.2e}   (largest value {s[k].abs().max().item():.3g})")
    wrong = [k for k, e in error.items() if not e <= LIMIT]
    if wrong:
        sys.exit(f"above {LIMIT}: {', '.join(wrong)}")


if __name__ == "__main__":
    main()
