"""Stages of a model by `kino probe`, for the scripts that compare them with a reference."""

import subprocess

from safetensors.torch import load_file, save_file


class Kino:
    """A program and the options that choose its model; files between the stages go to a folder."""

    def __init__(self, program, work, options):
        self.program, self.work, self.options = str(program), work, [str(option) for option in options]

    def probe(self, stage, tensors=None, text=None):
        """What a stage gives, in float32."""
        command = [self.program, "probe", stage, *self.options, "--precision", "f32",
                   "--output", str(self.work / "out.safetensors")]
        if tensors:
            save_file({key: value.contiguous() for key, value in tensors.items()}, self.work / "in.safetensors")
            command += ["--input", str(self.work / "in.safetensors")]
        if text is not None:
            command += ["--text", text]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{' '.join(command)}: {done.stderr[-2000:]}")
        return next(iter(load_file(self.work / "out.safetensors").values()))
