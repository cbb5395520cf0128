"""PyTorch beside our recurrent kernels and our whole decision, on the CPU, fp32.

Rows (JSON lines: name, p50_us, p99_us, runs; medians after a warm-up):
  gemm 2048 x 2048 x 2048                    the most that it can do here
  lstm-512 forward, B 1, T 16                nn.LSTM(512, 512), inference mode
  lstm-512 forward, B 64, T 16
  lstm-512 forward + backward, B 64, T 16    gradients of weights and input
  lstm-512 the same without dx               gradients of weights alone
  bilstm-128 forward, 64 packed              nn.LSTM(256, 128, bidirectional), 64 packed sequences
                                             of 1..24 steps; it refuses length 0, ours does not
  bilstm-128 forward + backward, 64 packed
  bilstm-128 .., 64 flipped                  the same by two dense LSTMs over padded sequences, the
                                             second one turned around
  decision_n4                   one whole decision of a team of four agents with five items each: a
                                message through the state encoder, four collaborator models, the gap
                                matrix, the masked policy. The best of the forms that are printed as
                                decision_n4_<form>: eager; jit = traced and frozen; compile =
                                torch.compile (with --compile)

Weights are random: the time does not depend on them. One process, one run at a time.
Usage: bench_lstm.py [--threads 2] [--seconds 2] [--compile]
"""

import argparse
import sys

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from timing import emit, measure, setup

MESSAGE, ITEM, STATE, CKM, ATTENTION = 96, 80, 512, 256, 128
PAIR, PAIR_FEATURES = 64, 48


class Collaborator(nn.Module):
    """Item vectors of A agents, all of the same number of items -> one vector per agent."""

    def __init__(self):
        super().__init__()
        self.inlet = nn.Linear(ITEM, 256)
        self.lstm = nn.LSTM(256, CKM // 2, bidirectional=True)
        self.key = nn.Linear(CKM, ATTENTION)
        self.query = nn.Linear(ATTENTION, 1, bias=False)

    def forward(self, items, rank):  # (T, A, ITEM), (T, A)
        h, _ = self.lstm(self.inlet(items))
        weight = torch.softmax(self.query(torch.tanh(self.key(h))).squeeze(-1) + rank, 0)
        return (weight.unsqueeze(-1) * h).sum(0)


class Decision(nn.Module):
    """One decision of a team of n agents: what a service does for each turn."""

    def __init__(self, n):
        super().__init__()
        self.inlet = nn.Linear(MESSAGE, 256)
        self.state = nn.LSTMCell(256, STATE)
        self.ckm = Collaborator()
        self.gap_i = nn.Linear(CKM, 256)
        self.gap_j = nn.Linear(CKM, 256, bias=False)
        self.gap = nn.Sequential(
            nn.ReLU(),
            nn.Linear(256, 128),
            nn.ReLU(),
            nn.Linear(128, 64),
            nn.ReLU(),
            nn.Linear(64, 2),
        )
        self.from_state = nn.Linear(STATE, 2 * PAIR)
        self.from_i = nn.Linear(CKM, 2 * PAIR, bias=False)
        self.from_j = nn.Linear(CKM, 2 * PAIR, bias=False)
        self.from_pair = nn.Parameter(torch.randn(2, PAIR_FEATURES, PAIR) * 0.1)
        self.weight = nn.Parameter(torch.randn(2, PAIR, 1) * 0.1)
        self.agent = nn.Linear(CKM, 2)
        self.whole = nn.Linear(STATE, 2)
        pairs = [(i, j) for i in range(n) for j in range(n) if i != j]
        self.register_buffer("i", torch.tensor([p[0] for p in pairs]))
        self.register_buffer("j", torch.tensor([p[1] for p in pairs]))

    def forward(self, message, h, c, items, rank, features, mask):
        h, c = self.state(self.inlet(message), (h, c))
        ckm = self.ckm(items, rank)  # (n, 256)
        n = ckm.shape[0]
        left, right = self.gap_i(ckm), self.gap_j(ckm)
        others = (right.sum(0, keepdim=True) - right) / (
            n - 1
        )  # the mean commutes with the product
        first = torch.cat((left[self.i] + right[self.j], left + others))
        gap = torch.sigmoid(self.gap(first))  # (n(n-1) + n, 2)
        pairs = self.i.shape[0]
        scored = torch.cat((gap[:pairs].expand(2, -1, -1), features), 2)  # (2, pairs, 48)
        s = self.from_state(h).view(2, 1, PAIR)
        q = self.from_i(ckm)[self.i].view(-1, 2, PAIR).transpose(0, 1)
        r = self.from_j(ckm)[self.j].view(-1, 2, PAIR).transpose(0, 1)
        logit = torch.bmm(torch.tanh(torch.baddbmm(s + q + r, scored, self.from_pair)), self.weight)
        logit = torch.cat((logit.flatten(), self.agent(ckm).flatten(), self.whole(h).flatten()))
        return torch.softmax(logit.masked_fill(mask, float("-inf")), 0), gap, h, c


def bench_lstm(args):
    a, b = torch.randn(2048, 2048), torch.randn(2048, 2048)
    measure("gemm 2048 x 2048 x 2048", lambda: a @ b, args.seconds, flop=2 * 2048**3)
    lstm = nn.LSTM(512, 512)
    for batch in (1, 64):
        x = torch.randn(16, batch, 512)
        with torch.inference_mode():
            measure(f"lstm-512 forward, B {batch}, T 16", lambda: lstm(x), args.seconds)
    upstream = torch.randn(16, 64, 512)
    names = {"lstm-512 forward + backward, B 64, T 16": True, "lstm-512 the same without dx": False}
    for name, wants_dx in names.items():
        x = torch.randn(16, 64, 512, requires_grad=wants_dx)

        def train():
            lstm.zero_grad(set_to_none=True)
            x.grad = None
            lstm(x)[0].backward(upstream)

        measure(name, train, args.seconds)


def bench_bilstm(args):
    lstm = nn.LSTM(256, 128, bidirectional=True)
    halves = nn.ModuleList(nn.LSTM(256, 128) for _ in range(2))
    for name, value in lstm.named_parameters():
        getattr(halves["reverse" in name], name.removesuffix("_reverse")).data = value.data
    length = 1 + torch.arange(64) * 7 % 24
    steps = int(length.max())
    x = torch.randn(steps, 64, 256)
    packed = pack_padded_sequence(x, length, enforce_sorted=False)
    packed.data.requires_grad_()
    x.requires_grad_()
    turned = (length - 1 - torch.arange(steps)[:, None]).clamp(min=0)[:, :, None]

    def run_flipped():
        back = halves[1](x.gather(0, turned.expand(-1, -1, 256)))[0]
        return torch.cat((halves[0](x)[0], back.gather(0, turned.expand(-1, -1, 128))), 2)

    def run_packed():
        return lstm(packed)[0].data

    with torch.no_grad():
        padded = pad_packed_sequence(packed._replace(data=run_packed()))[0]
        inside = (torch.arange(steps)[:, None] < length)[:, :, None]
        assert torch.allclose(padded, run_flipped() * inside, atol=1e-5)
    forms = {
        "packed": (run_packed, lstm, packed.data, torch.randn(int(length.sum()), 256)),
        "flipped": (run_flipped, halves, x, torch.randn(steps, 64, 256)),
    }
    for form, (run, module, given, upstream) in forms.items():
        with torch.inference_mode():
            measure(f"bilstm-128 forward, 64 {form}", run, args.seconds)

        def train():
            module.zero_grad(set_to_none=True)
            given.grad = None
            run().backward(upstream)

        measure(f"bilstm-128 forward + backward, 64 {form}", train, args.seconds)


def bench_decision(args):
    n, items = 4, 5
    pairs = n * (n - 1)
    mask = torch.zeros(2 * pairs + 2 * n + 2, dtype=torch.bool)
    mask[2 * pairs + n : 2 * pairs + 2 * n] = True  # ALONE is illegal without a read limit
    given = (
        torch.randn(1, MESSAGE),
        torch.randn(1, STATE) * 0.1,
        torch.randn(1, STATE) * 0.1,
        torch.randn(items, n, ITEM),
        torch.randn(items, n),
        torch.randn(2, pairs, PAIR_FEATURES - 2),
        mask,
    )
    eager = Decision(n).eval()
    best = {}
    with torch.inference_mode():
        expected = eager(*given)[0]
        forms = [("eager", lambda: eager)]
        forms.append(("jit", lambda: torch.jit.freeze(torch.jit.trace(eager, given))))
        if args.compile:
            forms.append(
                ("compile", lambda: torch.compile(eager, mode="max-autotune-no-cudagraphs"))
            )
        for form, make in forms:
            try:
                call = make()
                assert torch.allclose(call(*given)[0], expected, atol=1e-5)
            except Exception as fault:  # a form that this PyTorch or this machine cannot build
                emit(
                    {
                        "name": f"decision_n4_{form}",
                        "failed": str(fault).strip().splitlines()[0][:200],
                    }
                )
                continue
            best[form] = measure(f"decision_n4_{form}", lambda: call(*given), args.seconds)[
                "p50_us"
            ]
        form = min(best, key=best.get)
        call = dict(forms)[form]()
        measure("decision_n4", lambda: call(*given), args.seconds, form=form)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=2.0, help="measured time per row")
    parser.add_argument(
        "--compile", action="store_true", help="also torch.compile (needs a C++ compiler)"
    )
    args = parser.parse_args()
    setup(args.threads)
    bench_lstm(args)
    bench_bilstm(args)
    bench_decision(args)


if __name__ == "__main__":
    sys.exit(main())
