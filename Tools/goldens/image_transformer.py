"""Goldens of transformers that read pictures too: image to video, and first to last frame (Wan 2.1)."""

import torch
from diffusers import WanTransformer3DModel

from common import GOLDENS, generator, randomize, report, write, write_diffusers_model

CONFIGURATION = dict(
    num_attention_heads=2,
    attention_head_dim=8,
    in_channels=12,
    out_channels=4,
    text_dim=24,
    freq_dim=32,
    ffn_dim=32,
    num_layers=2,
    image_dim=20,
    added_kv_proj_dim=16,
)
# The reference takes all rows but the last 512 for the pictures'.
TEXT_ROWS, IMAGE_ROWS = 512, 5


def make(name, seed, pictures, **more):
    random = generator(seed)
    model = randomize(WanTransformer3DModel(**CONFIGURATION, **more), random, gain=1.0)
    normal = lambda *shape: torch.randn(shape, generator=random)
    latents, text = normal(2, 12, 3, 4, 6), torch.zeros(2, TEXT_ROWS, 24)
    text[:, :6] = normal(2, 6, 24)
    images = normal(2 * pictures, IMAGE_ROWS, 20)
    timestep = torch.tensor([999.0, 137.25])
    velocity = model(latents, timestep, text, encoder_hidden_states_image=images).sample
    tensors = {
        "latents": latents,
        "timestep": timestep,
        # Rows behind these are zeros.
        "text": text[:, :6],
        "images": images.reshape(2, pictures * IMAGE_ROWS, 20),
        "image_embedding": model.condition_embedder.image_embedder(images),
        "velocity": velocity,
    }
    report(tensors)
    folder = GOLDENS / name
    write_diffusers_model(folder, model, seed)
    write(folder / "io.safetensors", tensors, seed)


def main():
    make("image-transformer", 41, 1)
    make("first-last-transformer", 42, 2, pos_embed_seq_len=2 * IMAGE_ROWS)


if __name__ == "__main__":
    main()
