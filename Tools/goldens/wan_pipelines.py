"""Goldens of the sampling loops of published models: two experts (Wan 2.2 A14B), and image to video with
one and with two pictures (Wan 2.1), with and without an image encoder's states.

`result` holds the normalized latents after four steps. Run `autoencoder.py` first, whose 2.1 form encodes
the pictures.
"""

import torch
from diffusers import (
    AutoencoderKLWan,
    UniPCMultistepScheduler,
    WanImageToVideoPipeline,
    WanPipeline,
    WanTransformer3DModel,
)

from common import GOLDENS, generator, randomize, report, write, write_diffusers_model

CHANNELS = 6
CONFIGURATION = dict(
    num_attention_heads=2,
    attention_head_dim=8,
    out_channels=CHANNELS,
    text_dim=24,
    freq_dim=32,
    ffn_dim=32,
    num_layers=1,
)
IMAGE = dict(image_dim=20, added_kv_proj_dim=16)
IMAGE_ROWS = 5
STEPS, SHIFT, GUIDANCE, LOW_NOISE_GUIDANCE, BOUNDARY = 4, 5.0, 4.0, 3.0, 0.875
FRAMES, HEIGHT, WIDTH = 9, 32, 48


def transformer(random, channels, **more):
    return randomize(WanTransformer3DModel(**CONFIGURATION, in_channels=channels, **more), random, gain=1.0)


def run(name, kind, seed, networks, tensors, states=None, **more):
    random = generator(seed)
    normal = lambda *shape: torch.randn(shape, generator=random)
    scheduler = UniPCMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=SHIFT
    )
    tensors = {
        "noise": normal(1, CHANNELS, 3, HEIGHT // 8, WIDTH // 8),
        "prompt": normal(1, 7, 24),
        "negative": normal(1, 5, 24),
        **tensors,
    }
    # All of 512 rows are attended to.
    padded = lambda text: torch.cat([text, torch.zeros(1, 512 - text.shape[1], 24)], dim=1)
    pipeline = kind(
        tokenizer=None,
        text_encoder=None,
        vae=AutoencoderKLWan.from_pretrained(GOLDENS / "autoencoder-2.1"),
        scheduler=scheduler,
        **networks,
    )
    if states is not None:
        pipeline.encode_image = lambda image, device: states
    pipeline.set_progress_bar_config(disable=True)
    tensors["result"] = pipeline(
        num_frames=FRAMES,
        height=HEIGHT,
        width=WIDTH,
        num_inference_steps=STEPS,
        guidance_scale=GUIDANCE,
        latents=tensors["noise"],
        prompt_embeds=padded(tensors["prompt"]),
        negative_prompt_embeds=padded(tensors["negative"]),
        output_type="latent",
        return_dict=False,
        **more,
    )[0]
    report(tensors)
    folder = GOLDENS / name
    for part in ["transformer", "transformer_2"]:
        if networks.get(part) is not None:
            write_diffusers_model(folder / part, networks[part], seed)
    write(folder / "io.safetensors", tensors, seed, steps=STEPS, flow_shift=SHIFT)


def experts(name, kind, seed, channels, tensors, **more):
    random = generator(seed + 500)
    networks = {part: transformer(random, channels) for part in ["transformer", "transformer_2"]}
    networks["boundary_ratio"] = BOUNDARY
    run(name, kind, seed, networks, tensors, guidance_scale_2=LOW_NOISE_GUIDANCE, **more)


def image(name, seed, count, **more):
    random = generator(seed + 500)
    pictures = torch.rand(count, 3, HEIGHT, WIDTH, generator=random)
    states = torch.randn(count, IMAGE_ROWS, 20, generator=random)
    networks = dict(
        transformer=transformer(random, 2 * CHANNELS + 4, **IMAGE, **more),
        image_encoder=None,
        image_processor=None,
    )
    inputs = dict(image=pictures[:1])
    if count == 2:
        inputs["last_image"] = pictures[1:]
    tensors = {"pictures": pictures, "images": states}
    run(name, WanImageToVideoPipeline, seed, networks, tensors, states, **inputs)


def main():
    experts("experts", WanPipeline, 71, CHANNELS, {})
    picture = torch.rand(1, 3, HEIGHT, WIDTH, generator=generator(72))
    experts(
        "image-experts", WanImageToVideoPipeline, 73, 2 * CHANNELS + 4, {"pictures": picture}, image=picture
    )
    image("image-to-video", 74, 1)
    image("first-last-to-video", 75, 2, pos_embed_seq_len=2 * IMAGE_ROWS)


if __name__ == "__main__":
    main()
