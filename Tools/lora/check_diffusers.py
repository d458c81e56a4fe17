#!/usr/bin/env python3
"""Loads a LoRA that Kino trained with diffusers' `load_lora_weights`, and compares with Kino's under `--lora`, and with
that of the model merged by `kino convert --lora`, the transformer's velocity and the frames of a whole clip: the same
noise, 20 steps of Euler with guidance 4, every velocity and the decoding by the one or by the other.

    pip install torch==2.13.0 diffusers==0.42.1 peft safetensors transformers
    python3 Tools/lora/check_diffusers.py LORA.safetensors [MODEL] [KINO] [PROMPT]

Ends with 1 if a key has no place, or the two differ by more than 40 dB below the velocity's own size, or by more than
40 dB of PSNR.
"""

import math
import pathlib
import subprocess
import sys
import tempfile

import torch
from diffusers import AutoencoderKLWan, UniPCMultistepScheduler, WanPipeline, WanTransformer3DModel

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "Tools/parity"))
from stages import Kino  # noqa: E402
STEPS, GUIDANCE, SHIFT = 20, 4, 3


def decibels(found, expected):
    return 10 * math.log10(expected.pow(2).mean() / (found - expected).pow(2).mean().clamp_min(1e-30))


def psnr(found, expected):
    return 10 * math.log10(4 / (found - expected).pow(2).mean().clamp_min(1e-30))


class Stages(Kino):
    """The stages of a clip by Kino."""

    def velocity(self, latents, timestep, states):
        return self.probe("transformer", {"latents": latents, "timestep": timestep, "hidden_states": states})

    def decode(self, latents):
        return self.probe("decode", {"latents": latents})

    def states(self, text):
        pieces = self.probe("tokenize", text=text)
        return self.probe("text-encoder", {"input_ids": pieces, "attention_mask": torch.ones_like(pieces)})


def clip(engine, noise, prompt, nothing, mean, deviation):
    """Frames `[1, 3, F, H, W]` in -1...1 from noise: Euler's steps down shifted levels of noise."""
    levels = [1 - step / STEPS for step in range(STEPS + 1)]
    levels = [SHIFT * level / (1 + (SHIFT - 1) * level) for level in levels]
    latents = noise
    for level, below in zip(levels, levels[1:]):
        timestep = torch.tensor([level * 1000])
        without = engine.velocity(latents, timestep, nothing)
        velocity = without + GUIDANCE * (engine.velocity(latents, timestep, prompt) - without)
        latents = latents + (below - level) * velocity
    return engine.decode(latents * deviation + mean)


class Diffusers:
    """The same stages by diffusers' classes."""

    def __init__(self, transformer, autoencoder):
        self.transformer, self.autoencoder = transformer, autoencoder

    @torch.no_grad()
    def velocity(self, latents, timestep, states):
        return self.transformer(
            hidden_states=latents, timestep=timestep, encoder_hidden_states=states, return_dict=False)[0]

    @torch.no_grad()
    def decode(self, latents):
        return self.autoencoder.decode(latents).sample


def main():
    lora = pathlib.Path(sys.argv[1])
    model = pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else ROOT / "Models/kino-mini")
    program = sys.argv[3] if len(sys.argv) > 3 else str(ROOT / ".build/release/kino")
    prompt = sys.argv[4] if len(sys.argv) > 4 else "a zorbix slides to the right on grass"
    torch.manual_seed(0)
    network = WanTransformer3DModel.from_pretrained(model / "transformer", torch_dtype=torch.float32)
    autoencoder = AutoencoderKLWan.from_pretrained(model / "vae", torch_dtype=torch.float32)
    pipeline = WanPipeline(
        tokenizer=None, text_encoder=None, vae=None, scheduler=UniPCMultistepScheduler(), transformer=network)
    reference = Diffusers(network, autoencoder)
    channels = network.config.in_channels
    mean, deviation = (torch.tensor(values).view(1, channels, 1, 1, 1)
                       for values in (autoencoder.config.latents_mean, autoencoder.config.latents_std))
    one = (torch.randn(1, channels, 3, 8, 8), torch.tensor([600.0]), torch.randn(1, 24, network.config.text_dim))
    noise = torch.randn(1, channels, 5, 8, 8)
    failed = False
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        kino = Stages(program, work, ["--model", model])
        texts = (kino.states(prompt), kino.states(""))

        plain = reference.velocity(*one)
        without = clip(reference, noise, *texts, mean, deviation)
        pipeline.load_lora_weights(str(lora.parent), weight_name=lora.name)
        velocity = reference.velocity(*one)
        frames = clip(reference, noise, *texts, mean, deviation)

        merged = work / "merged"
        subprocess.run([program, "convert", str(model), str(merged), "--lora", str(lora), "--precision", "f32"],
                       check=True, capture_output=True)
        for name, options in [("--lora", ["--model", model, "--lora", lora]),
                              ("merged", ["--model", merged])]:
            kino = Stages(program, work, options)
            velocities = decibels(kino.velocity(*one), velocity)
            clips = psnr(clip(kino, noise, *texts, mean, deviation), frames)
            failed = failed or velocities < 40 or clips < 40
            print(f"{name}: Kino and diffusers agree to {velocities:.1f} dB, their frames to {clips:.1f} dB of PSNR")
    print(f"without the LoRA the velocity agrees to {decibels(plain, velocity):.1f} dB, "
          f"the frames to {psnr(without, frames):.1f} dB")
    sys.exit(failed)


main()
