"""Goldens of the image encoder: the states before its last block, and its weights in OpenCLIP's names."""

import torch
from transformers import CLIPVisionConfig, CLIPVisionModel

from common import GOLDENS, generator, randomize, report, write, write_json

SEED = 51
CONFIGURATION = dict(
    hidden_size=32,
    intermediate_size=64,
    num_hidden_layers=2,
    num_attention_heads=2,
    image_size=12,
    patch_size=4,
    hidden_act="gelu",
    layer_norm_eps=1e-5,
)
NAMES = {
    "embeddings.patch_embedding": "patch_embedding",
    "pre_layrnorm": "pre_norm",
    "post_layernorm": "post_norm",
    "encoder.layers": "transformer",
    "layer_norm1": "norm1",
    "layer_norm2": "norm2",
    "self_attn.out_proj": "attn.proj",
    "mlp.fc1": "mlp.0",
    "mlp.fc2": "mlp.2",
}


def openclip(state):
    """The names of the Wan repository's file, where queries, keys and values are one layer."""
    result = {}
    for key, value in state.items():
        name = key.removeprefix("vision_model.")
        if name == "embeddings.class_embedding":
            result["visual.cls_embedding"] = value[None, None]
        elif name == "embeddings.position_embedding.weight":
            result["visual.pos_embedding"] = value[None]
        elif ".q_proj." in name:
            parts = [state[key.replace("q_proj", part)] for part in ("q_proj", "k_proj", "v_proj")]
            name = name.replace("encoder.layers", "transformer")
            result["visual." + name.replace("self_attn.q_proj", "attn.to_qkv")] = torch.cat(parts)
        elif ".k_proj." not in name and ".v_proj." not in name:
            for ours, theirs in NAMES.items():
                name = name.replace(ours, theirs)
            result["visual." + name] = value
    result["visual.head"] = torch.zeros(32, 8)
    result["log_scale"] = torch.tensor(2.6)
    return result


def main():
    random = generator(SEED)
    model = randomize(CLIPVisionModel(CLIPVisionConfig(**CONFIGURATION)), random)
    pictures = torch.randn(2, 3, 12, 12, generator=random)
    states = model(pictures, output_hidden_states=True).hidden_states[-2]
    tensors = {"pictures": pictures, "hidden_states": states}
    report(tensors)
    # Published files have this before every name; the class has dropped it.
    state = {
        key if key.startswith("vision_model.") else "vision_model." + key: value
        for key, value in model.state_dict().items()
    }
    folder = GOLDENS / "image-encoder"
    write_json(folder / "config.json", CONFIGURATION)
    write(folder / "model.safetensors", state, SEED, format="pt")
    write(folder / "openclip.safetensors", openclip(state), SEED, format="pt")
    write(folder / "io.safetensors", tensors, SEED)


if __name__ == "__main__":
    main()
