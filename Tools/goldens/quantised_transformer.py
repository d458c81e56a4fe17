"""A tiny transformer in the forms that people have, and the velocity of each form's numbers.

GGUF in Q8_0 as ComfyUI-GGUF's tool makes it, 8-bit floating point with scales as ComfyUI has it, and
bfloat16 in a file of torch.save.

    python -m pip install gguf==0.19.0
"""

import numpy as np
import torch
from diffusers import WanTransformer3DModel
from gguf import GGMLQuantizationType, GGUFWriter
from gguf.quants import dequantize, quantize

from safetensors.torch import save_file

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


def is_product(key, value):
    return key.startswith("blocks.") and value.ndim == 2


def write_gguf(model, path):
    """Writes the file, and gives the model its numbers."""
    writer = GGUFWriter(path, "wan")
    for key, parameter in model.named_parameters():
        value, name = parameter.detach().numpy(), original(key)
        if is_product(key, value):
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


def write_scaled(model, path):
    """Writes 8-bit products with a scale each, and gives the model their numbers."""
    prefix, tensors = "model.diffusion_model.", {}
    for key, parameter in model.named_parameters():
        name = prefix + original(key)
        if not is_product(key, parameter):
            tensors[name] = parameter.detach().half()
        else:
            scale = parameter.detach().abs().max() / 448
            tensors[name] = (parameter.detach() / scale).to(torch.float8_e4m3fn)
            tensors[name.removesuffix("weight") + "scale_weight"] = scale
        value = tensors[name].float()
        if is_product(key, parameter):
            value = value * scale
        parameter.data.copy_(value)
    tensors[prefix + "scaled_fp8"] = torch.zeros(2).to(torch.float8_e4m3fn)
    save_file(tensors, path)


def write_pickle(model, path):
    state = {original(key): value.detach().bfloat16() for key, value in model.named_parameters()}
    for parameter, value in zip(model.parameters(), state.values()):
        parameter.data.copy_(value.float())
    torch.save(state, path)


def main():
    folder = GOLDENS / "quantised-transformer"
    folder.mkdir(parents=True, exist_ok=True)
    random = generator(SEED)
    normal = lambda *shape: torch.randn(shape, generator=random)
    latents, text, timestep = normal(1, 4, 2, 4, 4), normal(1, 5, 32), torch.tensor([400.0])
    tensors = {"latents": latents, "text": text, "timestep": timestep}
    for name, form in [
        ("model.gguf", write_gguf), ("scaled.safetensors", write_scaled), ("state.pth", write_pickle)
    ]:
        model = randomize(WanTransformer3DModel(**CONFIGURATION), generator(SEED), gain=1.0)
        form(model, folder / name)
        (folder / name).chmod(0o644)
        print(name, (folder / name).stat().st_size, "bytes")
        tensors["velocity." + name] = model(latents, timestep, text).sample
    report(tensors)
    write(folder / "io.safetensors", tensors, SEED)


if __name__ == "__main__":
    main()
