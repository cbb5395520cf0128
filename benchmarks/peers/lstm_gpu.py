"""PyTorch's LSTM on a CUDA device beside ours: the rows of 'syncog bench kernels --device cuda'.

One JSON object a line, as there: bench, row, layer, batch, steps, pass, who (torch), math (bf16,
fp16, fp32), how (graph: replays of a CUDA graph; eager: direct calls, where it cannot be recorded),
us (median of event times, of one pass), us_per_step, replays. Inputs rotate over sets that are
together larger than twice the L2. fp32 runs without TF32. A row that fails says why (not_run).
Usage: lstm_gpu.py [--seconds 0.05] [--layer lstm-512] [--tiny]
"""

import argparse
import json
import sys

import torch

LAYERS = {
    "lstm-512": (512, 512, False),
    "bilstm-128": (512, 128, True),
    "bilstm-256": (512, 256, True),
}
BATCHES = (1, 16, 32, 64, 128, 512, 1024)
TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}
STEPS, REPLAYS_MIN, REPLAYS_MAX, SETS_MIN, SETS_MAX = 64, 5, 200, 2, 64


def emit(**row):
    print(json.dumps(row), flush=True)


def record(work):
    """A function that repeats `work`, and how."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            work()
    torch.cuda.current_stream().wait_stream(side)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    try:
        with torch.cuda.graph(graph):
            work()
    except RuntimeError:
        torch.cuda.synchronize()
        return work, "eager"
    return graph.replay, "graph"


def measure(work, sets, seconds):
    """Median microseconds of one set, the number of replays, and how they were made."""
    run, how = record(work)
    took = []
    for k in range(-2, REPLAYS_MAX):
        begun, ended = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begun.record()
        run()
        ended.record()
        ended.synchronize()
        if k >= 0:
            took.append(begun.elapsed_time(ended) * 1e3)
        if len(took) >= REPLAYS_MIN and sum(took) >= seconds * 1e6:
            break
    took.sort()
    return took[len(took) // 2] / sets, len(took), how


def set_count(bytes_of_one):
    l2 = torch.cuda.get_device_properties(0).L2_cache_size
    return min(max(2 * l2 // bytes_of_one + 1, SETS_MIN), SETS_MAX)


def passes(layer, batch, steps, dtype):
    """Yields the name, the work over all sets, and the number of sets, of both passes."""
    width, hidden, both = LAYERS[layer]
    lstm = torch.nn.LSTM(width, hidden, bidirectional=both).cuda().to(dtype)
    out = hidden * (2 if both else 1)
    rows = steps * batch
    sets = set_count(rows * (2 * width + 6 * out) * dtype.itemsize)
    x = [torch.randn(steps, batch, width, device="cuda", dtype=dtype) for _ in range(sets)]
    dh = torch.randn(steps, batch, out, device="cuda", dtype=dtype) * 0.01
    parameters = list(lstm.parameters())

    def forward():
        with torch.inference_mode():
            for one in x:
                lstm(one)

    def training():
        for one in x:
            y = lstm(one)[0]
            torch.autograd.grad(y, [one, *parameters], dh)

    yield "forward", forward, sets
    for one in x:
        one.requires_grad_()
    yield "forward + backward", training, sets


def rows_of(layer, batch, steps, math, seconds):
    about = dict(bench="lstm", layer=layer, batch=batch, steps=steps, who="torch", math=math)
    name = "forward"
    try:
        for name, work, sets in passes(layer, batch, steps, TYPES[math]):
            us, replays, how = measure(work, sets, seconds)
            emit(
                **about,
                row=f"{layer} B {batch} {name}",
                how=how,
                us=round(us, 3),
                us_per_step=round(us / steps, 4),
                sets=sets,
                replays=replays,
                **{"pass": name},
            )
    except (RuntimeError, torch.cuda.OutOfMemoryError) as fault:
        reason = str(fault).splitlines()[0][:200].replace('"', "'").replace("\\", "/")
        emit(**about, row=f"{layer} B {batch} {name}", how="", not_run=reason, **{"pass": name})
        torch.cuda.empty_cache()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=0.05, help="measured time per row")
    parser.add_argument("--layer", choices=LAYERS, action="append", help="default: all of them")
    parser.add_argument("--tiny", action="store_true", help="few steps and small batches")
    args = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("lstm_gpu.py: PyTorch sees no CUDA device")
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.manual_seed(1)
    emit(
        bench="about",
        who="torch",
        torch=torch.__version__,
        cuda=torch.version.cuda,
        cudnn=torch.backends.cudnn.version(),
        device=torch.cuda.get_device_name(0),
    )
    for layer in args.layer or LAYERS:
        for batch in BATCHES[: 2 if args.tiny else None]:
            for math in TYPES:
                rows_of(layer, batch, 4 if args.tiny else STEPS, math, args.seconds)


if __name__ == "__main__":
    main()
