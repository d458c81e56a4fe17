#!/usr/bin/env python3
"""Compares every stage of a model on two devices, and times it.

    python3 Tools/parity/devices.py KINO MODEL [cuda|mps [STAGE...]]

Needs numpy and safetensors. Prints the largest difference of each stage from the processor's float32, relative to
the largest value, in float32 and bfloat16. Ends with 1 if a difference is above 1e-3, or 0.05 in bfloat16.
"""

import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np
from safetensors.numpy import load_file, save_file

LIMITS = {"f32": 1e-3, "bf16": 0.05}


def main():
    kino, model = sys.argv[1:3]
    device = sys.argv[3] if len(sys.argv) > 3 else "cuda"
    random = np.random.default_rng(0)
    failed = False
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)

        def probe(stage, where, precision, tensors=None, text=None):
            command = [kino, "probe", stage, "--model", model, "--precision", precision, "--device", where,
                       "--output", str(work / "out.safetensors")]
            if tensors:
                save_file(tensors, work / "in.safetensors")
                command += ["--input", str(work / "in.safetensors")]
            if text:
                command += ["--text", text]
            start = time.time()
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                raise SystemExit(f"{' '.join(command)}: {done.stderr[-2000:]}")
            return next(iter(load_file(work / "out.safetensors").values())), time.time() - start

        ids, _ = probe("tokenize", "cpu", "f32", text="A shiny red ball bounces on the grass at sunset.")
        states, _ = probe("text-encoder", "cpu", "f32",
                          {"input_ids": ids, "attention_mask": np.ones_like(ids)})
        pixels = np.tanh(random.standard_normal((1, 3, 9, 128, 128))).astype(np.float32)
        latents, _ = probe("encode", "cpu", "f32", {"pixels": pixels})
        noise = random.standard_normal(latents.shape).astype(np.float32)
        stages = {
            "text-encoder": {"input_ids": ids, "attention_mask": np.ones_like(ids)},
            "transformer": {"latents": noise, "timestep": np.array([700], np.float32), "hidden_states": states},
            "encode": {"pixels": pixels},
            "decode": {"latents": latents},
        }
        for stage, tensors in stages.items():
            if sys.argv[4:] and stage not in sys.argv[4:]:
                continue
            expected, _ = probe(stage, "cpu", "f32", tensors)
            for precision, limit in LIMITS.items():
                found, seconds = probe(stage, device, precision, tensors)
                error = np.abs(found - expected).max() / np.abs(expected).max()
                holds = bool(error <= limit)
                failed = failed or not holds
                print(f"{'ok ' if holds else 'BAD'} {stage} {device} {precision}: {error:.2e}, {seconds:.1f} s", flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
