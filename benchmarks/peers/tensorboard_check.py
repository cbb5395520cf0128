#!/usr/bin/env python3
"""Reads a run's event files with the `tensorboard` package and compares them with metrics.jsonl.

    python3 benchmarks/peers/tensorboard_check.py runs/first
    python3 benchmarks/peers/tensorboard_check.py --golden

The first form exits 1 when a figure of one is missing in the other or differs. The second prints the
bytes (hexadecimal, wall time 0) that tests/trainer/test_tensorboard.c expects, made by protobuf.
"""

import argparse
import glob
import json
import math
import os
import sys

import numpy as np
from tensorboard.backend.event_processing import event_accumulator
from tensorboard.compat.proto import event_pb2, histogram_pb2, summary_pb2, tensor_pb2
from tensorboard.compat.proto import tensor_shape_pb2, types_pb2


def figures(path):
    """{(key, step): value} of metrics.jsonl, for everything that becomes a scalar."""
    out = {}
    with open(path, encoding="utf-8") as f:
        for line in f:
            row = json.loads(line)
            step = row.pop("env_steps")
            for key, x in row.items():
                members = {f"{key}.{m}": y for m, y in x.items()} if isinstance(x, dict) else {key: x}
                for name, y in members.items():
                    if isinstance(y, (int, float)):
                        out[name, step] = float(y)
    return out


def check(run):
    folder = os.path.join(run, "tensorboard")
    files = sorted(glob.glob(os.path.join(folder, "*tfevents*")))
    if not files:
        sys.exit(f"{folder}: holds no event file")
    reader = event_accumulator.EventAccumulator(
        folder, size_guidance={k: 0 for k in event_accumulator.DEFAULT_SIZE_GUIDANCE})
    reader.Reload()
    tags = reader.Tags()
    expected = figures(os.path.join(run, "metrics.jsonl"))
    found, faults = {}, []
    for tag in tags["scalars"]:
        key = tag.split("/", 1)[1]
        for e in reader.Scalars(tag):
            if (key, e.step) in found:
                faults.append(f"{tag}: step {e.step} is shown twice")
            found[key, e.step] = e.value
    for at in sorted(expected.keys() | found.keys()):
        a, b = expected.get(at), found.get(at)
        if a is None or b is None:
            faults.append(f"{at[0]} at {at[1]}: {'metrics.jsonl' if a is None else 'TensorBoard'} has none")
        elif not math.isclose(a, b, rel_tol=2e-5, abs_tol=1e-12):
            faults.append(f"{at[0]} at {at[1]}: metrics.jsonl {a}, TensorBoard {b}")
    buckets = 0
    for tag in tags["histograms"]:
        for e in reader.Histograms(tag):
            h = e.histogram_value
            buckets += len(h.bucket)
            if not math.isclose(sum(h.bucket), h.num) or h.bucket_limit != sorted(h.bucket_limit):
                faults.append(f"{tag} at {e.step}: the buckets are wrong")
    texts = [t for t in tags["tensors"]
             if reader.SummaryMetadata(t).plugin_data.plugin_name == "text"]
    for fault in faults[:20]:
        print(fault)
    print(f"{len(files)} event files, {len(tags['scalars'])} curves, {len(found)} points, "
          f"{len(tags['histograms'])} histograms of {buckets} buckets, {len(texts)} texts: "
          f"{len(faults)} faults")
    return bool(faults)


def default_limits():
    positive, x = [], 1e-12
    while x < 1e20:
        positive.append(x)
        x *= 1.1
    return [-x for x in reversed(positive)] + [0.0] + positive + [np.finfo(np.float64).max]


def histogram(values):
    limits = default_limits()
    at = np.searchsorted(limits, values, side="right")
    count = np.bincount(at, minlength=len(limits))
    limit, bucket, i = [], [], 0
    while i < len(limits):
        end, c = limits[i], count[i]
        i += 1
        while c == 0 and i < len(limits) and count[i] == 0:
            end = limits[i]
            i += 1
        limit.append(end)
        bucket.append(float(c))
    v = np.asarray(values, dtype=np.float64)
    return histogram_pb2.HistogramProto(
        min=v.min(), max=v.max(), num=len(v), sum=v.sum(), sum_squares=(v * v).sum(),
        bucket_limit=limit, bucket=bucket)


def golden():
    def summary(step, **value):
        value = summary_pb2.Summary.Value(**value)
        return event_pb2.Event(step=step, summary=summary_pb2.Summary(value=[value]))

    start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
    text = summary_pb2.SummaryMetadata(
        plugin_data=summary_pb2.SummaryMetadata.PluginData(plugin_name="text"))
    tensor = tensor_pb2.TensorProto(
        dtype=types_pb2.DT_STRING, string_val=[b"# seed 1"],
        tensor_shape=tensor_shape_pb2.TensorShapeProto(
            dim=[tensor_shape_pb2.TensorShapeProto.Dim(size=1)]))
    counts = histogram_pb2.HistogramProto(
        min=-0.5, max=3.5, num=10, sum=19, sum_squares=53, bucket_limit=[0.5, 1.5, 2.5, 3.5],
        bucket=[3, 0, 2, 5])
    for event in [
        event_pb2.Event(file_version="brain.Event:2"),
        event_pb2.Event(step=4097, session_log=start),
        summary(4097, tag="train/return", simple_value=-13.582),
        summary(300000000000, tag="policy/kl", simple_value=0),
        summary(5000, tag="weights", histo=histogram([-1.5, 0, 0, 0.25, 0.28125, 2.0**100])),
        summary(5000, tag="train/actions", histo=counts),
        summary(0, tag="config", tensor=tensor, metadata=text),
    ]:
        print(event.SerializeToString().hex())


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", nargs="?", help="the folder that 'syncog train' wrote")
    parser.add_argument("--golden", action="store_true", help="print the bytes of the test")
    args = parser.parse_args()
    if args.golden:
        golden()
        return 0
    if not args.run:
        parser.error("give a run's folder, or --golden")
    return check(args.run)


if __name__ == "__main__":
    sys.exit(main())
