"""A tiny transformer as a GGUF file in Q8_0, as ComfyUI-GGUF's tool makes them, and its velocity.

    python -m pip install gguf==0.19.0
"""

import numpy as np
import torch
from diffusers import WanTransformer3DModel
from gguf import GGMLQuantizationType, GGUFWriter
from gguf.quants import dequantize, quantize

from common import GOLDENS, generator, randomize, report, write

SEED = 61
CONFIGURATION = dict(
    num_attention_heads=2,
    attention_head_dim=16,
    in_channels=4,
    out_channels=4,
    text_dim=32,
    freq_dim=32,
    ffn_dim=64,
    num_layers=1,
)
NAMES = [
    ("condition_embedder.time_embedder.linear_1", "time_embedding.0"),
    ("condition_embedder.time_embedder.linear_2", "time_embedding.2"),
    ("condition_embedder.text_embedder.linear_1", "text_embedding.0"),
    ("condition_embedder.text_embedder.linear_2", "text_embedding.2"),
    ("condition_embedder.time_proj", "time_projection.1"),
    ("proj_out", "head.head"),
    ("attn1", "self_attn"),
    ("attn2", "cross_attn"),
    ("to_out.0", "o"),
    ("to_q", "q"),
    ("to_k", "k"),
    ("to_v", "v"),
    ("ffn.net.0.proj", "ffn.0"),
    ("ffn.net.2", "ffn.2"),
    ("norm2", "norm3"),
]


def original(key):
    if key == "scale_shift_table":
        return "head.modulation"
    for ours, theirs in NAMES:
        key = key.replace(ours, theirs)
    return key.replace("scale_shift_table", "modulation")


def main():
    random = generator(SEED)
    model = randomize(WanTransformer3DModel(**CONFIGURATION), random, gain=1.0)
    folder = GOLDENS / "quantised-transformer"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "model.gguf"
    writer = GGUFWriter(path, "wan")
    for key, parameter in model.named_parameters():
        value, name = parameter.detach().numpy(), original(key)
        if key.startswith("blocks.") and value.ndim == 2:
            data = quantize(value, GGMLQuantizationType.Q8_0)
            writer.add_tensor(name, data, raw_dtype=GGMLQuantizationType.Q8_0)
            value = dequantize(data, GGMLQuantizationType.Q8_0).reshape(value.shape)
            parameter.data.copy_(torch.from_numpy(np.ascontiguousarray(value)))
        else:
            writer.add_tensor(name, np.ascontiguousarray(value))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    path.chmod(0o644)
    print(path.name, path.stat().st_size, "bytes")
    normal = lambda *shape: torch.randn(shape, generator=random)
    latents, text, timestep = normal(1, 4, 2, 4, 4), normal(1, 5, 32), torch.tensor([400.0])
    tensors = {
        "latents": latents,
        "text": text,
        "timestep": timestep,
        "velocity": model(latents, timestep, text).sample,
    }
    report(tensors)
    write(folder / "io.safetensors", tensors, SEED)


if __name__ == "__main__":
    main()
