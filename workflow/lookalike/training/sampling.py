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


def hold_out_classes(labels: NDArray[np.int64], share: float, seed: int) -> tuple[Indices, Indices]:
    """Split images into those to train on and those of held-out classes, to validate on.

    Args:
        labels: int64 [n].
        share: share of the classes with at least two images to hold out.
        seed: of the choice.

    Returns:
        (training, validation) indices, each sorted; the second is empty where `share` is 0 or
        where fewer than two classes would be held out, or fewer than two left to train on.
    """
    everything = np.arange(len(labels))
    values, counts = np.unique(labels, return_counts=True)
    with_pair = values[counts >= 2]
    n_held = round(len(with_pair) * share)
    if n_held < 2 or len(with_pair) - n_held < 2:
        return everything, everything[:0]
    held = generator(seed).permutation(with_pair)[:n_held]
    is_held = np.isin(labels, held)
    return everything[~is_held], everything[is_held]
