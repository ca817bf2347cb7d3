"""Which images make a batch, decided by seed and epoch alone, so that a run can be resumed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lookalike.records import Chosen
from lookalike.training.decks import Indices
from lookalike.training.samplers.table import SAMPLERS


def generator(seed: int, *place: int) -> np.random.Generator:
    """A random generator for one place (an epoch, a step) of a seeded run."""
    return np.random.default_rng((seed, *place))


def epoch_batches(labels: NDArray[np.int64], batch: Chosen, seed: int, epoch: int) -> list[Indices]:
    """The batches of one epoch by a recipe's `batch` settings: a function of seed and epoch."""
    sampler = SAMPLERS[batch.name]
    batches: list[Indices] = sampler.load()(
        labels, generator(seed, epoch), **sampler.own(batch.values)
    )
    return batches
