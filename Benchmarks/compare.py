#!/usr/bin/env python3
"""Runs Kino and diffusers on the same work in turns, and prints medians and their ratio.

    python3 -m venv /tmp/peers && /tmp/peers/bin/pip install torch==2.13.0 diffusers==0.42.1 transformers
    swift build -c release --product kino
    /tmp/peers/bin/python Benchmarks/compare.py wan2.1-1.3b-step --rounds 5

Both sides have random weights of the same shapes, the same latents, batch 1, a text of 512 rows and the
same number of threads. Each round runs one side, then the other, each with a warm-up that is not
counted, so that a machine that others use slows both alike.
"""

import argparse
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
WORKLOADS = ["attention", "linear", "wan2.1-1.3b-step", "wan2.1-1.3b-decode", "mini-train-step", "mini-decode"]
DEFAULT_LATENTS = {"mini-train-step": "5x8x8", "mini-decode": "9x16x16"}


def peer(workload, latents, precision, threads):
    """Times one run of PyTorch or diffusers, after one warm-up; seconds."""
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    dtype = {"bf16": torch.bfloat16, "f32": torch.float32}[precision]
    frames, height, width = latents
    tokens = frames * (height // 2) * (width // 2)

    def wan(**sizes):
        from diffusers import WanTransformer3DModel

        default = dict(num_attention_heads=12, attention_head_dim=128, in_channels=16, out_channels=16,
                       text_dim=4096, ffn_dim=8960, num_layers=30)
        return WanTransformer3DModel(patch_size=(1, 2, 2), freq_dim=256, cross_attn_norm=True,
                                     qk_norm="rms_norm_across_heads", **{**default, **sizes})

    if workload == "attention":
        x = torch.randn(1, tokens, 12, 128).to(dtype).transpose(1, 2)
        run = lambda: torch.nn.functional.scaled_dot_product_attention(x, x, x)
    elif workload == "linear":
        x, w = torch.randn(tokens, 1536).to(dtype), torch.randn(8960, 1536).to(dtype)
        run = lambda: torch.nn.functional.linear(x, w)
    elif workload == "wan2.1-1.3b-step":
        model = wan().to(dtype).eval()
        x, text = torch.randn(1, 16, frames, height, width).to(dtype), torch.randn(1, 512, 4096).to(dtype)
        run = lambda: model(x, torch.tensor([500.0]), text)
    elif workload == "mini-train-step":
        model = wan(num_attention_heads=4, attention_head_dim=64, in_channels=48, out_channels=48,
                    text_dim=256, ffn_dim=1024, num_layers=12)
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-12)
        x, text = torch.randn(32, 48, frames, height, width), torch.randn(32, 24, 256)

        def run():
            with torch.enable_grad():
                with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
                    velocity = model(x, torch.full((32,), 500.0), text).sample
                (velocity.float() - x).square().mean().backward()
                optimizer.step()
                optimizer.zero_grad()
    else:
        from diffusers import AutoencoderKLWan

        if workload == "mini-decode":
            model = AutoencoderKLWan(base_dim=64, decoder_base_dim=64, z_dim=48, dim_mult=[1, 2, 2], num_res_blocks=2,
                                     temperal_downsample=[True, True], is_residual=True, in_channels=48,
                                     out_channels=48, patch_size=4, scale_factor_temporal=4, scale_factor_spatial=16,
                                     latents_mean=[0.0] * 48, latents_std=[1.0] * 48)
            x = torch.randn(1, 48, frames, height, width).to(dtype)
        else:
            model = AutoencoderKLWan()
            x = torch.randn(1, 16, frames, height, width).to(dtype)
        model = model.to(dtype).eval()
        run = lambda: model.decode(x)

    with torch.no_grad():
        run()
        start = time.perf_counter()
        run()
        return time.perf_counter() - start


def peer_in_process(arguments, latents):
    command = [sys.executable, __file__, arguments.workload, "--peer", "--latents", latents,
               "--precision", arguments.precision, "--threads", str(arguments.threads)]
    line = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1]
    result = json.loads(line)
    return result["seconds"], result["peak_bytes"]


def kino(arguments, latents):
    command = [arguments.kino, "bench", arguments.workload, "--latents", latents, "--runs", "1", "--json",
               "--precision", arguments.kino_precision or arguments.precision, "--threads", str(arguments.threads)]
    if arguments.weights:
        command += ["--weights", str(arguments.weights)]
    result = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return result["median_ms"] / 1000, result["peak_bytes"]


def compare(arguments, latents, peer_in_process, peer_name):
    """Runs both in turns and prints what each took."""
    rounds = [(kino(arguments, latents), peer_in_process(arguments, latents)) for _ in range(arguments.rounds)]
    print(f"{arguments.workload} {latents}, {arguments.threads} threads, {len(rounds)} rounds")
    medians = []
    for side, name in enumerate([f"kino {arguments.kino_precision or arguments.precision}", peer_name]):
        times = [r[side][0] * 1e3 for r in rounds]
        medians.append(statistics.median(times))
        peak = max(r[side][1] for r in rounds) / 1e9
        print(f"  {name:42} {medians[-1]:10.1f} ms  ({min(times):.1f} to {max(times):.1f})  {peak:.2f} GB")
    print(f"  ratio of medians {medians[1] / medians[0]:.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workload", choices=WORKLOADS)
    parser.add_argument("--latents", help="frames, rows, columns, as FxHxW")
    parser.add_argument("--precision", choices=["bf16", "f32"], default="bf16")
    parser.add_argument("--kino-precision", choices=["bf16", "f32", "int8"], help="Kino's, where it differs")
    parser.add_argument("--weights", help="a transformer's file for Kino's wan2.1-1.3b-step; random ones without it")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--kino", default=str(ROOT / ".build/release/kino"))
    parser.add_argument("--peer", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    latents = arguments.latents or DEFAULT_LATENTS.get(arguments.workload, "5x32x32")
    if arguments.peer:
        seconds = peer(arguments.workload, [int(n) for n in latents.split("x")], arguments.precision,
                       arguments.threads)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(json.dumps({"seconds": seconds, "peak_bytes": peak}))
        return
    compare(arguments, latents, peer_in_process, f"diffusers {arguments.precision}")


if __name__ == "__main__":
    main()
