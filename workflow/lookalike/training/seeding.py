"""What is drawn at each place of a training depends on the run's seed and that place alone."""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import torch


def hash_seed(*parts: int) -> int:
    """A 63-bit seed for one place of a run: different places get unrelated seeds."""
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0] >> np.uint64(1))


def seed_draws(seed: int, device: torch.device) -> None:
    """Seed what torch draws at random on the CPU and on a training's device.

    `torch.manual_seed` seeds every kind of device there is; where a kind is not in use yet, it
    notes the whole call stack for later, which took a fifth of a head's step.

    Args:
        seed: a number of 63 bits.
        device: where the training runs.
    """
    torch.default_generator.manual_seed(seed)
    if device.type == "cpu":
        return
    kind = torch.get_device_module(device)
    # It seeds the current device of its kind; a kind that knows of one device alone sets none.
    with kind.device(device) if hasattr(kind, "device") else nullcontext():
        kind.manual_seed(seed)
