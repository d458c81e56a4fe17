#!/usr/bin/env python3
"""Loads a LoRA that Kino trained with diffusers' `load_lora_weights`, and compares the transformer's velocity with
Kino's under `--lora`, and with that of the model merged by `kino convert --lora`.

    pip install torch==2.13.0 diffusers==0.42.1 peft safetensors transformers
    python3 Tools/lora/check_diffusers.py LORA.safetensors [MODEL] [KINO]

Ends with 1 if a key has no place, or the two differ by more than 40 dB below the velocity's own size.
"""

import math
import pathlib
import subprocess
import sys
import tempfile

import torch
from diffusers import UniPCMultistepScheduler, WanPipeline, WanTransformer3DModel
from safetensors.torch import load_file, save_file

ROOT = pathlib.Path(__file__).resolve().parents[2]


def decibels(found, expected):
    return 10 * math.log10(expected.pow(2).mean() / (found - expected).pow(2).mean().clamp_min(1e-30))


def main():
    lora = pathlib.Path(sys.argv[1])
    model = pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else ROOT / "Models/kino-mini")
    kino = sys.argv[3] if len(sys.argv) > 3 else str(ROOT / ".build/release/kino")
    torch.manual_seed(0)
    network = WanTransformer3DModel.from_pretrained(model / "transformer", torch_dtype=torch.float32)
    sizes = network.config
    inputs = {
        "latents": torch.randn(1, sizes.in_channels, 3, 8, 8), "timestep": torch.tensor([600.0]),
        "hidden_states": torch.randn(1, 24, sizes.text_dim),
    }
    pipeline = WanPipeline(
        tokenizer=None, text_encoder=None, vae=None, scheduler=UniPCMultistepScheduler(), transformer=network)

    def velocity():
        with torch.no_grad():
            return network(
                hidden_states=inputs["latents"], timestep=inputs["timestep"],
                encoder_hidden_states=inputs["hidden_states"], return_dict=False)[0]

    plain = velocity()
    pipeline.load_lora_weights(str(lora.parent), weight_name=lora.name)
    expected = velocity()
    failed = False
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        save_file(inputs, work / "in.safetensors")
        merged = work / "merged"
        subprocess.run([kino, "convert", str(model), str(merged), "--lora", str(lora), "--precision", "f32"],
                       check=True, capture_output=True)
        for name, options in [("--lora", ["--model", str(model), "--lora", str(lora)]),
                              ("merged", ["--model", str(merged)])]:
            subprocess.run(
                [kino, "probe", "transformer", *options, "--precision", "f32", "--input", str(work / "in.safetensors"),
                 "--output", str(work / "out.safetensors")], check=True)
            found = load_file(work / "out.safetensors")["velocity"]
            distance = decibels(found, expected)
            failed = failed or distance < 40
            print(f"{name}: Kino and diffusers agree to {distance:.1f} dB")
    print(f"the LoRA itself changes the velocity to {decibels(plain, expected):.1f} dB")
    sys.exit(failed)


main()
