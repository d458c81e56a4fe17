"""Files of torch.save: a state dictionary as models write it, and forms that are refused.

    python -m pip install torch==2.13.0 safetensors
"""

from collections import OrderedDict
from pathlib import Path

import torch
from safetensors.torch import save_file

FIXTURES = Path(__file__).resolve().parents[2] / "Tests" / "KinoWeightsTests" / "Fixtures"


def main():
    random = torch.Generator().manual_seed(16)
    normal = lambda *shape: torch.randn(shape, generator=random)
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.LayerNorm(4))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(normal(*parameter.shape))
    state = model.state_dict()  # an OrderedDict with versions set on it
    state["brain"] = normal(2, 3).bfloat16()
    state["half"] = normal(5).half()
    state["whole"] = torch.arange(6).reshape(2, 3)
    state["scalar"] = torch.tensor(2.5, dtype=torch.float64)
    state["flag"] = torch.tensor([True, False])
    state["empty"] = torch.zeros(0, 4)
    table = normal(4, 6)
    state["table"] = table
    state["rows"] = table[1:3]  # shares the storage
    state["parameter"] = torch.nn.Parameter(normal(2))
    torch.save(state, FIXTURES / "state.pth")
    save_file({name: value.detach().clone() for name, value in state.items()},
              FIXTURES / "state.safetensors")

    small = OrderedDict(weight=normal(2, 2), tiny=normal(3).to(torch.float8_e4m3fn))
    torch.save({"epoch": 3, "state_dict": small, "lr": 0.5}, FIXTURES / "wrapped.pth")
    save_file({"weight": small["weight"], "tiny": small["tiny"].float()},
              FIXTURES / "wrapped.safetensors")
    torch.save({"turned": normal(2, 3).T}, FIXTURES / "turned.pth")
    old = {"weight": normal(2, 3), "brain": table[2:].bfloat16(), "rows": table[1:3],
           "table": table, "whole": torch.arange(3)}
    torch.save(OrderedDict(old), FIXTURES / "old.pth", _use_new_zipfile_serialization=False)
    save_file({name: value.clone() for name, value in old.items()}, FIXTURES / "old.safetensors")
    torch.save(torch.nn.Linear(2, 2), FIXTURES / "module.pth")
    for name in ("state.pth", "state.safetensors", "wrapped.pth", "wrapped.safetensors",
                 "old.safetensors", "turned.pth", "old.pth", "module.pth"):
        (FIXTURES / name).chmod(0o644)
        print(name, (FIXTURES / name).stat().st_size, "bytes")


if __name__ == "__main__":
    main()
