"""Makes a transformer deeper without changing what it computes, for training to go on from.

    grow.py MODEL OUT --layers 12

Copies of blocks are put behind their originals, evenly, with their three output projections at zero: each adds nothing at
first, and learns from the next step on (depth growth as in Net2Net, arXiv:1511.05641). MODEL is a folder in diffusers'
layout, such as Models/kino-mini. Needs nothing but Python.
"""

import argparse
import json
import pathlib
import shutil
import struct

NAME = "diffusion_pytorch_model.safetensors"
OUTPUTS = ("attn1.to_out.0.", "attn2.to_out.0.", "ffn.net.2.")


def read(path):
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    metadata = header.pop("__metadata__", None)
    body = data[8 + length :]
    return metadata, {
        key: (entry["dtype"], entry["shape"], body[slice(*entry["data_offsets"])])
        for key, entry in header.items()
    }


def write(path, metadata, tensors):
    header, offset = ({"__metadata__": metadata} if metadata else {}), 0
    for key, (dtype, shape, body) in tensors.items():
        header[key] = {"dtype": dtype, "shape": shape, "data_offsets": [offset, offset + len(body)]}
        offset += len(body)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(body for _, _, body in tensors.values()))


def places(layers, wanted):
    """The block that each block of the deeper network comes from, and whether it is a copy."""
    copied = {(index + 1) * layers // (wanted - layers) - 1 for index in range(wanted - layers)}
    return [(block, copy) for block in range(layers) for copy in ((False, True) if block in copied else (False,))]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--layers", type=int, required=True)
    options = parser.parse_args()
    config = json.loads((options.model / "transformer/config.json").read_text())
    layers = config["num_layers"]
    if not layers < options.layers <= 2 * layers:
        parser.error(f"--layers must be in {layers + 1}...{2 * layers}, found {options.layers}")
    shutil.copytree(options.model, options.out)
    metadata, tensors = read(options.model / "transformer" / NAME)
    grown = {key: value for key, value in tensors.items() if not key.startswith("blocks.")}
    for index, (block, is_copy) in enumerate(places(layers, options.layers)):
        prefix = f"blocks.{block}."
        for key, (dtype, shape, body) in tensors.items():
            if not key.startswith(prefix):
                continue
            rest = key[len(prefix) :]
            if is_copy and rest.startswith(OUTPUTS):
                body = bytes(len(body))
            grown[f"blocks.{index}.{rest}"] = (dtype, shape, body)
    config["num_layers"] = options.layers
    (options.out / "transformer/config.json").write_text(json.dumps(config, indent=2) + "\n")
    write(options.out / "transformer" / NAME, metadata, grown)


if __name__ == "__main__":
    main()
