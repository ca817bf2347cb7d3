"""Which training images a network has never seen, to be asked for what it does with new ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lookalike.training.decks import Indices
from lookalike.training.held_out import MOST, SPREAD, Fold, hold_out
from lookalike.training.sampling import generator


def unseen_images(
    labels: NDArray[np.int64],
    contents: NDArray[np.int64],
    of: str,
    share: float,
    seed: int,
    fold: Fold | None = None,
    names: Sequence[str] | None = None,
    *,
    trains: bool,
) -> Indices:
    """Find training images of classes that nothing was trained on, one of each content.

    Those are what a training holds out, where that is whole classes; where nothing is trained, all
    images, or of very many 10,000: as many of each class as all have room for, from 20 down whole
    classes.

    Args:
        labels: int64 [n].
        contents: int64 [n], equal where images are equal byte by byte.
        of: `classes` or `images`: what is held out.
        share: of the classes.
        seed: of the choice.
        fold: as `hold_out` takes it.
        names: likewise.
        trains: whether the network is trained at all.

    Returns:
        int64 [u], sorted; empty where only images of trained classes are held out, or none.
    """
    if trains:
        if of != "classes":
            return np.empty(0, np.int64)
        return hold_out(labels, contents, of, share, seed, fold, names).queries
    rows = generator(seed).permutation(np.unique(contents, return_index=True)[1])
    classes = np.unique(labels[rows], return_inverse=True)[1]
    counts = np.bincount(classes)
    nth = np.empty(len(rows), np.int64)
    by_class = np.argsort(classes, kind="stable")
    nth[by_class] = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    kept = nth < max(SPREAD, MOST // len(counts))
    rows, classes = rows[kept], classes[kept]
    order = np.argsort(generator(seed, 1).permutation(len(counts))[classes], kind="stable")
    return np.sort(rows[order][:MOST])
