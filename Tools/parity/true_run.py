#!/usr/bin/env python3
"""Makes a clip with a model of Wan 2.1 1.3B's true sizes and random weights, and prints what the plan said and what it took.

    python3 -m venv /tmp/peers && /tmp/peers/bin/pip install numpy safetensors gguf
    swift build -c release --product kino
    /tmp/peers/bin/python Tools/parity/true_run.py WORK [--size 832x480] [--frames 9] [--steps 2] [--kino PATH]

Writes into WORK, once: the transformer in Q8_0 (1.5 GB), umT5-XXL whole in Q4_K (3.2 GB), both as GGUF in the names of
Wan and of llama.cpp, and the autoencoder in float16. The tokenizer is kino-mini's: its pieces are fewer, and the text
encoder's rows for the others are there, unused. What is drawn is noise.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import time

import numpy
from safetensors.numpy import save_file

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "Benchmarks"))
from compare_sdcpp import Shapes, decoder_shapes, transformer_shapes  # noqa: E402

GENERATOR = numpy.random.default_rng(0)
# The spread of a random weight.
SPREAD = 0.02


def blocks(shape, kind):
    """Random blocks of a quantised matrix: bytes, [rows, bytes of a row]."""
    rows, columns = shape
    if kind == "Q8_0":
        numbers = GENERATOR.integers(-127, 128, (rows, columns // 32, 32), dtype=numpy.int8)
        scale = numpy.full((rows, columns // 32, 1), SPREAD / 73, numpy.float16)
        parts = [scale.view(numpy.uint8).reshape(rows, -1, 2), numbers.view(numpy.uint8)]
    else:
        # Every part has the scale 32 / 63 and the minimum 32 / 63 of the block's; numbers are 0 to 15.
        count = columns // 256
        scale = numpy.full((rows, count, 1), SPREAD / 4.6 / 32, numpy.float16)
        minimum = numpy.full((rows, count, 1), 7.5 * SPREAD / 4.6 / 32, numpy.float16)
        codes = numpy.zeros((rows, count, 12), numpy.uint8)
        codes[..., :8] = 32 | (32 >> 4 << 6)
        numbers = GENERATOR.integers(0, 256, (rows, count, 128), dtype=numpy.uint8)
        parts = [scale.view(numpy.uint8), minimum.view(numpy.uint8), codes, numbers]
    return numpy.concatenate(parts, axis=-1).reshape(rows, -1)


def write_gguf(path, architecture, shapes, kind):
    import gguf

    if path.exists():
        return
    writer = gguf.GGUFWriter(str(path) + ".partial", architecture, use_temp_file=True)
    type = gguf.GGMLQuantizationType[kind]
    for name, shape in shapes.items():
        if len(shape) == 2 and shape[1] % 256 == 0 and not name.endswith("attn_rel_b.weight"):
            writer.add_tensor(name, blocks(shape, kind), raw_dtype=type)
        else:
            value = numpy.ones(shape, numpy.float32)
            if "norm" not in name:
                value = GENERATOR.standard_normal(shape, dtype=numpy.float32) * SPREAD
            # The format has four axes.
            writer.add_tensor(name, value.reshape(shape[0], -1, *shape[3:]) if len(shape) == 5 else value)
            if len(shape) == 5:
                writer.add_array(f"comfy.gguf.orig_shape.{name}", list(shape))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    pathlib.Path(str(path) + ".partial").rename(path)


def text_encoder_shapes():
    width, hidden = 4096, 10240
    shapes = {"token_embd.weight": (256384, width), "enc.output_norm.weight": (width,)}
    for layer in range(24):
        block = f"enc.blk.{layer}."
        for name in "qkvo":
            shapes[f"{block}attn_{name}.weight"] = (width, width)
        shapes[block + "attn_rel_b.weight"] = (32, 64)
        shapes[block + "attn_norm.weight"] = shapes[block + "ffn_norm.weight"] = (width,)
        shapes[block + "ffn_gate.weight"] = shapes[block + "ffn_up.weight"] = (hidden, width)
        shapes[block + "ffn_down.weight"] = (width, hidden)
    return shapes


def encoder_shapes():
    """Of the 2.1 autoencoder, beside its decoder's."""
    shapes = Shapes()
    shapes.convolution("conv1", 32, 32, 1, 1, 1)
    shapes.convolution("encoder.conv1", 96, 3, 3, 3, 3)
    index = 0
    for inputs, outputs, down in [(96, 96, 2), (96, 192, 3), (192, 384, 3), (384, 384, 0)]:
        for _ in range(2):
            shapes.block(f"encoder.downsamples.{index}", inputs, outputs)
            inputs, index = outputs, index + 1
        if down:
            shapes.convolution(f"encoder.downsamples.{index}.resample.1", outputs, outputs, 3, 3)
            if down == 3:
                shapes.convolution(f"encoder.downsamples.{index}.time_conv", outputs, outputs, 3, 1, 1)
            index += 1
    shapes.middle("encoder.middle", 384)
    shapes["encoder.head.0.gamma"] = (384, 1, 1, 1)
    shapes.convolution("encoder.head.2", 32, 384, 3, 3, 3)
    return shapes


def write_autoencoder(path):
    if path.exists():
        return
    values = {}
    for name, shape in {**encoder_shapes(), **decoder_shapes()}.items():
        value = GENERATOR.standard_normal(shape, dtype=numpy.float32)
        fan = numpy.prod(shape[1:]) if len(shape) > 1 else 1
        values[name] = (numpy.ones(shape) if name.endswith("gamma") else value / fan**0.5).astype(numpy.float16)
    save_file(values, str(path))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=pathlib.Path)
    parser.add_argument("--size", default="832x480")
    parser.add_argument("--frames", default="9")
    parser.add_argument("--steps", default="2")
    parser.add_argument("--kino", default=str(ROOT / ".build/release/kino"))
    parser.add_argument("--precision", default=None)
    arguments = parser.parse_args()
    folder = arguments.work
    folder.mkdir(parents=True, exist_ok=True)
    write_gguf(folder / "transformer.gguf", "wan", transformer_shapes(), "Q8_0")
    write_gguf(folder / "text-encoder.gguf", "t5encoder", text_encoder_shapes(), "Q4_K")
    write_autoencoder(folder / "autoencoder.safetensors")

    options = ["generate", "a red ball bounces on green grass", "--model", folder / "transformer.gguf",
               "--vae", folder / "autoencoder.safetensors", "--text-encoder", folder / "text-encoder.gguf",
               "--tokenizer", ROOT / "Models/kino-mini/tokenizer/spiece.model", "--size", arguments.size,
               "--frames", arguments.frames, "--steps", arguments.steps, "--seed", "1"]
    options += ["--precision", arguments.precision] if arguments.precision else []
    options = [str(option) for option in options]
    print(" ".join(["kino"] + [f'"{o}"' if " " in o else o for o in options]))
    print(subprocess.run([arguments.kino, "plan", *options], capture_output=True, text=True).stdout, flush=True)
    output = folder / "clip.mp4"
    start = time.monotonic()
    process = subprocess.Popen([arguments.kino, *options, "--output", str(output), "--overwrite"])
    peak = 0
    while process.poll() is None:
        try:
            lines = pathlib.Path(f"/proc/{process.pid}/status").read_text().splitlines()
            peak = max([peak] + [int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")])
        except OSError:
            pass
        time.sleep(0.5)
    print(json.dumps({"seconds": round(time.monotonic() - start, 1), "peak_gb": round(peak / 1e9, 2),
                      "status": process.returncode}))
    sys.exit(process.returncode)


if __name__ == "__main__":
    main()
