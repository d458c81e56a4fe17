"""Goldens of whole sampling loops, over the models the other scripts wrote.

`text.*` is text to video (a timestep per token must give the same), `image.*` image to video with
the first latent frame known and `image.picture` in 0...1. `<name>.states` holds the latents after
every step, `<name>.result` the normalized latents at the end. Run the other scripts first.
"""

import torch
from diffusers import (
    AutoencoderKLWan,
    UniPCMultistepScheduler,
    WanImageToVideoPipeline,
    WanPipeline,
    WanTransformer3DModel,
)

from common import GOLDENS, generator, report, write, write_json

SEED = 61
STEPS, SHIFT, GUIDANCE = 6, 5.0, 4.0
FRAMES, HEIGHT, WIDTH = 9, 64, 96


def sample(pipeline, inputs, **more):
    states = []

    def remember(_pipeline, _step, _timestep, values):
        states.append(values["latents"].clone())
        return values

    pipeline.set_progress_bar_config(disable=True)
    result = pipeline(
        num_frames=FRAMES,
        height=HEIGHT,
        width=WIDTH,
        num_inference_steps=STEPS,
        guidance_scale=GUIDANCE,
        latents=inputs["noise"],
        prompt_embeds=inputs["prompt"],
        negative_prompt_embeds=inputs["negative"],
        output_type="latent",
        callback_on_step_end=remember,
        return_dict=False,
        **more,
    )[0]
    return torch.cat(states), result


def main():
    random = generator(SEED)
    normal = lambda *shape: torch.randn(shape, generator=random)
    transformer = WanTransformer3DModel.from_pretrained(GOLDENS / "transformer")
    autoencoder = AutoencoderKLWan.from_pretrained(GOLDENS / "autoencoder-2.2")
    scheduler = UniPCMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=SHIFT
    )
    parts = dict(
        tokenizer=None, text_encoder=None, vae=autoencoder, scheduler=scheduler, transformer=transformer
    )
    channels = transformer.config.in_channels
    inputs = {
        "noise": normal(1, channels, 3, HEIGHT // 16, WIDTH // 16),
        "prompt": normal(1, 7, 24),
        "negative": normal(1, 7, 24),
    }
    picture = torch.rand(1, 3, HEIGHT, WIDTH, generator=random)

    tensors = {**inputs, "image.picture": picture}
    pipeline = WanPipeline(**parts)
    tensors["text.states"], tensors["text.result"] = sample(pipeline, inputs)
    pipeline = WanImageToVideoPipeline(
        **parts, image_processor=None, image_encoder=None, expand_timesteps=True
    )
    tensors["image.states"], tensors["image.result"] = sample(pipeline, inputs, image=picture)

    folder = GOLDENS / "pipeline"
    settings = dict(steps=STEPS, flow_shift=SHIFT, guidance=GUIDANCE)
    write(folder / "io.safetensors", tensors, SEED, **settings)
    scheduler.save_config(folder / "scheduler")
    index = dict(WanPipeline(**parts, expand_timesteps=True).config)
    index |= {
        "_class_name": "WanPipeline",
        "text_encoder": ["transformers", "UMT5EncoderModel"],
        "tokenizer": ["transformers", "T5TokenizerFast"],
    }
    write_json(folder / "model_index.json", {key: value for key, value in sorted(index.items())})
    report(tensors)


if __name__ == "__main__":
    main()
