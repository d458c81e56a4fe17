"""What the golden scripts share: seeding, weights that exercise every term, and stamped files."""

import json
from pathlib import Path

import diffusers
import torch
import transformers
from safetensors.torch import save_file

GOLDENS = Path(__file__).resolve().parents[2] / "Tests" / "KinoTestSupport" / "Goldens"

# The largest file that may be committed.
SIZE_LIMIT = 400_000

torch.set_num_threads(1)
torch.use_deterministic_algorithms(True)


def generator(seed):
    """A generator of its own for every golden, so that scripts can run in any order."""
    return torch.Generator().manual_seed(seed)


def randomize(module, generator, gain=1.2, overrides=None):
    """Gives every parameter a value that shows in the output.

    Gains scatter about 1, biases are not zero, weights keep activations near 1, and tables that
    training starts at zero are random. `overrides` maps a key to another gain.
    """
    overrides = overrides or {}
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if name.endswith("scale_shift_table"):
                value = 0.4 * noise
            elif name.endswith("relative_attention_bias.weight"):
                value = noise
            elif name.endswith(("shared.weight", "embed_tokens.weight")):
                value = noise
            elif name.endswith("bias"):
                value = 0.2 * noise
            elif parameter.squeeze().ndim <= 1 and name.endswith(("gamma", "weight")):
                value = 1 + 0.2 * noise
            else:
                fan_in = parameter[0].numel()
                value = overrides.get(name, gain) * noise / fan_in**0.5
            parameter.copy_(value)
    return module.eval().requires_grad_(False)


def metadata(seed, **more):
    """What each file says about where its numbers come from."""
    return {
        "seed": str(seed),
        "torch": torch.__version__.split("+")[0],
        "diffusers": diffusers.__version__,
        "transformers": transformers.__version__,
        **{key: str(value) for key, value in more.items()},
    }


def write(path, tensors, seed, **more):
    """Writes one safetensors file and checks that it is small enough and not degenerate."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {name: tensor.detach().clone().contiguous() for name, tensor in tensors.items()}
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise SystemExit(f"{path}: {name} holds values that are not finite")
    save_file(tensors, path, metadata=metadata(seed, **more))
    sort_metadata(path)
    path.chmod(0o644)
    size = path.stat().st_size
    if size > SIZE_LIMIT:
        raise SystemExit(f"{path}: {size} bytes, more than {SIZE_LIMIT}")
    print(f"{path.relative_to(GOLDENS)}: {len(tensors)} tensors, {size} bytes")


def sort_metadata(path):
    """Puts the metadata in order: the library writes it in any order, and files would differ."""
    content = path.read_bytes()
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":")).encode().ljust(size)
    path.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + size :])


def write_diffusers_model(folder, model, seed):
    """Writes `config.json` and the weights as a diffusers folder."""
    folder.mkdir(parents=True, exist_ok=True)
    model.save_config(folder)
    write(folder / "diffusion_pytorch_model.safetensors", model.state_dict(), seed, format="pt")


def write_json(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=2) + "\n")


class Taps:
    """Records what chosen modules return; calls of one module are joined along `dim`."""

    def __init__(self, prefix, modules, dim=None):
        self.prefix, self.dim, self.calls = prefix, dim, {}
        self.handles = [
            module.register_forward_hook(self._record(name)) for name, module in modules.items()
        ]

    def _record(self, name):
        def hook(_module, _inputs, output):
            self.calls.setdefault(name, []).append(output.detach().clone())

        return hook

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for handle in self.handles:
            handle.remove()

    def tensors(self):
        def joined(outputs):
            return outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=self.dim)

        return {f"{self.prefix}{name}": joined(outputs) for name, outputs in self.calls.items()}


def report(tensors):
    """Prints the spread of every tensor: goldens near zero or saturated test nothing."""
    for name, tensor in tensors.items():
        if tensor.is_floating_point():
            spread = tensor.std().item() if tensor.numel() > 1 else 0
            print(f"  {name:44} {str(list(tensor.shape)):22} sd {spread:.3f}")
