"""A GGUF file with a tensor of every type that Kino unpacks, and what the reference unpacks them to.

    python -m pip install gguf==0.19.0 safetensors numpy
"""

import struct
from pathlib import Path

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, GGUFWriter
from gguf.quants import dequantize
from safetensors.numpy import save_file

FIXTURES = Path(__file__).resolve().parents[2] / "Tests" / "KinoWeightsTests" / "Fixtures"
ROWS, COLUMNS = 3, 512
# Where the 16-bit scales of a block are: random bytes there could be infinite.
SCALES = {
    "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0],
    "Q2_K": [80, 82], "Q3_K": [108], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208],
}


def blocks(name, random):
    """Random bytes: every code, scale and minimum occurs; two blocks have subnormal and zero scales."""
    length, size = GGML_QUANT_SIZES[GGMLQuantizationType[name]]
    count = ROWS * COLUMNS // length
    data = random.integers(0, 256, (count, size), dtype=np.uint8)
    for offset in SCALES[name]:
        scales = random.normal(0, 0.05, count).astype(np.float16)
        scales[0], scales[1] = np.float16(3e-7), np.float16(0)
        data[:, offset : offset + 2] = scales.view(np.uint8).reshape(count, 2)
    return data.reshape(ROWS, -1)


def main():
    random = np.random.default_rng(15)
    path = FIXTURES / "types.gguf"
    writer = GGUFWriter(path, "wan")
    writer.add_string("general.name", "every type")
    writer.add_bool("tokenizer.ggml.add_space_prefix", True)
    writer.add_array("tokenizer.ggml.tokens", ["<pad>", "</s>", "▁a", "ß"])
    writer.add_array("tokenizer.ggml.scores", [0.0, -1.5, -2.0, -3.25])
    expected = {}
    for name in SCALES:
        data = blocks(name, random)
        kind = GGMLQuantizationType[name]
        writer.add_tensor(f"blocks.0.{name}.weight", data, raw_dtype=kind)
        expected[f"blocks.0.{name}.weight"] = dequantize(data, kind).reshape(ROWS, COLUMNS)
    normal = lambda *shape: random.normal(0, 1, shape).astype(np.float32)
    plain = {"modulation": normal(1, 6, 8), "norm.weight": normal(5)}
    for name, value in plain.items():
        writer.add_tensor(name, value)
        expected[name] = value
    half = normal(2, 3).astype(np.float16)
    writer.add_tensor("half.weight", half)
    expected["half.weight"] = half.astype(np.float32)
    bits = random.integers(0x3C00, 0x4100, (2, 4), dtype=np.uint16)
    writer.add_tensor(
        "brain.weight", bits.view(np.uint8), raw_dtype=GGMLQuantizationType.BF16)
    expected["brain.weight"] = (bits.astype(np.uint32) << 16).view(np.float32)
    # Stored with 5 axes, as ComfyUI-GGUF's tool does, and flattened with its extents beside it.
    patch = normal(4, 3, 1, 2, 2)
    writer.add_tensor("patch_embedding.weight", patch)
    expected["patch_embedding.weight"] = patch
    flat = normal(4, 3, 1, 2, 2)
    writer.add_array("comfy.gguf.orig_shape.flat.weight", list(flat.shape))
    writer.add_tensor("flat.weight", flat.reshape(1, -1))
    expected["flat.weight"] = flat
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    save_file(expected, FIXTURES / "types.safetensors")
    for name in ("types.gguf", "types.safetensors"):
        (FIXTURES / name).chmod(0o644)
        print(name, (FIXTURES / name).stat().st_size, "bytes")
    assert path.read_bytes()[:8] == struct.pack("<4sI", b"GGUF", 3)


if __name__ == "__main__":
    main()
