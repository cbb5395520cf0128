"""Timing and printing shared by the peers: JSON lines on stdout, notes on stderr."""

import json
import sys
import time

import torch


def setup(threads):
    """Fixes the threads and the seed, and prints what this PyTorch is made of.

    Denormals are flushed before the first parallel region, whose threads inherit this: decaying gradients
    over padded steps are full of them, and they cost a factor of ten."""
    torch.set_flush_denormal(True)
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    print(torch.__config__.show(), file=sys.stderr)
    emit({"name": "about", "torch": torch.__version__, "threads": torch.get_num_threads(),
          "cpu_capability": torch.backends.cpu.get_cpu_capability()})


def emit(row):
    print(json.dumps(row), flush=True)


def measure(name, work, seconds=2.0, runs_max=20000, warm_seconds=0.3, **extra):
    """Runs work() for about `seconds` after a warm-up and prints the median and the 99th percentile.

    At least 5 runs are made. Returns the median in microseconds."""
    end = time.perf_counter() + warm_seconds
    work()
    work()
    while time.perf_counter() < end:
        work()
    took = []
    end = time.perf_counter() + seconds
    while len(took) < 5 or (len(took) < runs_max and time.perf_counter() < end):
        start = time.perf_counter_ns()
        work()
        took.append((time.perf_counter_ns() - start) * 1e-3)
    took.sort()
    p50 = took[len(took) // 2]
    row = {"name": name, "p50_us": round(p50, 2), "p99_us": round(took[int(0.99 * (len(took) - 1))], 2),
           "runs": len(took)}
    for key, value in extra.items():
        row[key] = value(p50) if callable(value) else value
    emit(row)
    return p50
