"""Goldens of the diffusion transformer: one timestep per sample, and one per token."""

import torch
from diffusers import WanTransformer3DModel

from common import GOLDENS, Taps, generator, randomize, report, write, write_diffusers_model

SEED = 31
CONFIGURATION = dict(
    num_attention_heads=2,
    attention_head_dim=16,
    in_channels=6,
    out_channels=6,
    text_dim=24,
    freq_dim=32,
    ffn_dim=96,
    num_layers=2,
)
FRAMES, HEIGHT, WIDTH = 3, 4, 6
TOKENS = FRAMES * (HEIGHT // 2) * (WIDTH // 2)


def build(random):
    return randomize(WanTransformer3DModel(**CONFIGURATION), random, gain=1.0)


def taps(model, name):
    embedder, block = model.condition_embedder, model.blocks[0]
    modules = {
        "patch_embedding": model.patch_embedding,
        "sinusoid": embedder.timesteps_proj,
        "time_embedding": embedder.time_embedder,
        "time_projection": embedder.time_proj,
        "text_embedding": embedder.text_embedder,
        "blocks.0.attn1": block.attn1,
        "blocks.0.attn2": block.attn2,
        "blocks.0.ffn": block.ffn,
        "blocks.0": block,
        "blocks.1": model.blocks[1],
        "proj_out": model.proj_out,
    }
    return Taps(f"{name}.tap.", modules)


def run(model, name, latents, timestep, text):
    with taps(model, name) as seen:
        velocity = model(latents, timestep, text).sample
    return {
        f"{name}.latents": latents,
        f"{name}.timestep": timestep,
        f"{name}.text": text,
        f"{name}.velocity": velocity,
        **seen.tensors(),
    }


def main():
    random = generator(SEED)
    model = build(random)
    normal = lambda *shape: torch.randn(shape, generator=random)
    latents, text = normal(2, 6, FRAMES, HEIGHT, WIDTH), normal(2, 7, 24)
    # The second text ends in rows of zeros, as a padded prompt does.
    text[1, 4:] = 0

    per_token = torch.full((2, TOKENS), 640.0)
    per_token[0, : TOKENS // FRAMES] = 0
    per_token[1] = torch.linspace(0, 999, TOKENS).round()

    tensors = {
        **run(model, "sample", latents, torch.tensor([999.0, 137.25]), text),
        **run(model, "token", normal(2, 6, FRAMES, HEIGHT, WIDTH), per_token, text),
    }
    cosine, sine = model.rope(latents)
    # [1, tokens, 1, head dimension], every value twice in a row.
    tensors["rotary.cos"] = cosine[0, :, 0]
    tensors["rotary.sin"] = sine[0, :, 0]
    report(tensors)

    folder = GOLDENS / "transformer"
    write_diffusers_model(folder, model, SEED)
    write(folder / "io.safetensors", tensors, SEED)

    again = WanTransformer3DModel.from_pretrained(folder)
    inputs = [tensors[f"token.{name}"] for name in ("latents", "timestep", "text")]
    if not torch.equal(again(*inputs).sample, tensors["token.velocity"]):
        raise SystemExit("transformer: the written model gives another result")


if __name__ == "__main__":
    main()
