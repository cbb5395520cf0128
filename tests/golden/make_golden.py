#!/usr/bin/env python3
"""Writes the reference tensors of the kernel tests, computed by PyTorch in double precision.

    python3 tests/golden/make_golden.py [directory]      (needs torch)

A file is a sequence of tensors:  name: d0 d1 ...  on one line, then its numbers, row-major,
eight to a line, with nine significant digits (exact for float). The first line is the magic word
and the version of the format.
"""
import os
import sys

import torch

MAGIC = "syncog-golden 1"


def write(path, tensors):
    with open(path, "w") as f:
        f.write(MAGIC + "\n")
        for name, t in tensors.items():
            t = t.detach()
            f.write(name + ": " + " ".join(str(d) for d in t.shape) + "\n")
            flat = t.reshape(-1).tolist()
            for i in range(0, len(flat), 8):
                f.write(" ".join("%.9g" % v for v in flat[i:i + 8]) + "\n")


def rounded(*shape, scale=1.0):
    """Inputs that float holds exactly, so that both sides compute from the same numbers."""
    return ((torch.rand(*shape) * 2 - 1) * scale).float().double().requires_grad_(True)


def lstm():
    T, B, D, H = 5, 3, 7, 19
    m = torch.nn.LSTM(D, H).double()
    W, R, b = rounded(4 * H, D, scale=.5), rounded(4 * H, H, scale=.5), rounded(4 * H, scale=.5)
    x, h0, c0 = rounded(T, B, D), rounded(1, B, H), rounded(1, B, H)
    dh, dhT, dcT = rounded(T, B, H), rounded(1, B, H), rounded(1, B, H)
    names = {"weight_ih_l0": W, "weight_hh_l0": R, "bias_ih_l0": b,
             "bias_hh_l0": torch.zeros(4 * H, dtype=torch.double)}
    h, (hT, cT) = torch.func.functional_call(m, names, (x, (h0, c0)))
    ((h * dh).sum() + (hT * dhT).sum() + (cT * dcT).sum()).backward()
    return {"x": x, "W": W, "R": R, "b": b, "h0": h0[0], "c0": c0[0], "dh": dh, "dhT": dhT[0],
            "dcT": dcT[0], "h": h, "hT": hT[0], "cT": cT[0], "dx": x.grad, "dW": W.grad,
            "dR": R.grad, "db": b.grad, "dh0": h0.grad[0], "dc0": c0.grad[0]}


def bilstm():
    lengths, D, H = [4, 1, 6, 3], 5, 18
    m = torch.nn.LSTM(D, H, bidirectional=True, batch_first=True).double()
    out, names, weights = {}, {}, {}
    for suffix, key in (("", "f"), ("_reverse", "r")):
        W, R, b = rounded(4 * H, D, scale=.5), rounded(4 * H, H, scale=.5), rounded(4 * H, scale=.5)
        names.update({"weight_ih_l0" + suffix: W, "weight_hh_l0" + suffix: R,
                      "bias_ih_l0" + suffix: b,
                      "bias_hh_l0" + suffix: torch.zeros(4 * H, dtype=torch.double)})
        weights.update({"W" + key: W, "R" + key: R, "b" + key: b})
    xs = [rounded(n, D) for n in lengths]
    packed = torch.nn.utils.rnn.pack_sequence(xs, enforce_sorted=False)
    h, _ = torch.func.functional_call(m, names, (packed,))
    hs = torch.nn.utils.rnn.unpack_sequence(h)
    h = torch.cat(hs)
    dh = rounded(sum(lengths), 2 * H)
    (h * dh).sum().backward()
    out["lengths"] = torch.tensor(lengths)
    out["x"] = torch.cat(xs)
    out.update(weights)
    out.update({"dh": dh, "h": h, "dx": torch.cat([x.grad for x in xs])})
    out.update({"d" + k: w.grad for k, w in weights.items()})
    return out


def attention():
    lengths, D, A = [4, 0, 1, 7], 10, 6
    rows = sum(lengths)
    h, Wa, w = rounded(rows, D), rounded(A, D), rounded(A)
    bias, empty, dout = rounded(rows), rounded(D), rounded(len(lengths), D)
    score = torch.tanh(h @ Wa.T) @ w + bias
    alpha, out, at = [], [], 0
    for n in lengths:
        a = torch.softmax(score[at:at + n], 0)
        alpha.append(a)
        out.append(a @ h[at:at + n] if n else empty)
        at += n
    out = torch.stack(out)
    (out * dout).sum().backward()
    return {"lengths": torch.tensor(lengths), "h": h, "Wa": Wa, "w": w, "bias": bias,
            "empty": empty, "dout": dout, "alpha": torch.cat(alpha), "out": out, "dh": h.grad,
            "dWa": Wa.grad, "dw": w.grad, "dbias": bias.grad, "dempty": empty.grad}


def main():
    where = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.abspath(__file__))
    for make in (lstm, bilstm, attention):
        torch.manual_seed(1)
        write(os.path.join(where, make.__name__ + ".txt"), make())


if __name__ == "__main__":
    main()
