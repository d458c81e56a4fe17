"""Writes Tests/KinoWeightsTests/Fixtures/reference.safetensors with the reference implementation.

Run from the package root with torch and safetensors installed:
    python Tools/goldens/safetensors_fixture.py
"""

import safetensors
import torch
from safetensors.torch import save_file

FOLDER = "Tests/KinoWeightsTests/Fixtures"

ramp = torch.arange(6).reshape(2, 3)
tensors = {
    "double": ramp.to(torch.float64) / 3,
    "single": ramp.to(torch.float32) / 3,
    "half": ramp.to(torch.float16) / 3,
    "brain": ramp.to(torch.bfloat16) / 3,
    "long": ramp.to(torch.int64) - 3,
    "integer": ramp.to(torch.int32) - 3,
    "short": ramp.to(torch.int16) - 3,
    "signed": ramp.to(torch.int8) - 3,
    "byte": ramp.to(torch.uint8) + 250,
    "flag": ramp % 2 == 1,
    "empty": torch.zeros(0, 4),
    "scalar": torch.tensor(0.1),
    "имя \"q\" \\ ü": torch.tensor([1.5], dtype=torch.float16),
}
metadata = {
    "format": "pt",
    "made by": f"torch {torch.__version__}, safetensors {safetensors.__version__}",
}
save_file(tensors, f"{FOLDER}/reference.safetensors", metadata=metadata)
