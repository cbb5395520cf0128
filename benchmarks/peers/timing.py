"""Timing and printing shared by the peers: JSON lines on stdout, notes on stderr."""

import json
import sys
import time

import torch


def setup(threads):
    """Fixes the threads and the seed, and prints what this PyTorch is made of.

    Denormals are flushed (ours are): before the first parallel region, which inherits it."""
    torch.set_flush_denormal(True)
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    print(torch.__config__.show(), file=sys.stderr)
    emit(
        {
            "name": "about",
            "torch": torch.__version__,
            "threads": torch.get_num_threads(),
            "cpu_capability": torch.backends.cpu.get_cpu_capability(),
            "device": torch.get_default_device().type,
        }
    )


def finish():
    """Waits for a CUDA device, where tensors are made there."""
    if torch.get_default_device().type == "cuda":
        torch.cuda.synchronize()


def emit(row):
    print(json.dumps(row), flush=True)


def measure(name, work, seconds=2.0, runs_max=20000, steps=None, flop=None, **extra):
    """Runs work() for `seconds` after a warm-up, 5 times at least; prints the median and the p99.

    `steps`: environment steps in one run, printed as steps_per_s; `flop`: printed as gflops.
    Returns the row."""
    work()
    finish()
    end = time.perf_counter() + min(0.3, seconds)
    work()
    while time.perf_counter() < end:
        work()
    finish()
    took = []
    end = time.perf_counter() + seconds
    while len(took) < 5 or (len(took) < runs_max and time.perf_counter() < end):
        start = time.perf_counter_ns()
        work()
        finish()
        took.append((time.perf_counter_ns() - start) * 1e-3)
    took.sort()
    p50 = took[len(took) // 2]
    row = {
        "name": name,
        "p50_us": round(p50, 2),
        "p99_us": round(took[int(0.99 * (len(took) - 1))], 2),
        "runs": len(took),
        **extra,
    }
    if steps:
        row["steps_per_s"] = round(steps / p50 * 1e6)
    if flop:
        row["gflops"] = round(flop / p50 * 1e-3, 1)
    emit(row)
    return row
