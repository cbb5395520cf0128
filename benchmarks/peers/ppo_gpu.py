"""bench_ppo.py on a CUDA device: everything is made and stays there, TF32 allowed, more episodes
side by side. Same rows, one JSON object a line; "envs" tells the sizes apart.

Usage: ppo_gpu.py [--seconds 3] [--envs 4096] [--compile] [--device cuda|cpu]
"""

import argparse
import sys

import torch


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=3.0, help="measured time per row")
    parser.add_argument("--envs", type=int, default=4096)
    parser.add_argument("--steps", type=int, default=32)
    parser.add_argument("--env-counts", type=int, nargs="+", default=[4096, 16384, 65536])
    parser.add_argument("--compile", action="store_true", help="try torch.compile too")
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    args = parser.parse_args()
    if args.device == "cuda" and not torch.cuda.is_available():
        sys.exit("ppo_gpu.py: PyTorch sees no CUDA device")
    torch.set_default_device(args.device)
    torch.set_float32_matmul_precision("high")
    import bench_ppo  # its tables are made on the device that is set by then

    bench_ppo.AGREE = 2e-2  # TF32
    bench_ppo.main(
        ["--seconds", str(args.seconds), "--envs", str(args.envs), "--steps", str(args.steps)]
        + ["--env-counts", *map(str, args.env_counts)]
        + ["--compile"] * args.compile
    )


if __name__ == "__main__":
    main()
