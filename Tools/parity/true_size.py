#!/usr/bin/env python3
"""Compares Kino with diffusers at published widths: random weights, a few blocks, small latents.

    python Tools/parity/true_size.py 2.1-1.3B|2.1-14B|2.1-I2V-14B|2.2-5B WORK [KINO]

Writes a model folder into WORK (2 to 5 GB): the autoencoder at its true size, two blocks of the transformer
and four of the text encoder at their true widths, for image to video the image encoder whole, the tokenizer of
kino-mini. Then `check_model.py` compares every stage.
"""

import json
import pathlib
import shutil
import subprocess
import sys

import torch
from diffusers import AutoencoderKLWan, WanTransformer3DModel
from transformers import CLIPVisionConfig, CLIPVisionModel, UMT5Config, UMT5EncoderModel

HERE = pathlib.Path(__file__).resolve().parent
MINI = HERE.parents[1] / "Models/kino-mini"
TRANSFORMERS = {
    "2.1-1.3B": dict(num_attention_heads=12, ffn_dim=8960, in_channels=16, out_channels=16),
    "2.1-14B": dict(num_attention_heads=40, ffn_dim=13824, in_channels=16, out_channels=16),
    "2.1-I2V-14B": dict(
        num_attention_heads=40, ffn_dim=13824, in_channels=36, out_channels=16, image_dim=1280,
        added_kv_proj_dim=5120),
    "2.2-5B": dict(num_attention_heads=24, ffn_dim=14336, in_channels=48, out_channels=48),
}
AUTOENCODERS = {
    "2.1-1.3B": {},
    "2.1-14B": {},
    "2.1-I2V-14B": {},
    "2.2-5B": dict(
        base_dim=160, decoder_base_dim=256, z_dim=48, is_residual=True, in_channels=12, out_channels=12,
        patch_size=2, scale_factor_spatial=16, latents_mean=[0.0] * 48, latents_std=[1.0] * 48),
}


# umT5-XXL but for its vocabulary, which is kino-mini's.
TEXT_ENCODER = dict(
    vocab_size=1000, d_model=4096, d_kv=64, d_ff=10240, num_heads=64, num_layers=4,
    feed_forward_proj="gated-gelu")

# CLIP ViT-H/14, as Wan 2.1 reads pictures.
IMAGE_ENCODER = dict(
    hidden_size=1280, intermediate_size=5120, projection_dim=1024, num_hidden_layers=32, num_attention_heads=16,
    image_size=224, patch_size=14, hidden_act="gelu")


def main():
    name, folder = sys.argv[1], pathlib.Path(sys.argv[2]) / f"true-{sys.argv[1]}"
    torch.manual_seed(1)
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(MINI, folder, ignore=shutil.ignore_patterns("kino.json", "transformer", "vae", "text_encoder"))
    transformer = WanTransformer3DModel(
        **TRANSFORMERS[name], attention_head_dim=128, num_layers=2, text_dim=4096)
    autoencoder = AutoencoderKLWan(**AUTOENCODERS[name])
    text_encoder = UMT5EncoderModel(UMT5Config(**TEXT_ENCODER))
    parts = [(transformer, "transformer"), (autoencoder, "vae"), (text_encoder, "text_encoder")]
    if "image_dim" in TRANSFORMERS[name]:
        parts.append((CLIPVisionModel(CLIPVisionConfig(**IMAGE_ENCODER)), "image_encoder"))
    index = json.loads((folder / "model_index.json").read_text())
    index |= {part: [type(model).__module__.split(".")[0], type(model).__name__] for model, part in parts}
    (folder / "model_index.json").write_text(json.dumps(index, indent=2))
    for model, part in parts:
        print(f"{part}: {sum(p.numel() for p in model.parameters()):,} parameters", flush=True)
        model.bfloat16().save_pretrained(folder / part)
    check = [sys.executable, str(HERE / "check_model.py"), str(folder), *sys.argv[3:4]]
    sys.exit(subprocess.run(check).returncode)


if __name__ == "__main__":
    main()
