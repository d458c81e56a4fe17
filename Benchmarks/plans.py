#!/usr/bin/env python3
"""Compares what `kino plan` foretells with what `kino generate` then takes, as rows of a Markdown table.

    swift build -c release --product kino
    python3 Benchmarks/plans.py
"""

import argparse
import json
import os
import pathlib
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
SHAPES = [("128x128", 17), ("256x256", 33), ("512x512", 33), ("256x256", 333), ("1280x704", 17), ("1920x1080", 9)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", default="2")
    parser.add_argument("--precision", nargs="+", default=["f32", "bf16", "int8"])
    parser.add_argument("--model", default=str(ROOT / "Models/kino-mini"))
    parser.add_argument("--kino", default=str(ROOT / ".build/release/kino"))
    arguments = parser.parse_args()
    print("| Clip | precision | memory planned | measured | of plan | time planned | measured |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for size, frames in SHAPES:
            for precision in arguments.precision:
                words = ["generate", "a red ball", "--model", arguments.model, "--size", size, "--frames", str(frames),
                         "--steps", arguments.steps, "--seed", "1", "--precision", precision]
                text = subprocess.run([arguments.kino, "plan", *words, "--json"], check=True, capture_output=True,
                                      text=True).stdout
                plan = json.loads(text.splitlines()[-1])
                plan = plan.get("plan", plan)
                start = time.perf_counter()
                process = subprocess.Popen([arguments.kino, *words, "--output", f"{folder}/clip.mp4", "--overwrite",
                                            "--quiet"])
                _, status, usage = os.wait4(process.pid, 0)
                seconds = time.perf_counter() - start
                if status != 0:
                    print(f"| {size}, {frames} frames | {precision} | | failed | | | |")
                    continue
                peak, planned = usage.ru_maxrss * 1024, plan["peak_bytes"]
                print(f"| {size}, {frames} frames | {precision} | {planned / 1e9:.2f} GB | {peak / 1e9:.2f} GB "
                      f"| {peak / planned:.0%} | {plan['fastest_seconds']:.1f} to {plan['slowest_seconds']:.1f} s "
                      f"| {seconds:.1f} s |", flush=True)


if __name__ == "__main__":
    main()
