"""Dividing the training classes into folds, each of which is held out once."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def class_folds(names: Sequence[str], folds: int, seed: int) -> NDArray[np.int64]:
    """The fold of each class: equally many in each, or one more.

    Every class has an order of the folds, by a hash of its name, and the classes, in the order of
    another hash of theirs, take the first of their folds that has room. So where a class is added
    or removed, a few others move at most, whatever their names; and nothing depends on how many
    images a class has.

    Args:
        names: of the classes, all different.
        folds: how many.
        seed: of the hashes.

    Returns:
        int64 [c], from 0.
    """
    room = np.full(folds, len(names) // folds)
    chosen = np.empty(len(names), np.int64)
    for number in sorted(range(len(names)), key=lambda number: _hash(seed, names[number])):
        wanted = sorted(range(folds), key=lambda fold: _hash(seed, fold, names[number]))
        if not room.any():
            # All are as large as the smallest may be: of the classes left, each takes one at most.
            room[:] = 1
        fold = next(fold for fold in wanted if room[fold])
        room[fold] -= 1
        chosen[number] = fold
    return chosen


def _hash(*parts: object) -> bytes:
    return hashlib.sha256(" ".join(map(str, parts)).encode()).digest()
