"""Goldens of the video autoencoder: the 2.1 form and the 2.2 form, at tiny sizes.

Taps of the encoder and decoder are joined over the chunks in which the reference works, so they
are what one pass over the whole clip must give.
"""

import torch
from diffusers import AutoencoderKLWan

from common import GOLDENS, Taps, generator, randomize, report, write, write_diffusers_model

LATENT_CHANNELS = 6


def configuration(form, generator):
    statistics = {
        "z_dim": LATENT_CHANNELS,
        "latents_mean": [round(v, 4) for v in torch.randn(LATENT_CHANNELS, generator=generator).tolist()],
        "latents_std": [
            round(0.5 + v, 4) for v in torch.rand(LATENT_CHANNELS, generator=generator).tolist()
        ],
    }
    if form == "2.1":
        return dict(statistics, base_dim=2, num_res_blocks=2)
    return dict(
        statistics,
        base_dim=3,
        decoder_base_dim=2,
        num_res_blocks=1,
        is_residual=True,
        in_channels=12,
        out_channels=12,
        patch_size=2,
        scale_factor_spatial=16,
    )


def taps(prefix, part, blocks):
    modules = {"conv_in": part.conv_in, "mid_block": part.mid_block, "conv_out": part.conv_out}
    for index, block in enumerate(getattr(part, blocks)):
        modules[f"{blocks}.{index}"] = block
    return Taps(prefix, modules, dim=2)


def encode(model, name, pixels):
    with taps(f"{name}.tap.", model.encoder, "down_blocks") as seen:
        moments = model.encode(pixels).latent_dist.parameters
    mean = moments[:, :LATENT_CHANNELS]
    statistic = lambda values: torch.tensor(values).view(1, -1, 1, 1, 1)
    normalized = (mean - statistic(model.config.latents_mean)) / statistic(model.config.latents_std)
    return {
        f"{name}.pixels": pixels,
        f"{name}.moments": moments,
        f"{name}.mean": mean,
        f"{name}.normalized": normalized,
        **seen.tensors(),
    }


def decode(model, name, latents):
    with taps(f"{name}.tap.", model.decoder, "up_blocks") as seen:
        pixels = model.decode(latents).sample
    # The clamp must be seen, and must not hide the rest.
    clipped = (pixels.abs() == 1).float().mean().item()
    print(f"  {name}: {clipped:.1%} of the pixels are clipped")
    if clipped > 0.3:
        raise SystemExit(f"{name}: {clipped:.0%} of the pixels are clipped")
    return {f"{name}.latents": latents, f"{name}.pixels": pixels, **seen.tensors()}


def golden(form, seed):
    random = generator(seed)
    model = AutoencoderKLWan(**configuration(form, random))
    randomize(model, random, overrides={"decoder.conv_out.weight": 1.2})
    ratio = model.config.scale_factor_spatial
    # Latent rows and columns; never square, so that swapped axes show.
    clip, image = (1, 2), (2, 3)
    pixels = lambda batch, frames, grid: (
        torch.rand(batch, 3, frames, ratio * grid[0], ratio * grid[1], generator=random) * 2 - 1
    )
    latents = lambda batch, frames, grid: torch.randn(
        batch, LATENT_CHANNELS, frames, *grid, generator=random
    )
    tensors = {
        **encode(model, "encode", pixels(1, 9, clip)),
        **encode(model, "encode_image", pixels(2 if form == "2.1" else 1, 1, image)),
        **decode(model, "decode", latents(1, 4, clip)),
        **decode(model, "decode_image", latents(2 if form == "2.1" else 1, 1, image)),
    }
    report(tensors)
    folder = GOLDENS / f"autoencoder-{form}"
    write_diffusers_model(folder, model, seed)
    write(folder / "io.safetensors", tensors, seed)

    again = AutoencoderKLWan.from_pretrained(folder)
    if not torch.equal(again.encode(tensors["encode.pixels"]).latent_dist.parameters, tensors["encode.moments"]):
        raise SystemExit(f"{folder.name}: the written model gives another result")


if __name__ == "__main__":
    golden("2.1", seed=21)
    golden("2.2", seed=22)
