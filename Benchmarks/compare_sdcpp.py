#!/usr/bin/env python3
"""Runs Kino and stable-diffusion.cpp on one step of the 1.3B transformer in turns, and prints medians and their ratio.

    python3 -m venv /tmp/peers
    CMAKE_ARGS="-DGGML_NATIVE=ON -DGGML_LLAMAFILE=ON" /tmp/peers/bin/pip install numpy safetensors \\
        --no-binary stable-diffusion-cpp-python stable-diffusion-cpp-python==0.4.7
    swift build -c release --product kino
    /tmp/peers/bin/python Benchmarks/compare_sdcpp.py --type q8_0 --kino-precision int8
    /tmp/peers/bin/python Benchmarks/compare_sdcpp.py --type q4_K --kino-type q4_k --kino-precision f32

Both have random weights of the same shapes, the same latents, batch 1 and the same number of threads. The other engine
gets no text encoder and then attends to 256 rows of zeros, where Kino attends to 512. It counts the second of two
steps. Its weights are written to --folder once: 3 GB. With --kino-type Kino reads the same weights from a GGUF file
that it makes of them once, and multiplies them as they are there.
"""

import argparse
import json
import os
import pathlib
import resource
import subprocess
import sys
import time

from compare import ROOT, compare

WIDTH, HIDDEN, TEXT, LAYERS = 1536, 8960, 4096, 30


def transformer_shapes():
    shapes = {"patch_embedding.weight": (WIDTH, 16, 1, 2, 2), "patch_embedding.bias": (WIDTH,),
              "head.modulation": (1, 2, WIDTH)}

    def linear(name, outputs, inputs):
        shapes[name + ".weight"], shapes[name + ".bias"] = (outputs, inputs), (outputs,)

    linear("text_embedding.0", WIDTH, TEXT)
    linear("text_embedding.2", WIDTH, WIDTH)
    linear("time_embedding.0", WIDTH, 256)
    linear("time_embedding.2", WIDTH, WIDTH)
    linear("time_projection.1", 6 * WIDTH, WIDTH)
    linear("head.head", 64, WIDTH)
    for layer in range(LAYERS):
        block = f"blocks.{layer}."
        shapes[block + "modulation"] = (1, 6, WIDTH)
        shapes[block + "norm3.weight"] = shapes[block + "norm3.bias"] = (WIDTH,)
        for attention in ("self_attn.", "cross_attn."):
            for name in "qkvo":
                linear(block + attention + name, WIDTH, WIDTH)
            for name in ("norm_q.weight", "norm_k.weight"):
                shapes[block + attention + name] = (WIDTH,)
        linear(block + "ffn.0", HIDDEN, WIDTH)
        linear(block + "ffn.2", WIDTH, HIDDEN)
    return shapes


class Shapes(dict):
    """Of the 2.1 autoencoder's tensors, under the names of the Wan repositories."""

    def convolution(self, name, *shape):
        self[name + ".weight"], self[name + ".bias"] = shape, shape[:1]

    def block(self, name, inputs, outputs):
        self[name + ".residual.0.gamma"] = (inputs, 1, 1, 1)
        self.convolution(name + ".residual.2", outputs, inputs, 3, 3, 3)
        self[name + ".residual.3.gamma"] = (outputs, 1, 1, 1)
        self.convolution(name + ".residual.6", outputs, outputs, 3, 3, 3)
        if inputs != outputs:
            self.convolution(name + ".shortcut", outputs, inputs, 1, 1, 1)

    def middle(self, name, width):
        self.block(name + ".0", width, width)
        self[name + ".1.norm.gamma"] = (width, 1, 1)
        self.convolution(name + ".1.to_qkv", 3 * width, width, 1, 1)
        self.convolution(name + ".1.proj", width, width, 1, 1)
        self.block(name + ".2", width, width)


def decoder_shapes():
    """Loaded, never run."""
    shapes = Shapes()
    shapes.convolution("conv2", 16, 16, 1, 1, 1)
    shapes.convolution("decoder.conv1", 384, 16, 3, 3, 3)
    shapes.middle("decoder.middle", 384)
    index = 0
    for inputs, outputs, up in [(384, 384, 3), (192, 384, 3), (192, 192, 2), (96, 96, 0)]:
        for _ in range(3):
            shapes.block(f"decoder.upsamples.{index}", inputs, outputs)
            inputs, index = outputs, index + 1
        if up:
            shapes.convolution(f"decoder.upsamples.{index}.resample.1", outputs // 2, outputs, 3, 3)
            if up == 3:
                shapes.convolution(f"decoder.upsamples.{index}.time_conv", 2 * outputs, outputs, 3, 1, 1)
            index += 1
    shapes["decoder.head.0.gamma"] = (96, 1, 1, 1)
    shapes.convolution("decoder.head.2", 3, 96, 3, 3, 3)
    return shapes


def write_weights(folder):
    import numpy
    from safetensors.numpy import save_file

    folder.mkdir(parents=True, exist_ok=True)
    generator = numpy.random.default_rng(0)
    for name, shapes in [("transformer", transformer_shapes()), ("decoder", decoder_shapes())]:
        file = folder / f"{name}.safetensors"
        if file.exists():
            continue
        values = {key: (generator.standard_normal(shape, dtype=numpy.float32) * 0.02).astype(numpy.float16)
                  for key, shape in shapes.items()}
        save_file(values, folder / "partial")
        (folder / "partial").rename(file)


def peer(arguments, latents):
    """Times the second step; ends the process then, since nobody wants the decoding."""
    from stable_diffusion_cpp import StableDiffusion

    frames, height, width = latents
    ends = {}
    output = os.fdopen(os.dup(1), "w")  # the engine closes the usual one

    def progress(step, steps, _):
        if steps != 2:
            return  # loading
        ends[step] = time.perf_counter()
        if step == 2:
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
            print(json.dumps({"seconds": ends[2] - ends[1], "peak_bytes": peak}), file=output, flush=True)
            os._exit(0)

    model = StableDiffusion(
        diffusion_model_path=str(arguments.folder / "transformer.safetensors"),
        vae_path=str(arguments.folder / "decoder.safetensors"), vae_decode_only=True, n_threads=arguments.threads,
        wtype=arguments.type, diffusion_flash_attn=arguments.flash_attention, verbose=False)
    model.vae_decode_only = False  # it would refuse, though there is nothing to encode
    model.generate_video("", width=width * 8, height=height * 8, video_frames=(frames - 1) * 4 + 1, sample_steps=2,
                         cfg_scale=1.0, sample_method="euler", progress_callback=progress)


def peer_in_process(arguments, latents):
    command = [sys.executable, __file__, "--peer", "--latents", latents, "--type", arguments.type, "--folder",
               str(arguments.folder), "--threads", str(arguments.threads)]
    command += ["--flash-attention"] if arguments.flash_attention else []
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    result = json.loads(next(line for line in reversed(output.splitlines()) if line.startswith("{")))
    return result["seconds"], result["peak_bytes"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--latents", default="5x32x32", help="frames, rows, columns, as FxHxW")
    parser.add_argument("--type", default="f16", help="its weights: f16, bf16, f32, q8_0, ...")
    parser.add_argument("--flash-attention", action="store_true", help="its flash attention")
    parser.add_argument("--kino-precision", choices=["bf16", "f32", "int8"], default="bf16")
    parser.add_argument("--kino-type", choices=["q8_0", "q4_k"], help="Kino's weights, as stored")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--folder", type=pathlib.Path, default=pathlib.Path("/tmp/peers/weights"))
    parser.add_argument("--kino", default=str(ROOT / ".build/release/kino"))
    parser.add_argument("--peer", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peer:
        return peer(arguments, [int(n) for n in arguments.latents.split("x")])
    write_weights(arguments.folder)
    arguments.weights = None
    if arguments.kino_type:
        arguments.weights = arguments.folder / f"transformer-{arguments.kino_type}.gguf"
        if not arguments.weights.exists():
            subprocess.run([arguments.kino, "convert", str(arguments.folder / "transformer.safetensors"),
                            str(arguments.weights), "--precision", arguments.kino_type], check=True)
    arguments.workload = "wan2.1-1.3b-step"
    attention = ", flash attention" if arguments.flash_attention else ""
    compare(arguments, arguments.latents, peer_in_process, f"stable-diffusion.cpp {arguments.type}{attention}")


if __name__ == "__main__":
    main()
