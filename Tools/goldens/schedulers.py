"""Goldens of the schedulers: sigmas, timesteps and the path of a toy model with a known velocity.

The toy velocity is `slope * x + drift * timestep / 1000`, elementwise, on six numbers. Keys are
`<solver>.shift<shift>.steps<steps>.<sigmas|timesteps|states>`, solvers `euler`, `unipc1...3` and `dpm2m`;
`states` holds the start and then the state after every step.
"""

import torch
from diffusers import (
    DPMSolverMultistepScheduler,
    FlowMatchEulerDiscreteScheduler,
    UniPCMultistepScheduler,
)

from common import GOLDENS, generator, write

SEED = 51
SHIFTS = (1.0, 3.0, 5.0)
STEPS = (4, 10, 20)


def euler(shift):
    return FlowMatchEulerDiscreteScheduler(shift=shift)


def unipc(order):
    return lambda shift: UniPCMultistepScheduler(
        prediction_type="flow_prediction",
        use_flow_sigmas=True,
        flow_shift=shift,
        solver_order=order,
    )


def dpm2m(shift):
    return DPMSolverMultistepScheduler(
        prediction_type="flow_prediction",
        use_flow_sigmas=True,
        flow_shift=shift,
        solver_order=2,
    )


SOLVERS = {
    "euler": euler,
    "unipc1": unipc(1),
    "unipc2": unipc(2),
    "unipc3": unipc(3),
    "dpm2m": dpm2m,
}


def path(scheduler, steps, start, slope, drift):
    scheduler.set_timesteps(steps)
    scheduler.set_begin_index(0)
    states = [start]
    for timestep in scheduler.timesteps:
        velocity = slope * states[-1] + drift * timestep / 1000
        states.append(scheduler.step(velocity, timestep, states[-1], return_dict=False)[0])
    return {
        "sigmas": scheduler.sigmas,
        "timesteps": scheduler.timesteps.to(torch.float32),
        "states": torch.cat(states),
    }


def main():
    random = generator(SEED)
    # One row each: the multistep scheduler wants a batch dimension.
    start, slope, drift = (torch.randn(1, 6, generator=random) for _ in range(3))
    tensors = {"toy.start": start[0], "toy.slope": slope[0], "toy.drift": drift[0]}
    for name, make in SOLVERS.items():
        for shift in SHIFTS:
            for steps in STEPS:
                for key, value in path(make(shift), steps, start, slope, drift).items():
                    tensors[f"{name}.shift{shift:.0f}.steps{steps}.{key}"] = value
    folder = GOLDENS / "schedulers"
    write(folder / "io.safetensors", tensors, SEED)
    for name, make in (("euler", euler), ("unipc", unipc(2))):
        make(5.0).save_config(folder / name)


if __name__ == "__main__":
    main()
