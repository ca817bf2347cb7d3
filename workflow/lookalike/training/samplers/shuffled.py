"""Batches without regard to class."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def shuffled_batches(
    labels: NDArray[np.int64], rng: np.random.Generator, *, size: int
) -> list[NDArray[np.int64]]:
    """All images once in random order, in batches of `size`.

    A last batch of one image would make no pair: it joins the batch before.

    Args:
        labels: int64 [n], the class of each image, on which the batches do not depend.
        rng: the source of chance.
        size: images in a batch.

    Returns:
        Arrays of indices into `labels`.
    """
    n_images = len(labels)
    order = rng.permutation(n_images)
    batches = [order[start : start + size] for start in range(0, n_images, size)]
    if len(batches) > 1 and len(batches[-1]) == 1:
        batches[-2:] = [np.concatenate(batches[-2:])]
    return batches
