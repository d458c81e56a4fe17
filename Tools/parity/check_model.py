#!/usr/bin/env python3
"""Loads a model folder with diffusers' and transformers' own classes and compares every stage with Kino.

    /tmp/peers/bin/pip install torch==2.13.0 diffusers==0.42.1 transformers sentencepiece safetensors accelerate
    /tmp/peers/bin/python Tools/parity/check_model.py [MODEL] [KINO]

Prints missing and unexpected keys, and the largest difference of each stage in float32, relative to the
largest value. Ends with 1 if a key is at fault or a difference is above 1e-3.
"""

import pathlib
import sys
import tempfile

import torch
from diffusers import AutoencoderKLWan, WanTransformer3DModel
from sentencepiece import SentencePieceProcessor
from transformers import CLIPVisionModel, UMT5EncoderModel

from stages import Kino

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROMPT = "A shiny red ball bounces on the grass at sunset, the camera pans left."
failed = False


def report(name, holds, text):
    global failed
    failed = failed or not holds
    print(f"{'ok ' if holds else 'BAD'} {name}: {text}")


def load(cls, folder):
    model, info = cls.from_pretrained(folder, output_loading_info=True)
    faults = {key: list(info[key]) for key in ("missing_keys", "unexpected_keys", "mismatched_keys")}
    # The encoder's two names of its embedding are one tensor.
    faults["missing_keys"] = [key for key in faults["missing_keys"] if key != "encoder.embed_tokens.weight"]
    report(cls.__name__, not any(faults.values()), "no key missing or unexpected" if not any(faults.values()) else faults)
    return model.float().eval()


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "Models/kino-mini")
    kino = sys.argv[2] if len(sys.argv) > 2 else str(ROOT / ".build/release/kino")
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)

        probe = Kino(kino, work, ["--model", folder]).probe

        def compare(name, found, expected):
            difference = ((found - expected).abs().max() / expected.abs().max()).item()
            report(name, difference <= 1e-3, f"{difference:.1e}")

        pieces = SentencePieceProcessor(model_file=str(folder / "tokenizer/spiece.model"))
        expected = torch.tensor([pieces.encode(PROMPT) + [pieces.eos_id()]])
        ids = probe("tokenize", text=PROMPT)
        report("tokenizer", ids.tolist() == expected.tolist(), f"{ids.shape[1]} pieces")

        mask = torch.ones_like(ids)
        with torch.no_grad():
            encoder = load(UMT5EncoderModel, folder / "text_encoder")
            states = encoder(ids, attention_mask=mask).last_hidden_state
            compare("text encoder", probe("text-encoder", {"input_ids": ids, "attention_mask": mask}), states)

            autoencoder = load(AutoencoderKLWan, folder / "vae")
            pixels = torch.rand(1, 3, 9, 64, 96) * 2 - 1
            latents = autoencoder.encode(pixels).latent_dist.mode()
            compare("encode", probe("encode", {"pixels": pixels}), latents)
            compare("decode", probe("decode", {"latents": latents}), autoencoder.decode(latents).sample)

            transformer = load(WanTransformer3DModel, folder / "transformer")
            images = {}
            if (folder / "image_encoder").exists():
                reader = load(CLIPVisionModel, folder / "image_encoder")
                pictures = torch.randn(1, 3, reader.config.image_size, reader.config.image_size)
                expected = reader(pictures, output_hidden_states=True).hidden_states[-2]
                compare("image encoder", probe("image-encoder", {"pixel_values": pictures}), expected)
                images = {"image_hidden_states": expected}
                # diffusers takes the last 512 rows for the text.
                states = torch.nn.functional.pad(states, (0, 0, 0, 512 - states.shape[1]))
            noise = torch.randn(1, transformer.config.in_channels, 3, 8, 8)
            tokens = (8 // transformer.config.patch_size[1]) * (8 // transformer.config.patch_size[2])
            for name, timestep in [("one timestep", torch.tensor([700.0])),
                                   ("a timestep per token", torch.tensor([[0.0] * tokens + [700.0] * 2 * tokens]))]:
                # Models that read pictures have one timestep.
                if images and timestep.dim() > 1:
                    continue
                expected = transformer(noise, timestep, states, *images.values()).sample
                found = probe(
                    "transformer", {"latents": noise, "timestep": timestep, "hidden_states": states, **images})
                compare(f"transformer, {name}", found, expected)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
