"""What is lost where embeddings of more digits are taken as float32."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lookalike.scores import score_matrix

Values = NDArray[np.float64]

# What float64 itself cannot tell: two spellings of one direction differ by so much.
_SAME = 1e-12


class Lost(NamedTuple):
    """Of neighbours in the order by all digits, the share that are equal, or change places."""

    tied: float
    swapped: float


def sampled(arrays: Iterable[NDArray[Any]], n_rows: int, at_most: int) -> Values:
    """Rows evenly spaced over all, float64 [at most so many, d]."""
    wanted = np.unique(np.linspace(0, n_rows - 1, min(n_rows, at_most)).astype(np.int64))
    taken, start = [], 0
    for array in arrays:
        here = wanted[(wanted >= start) & (wanted < start + len(array))] - start
        taken.append(array[here].astype(np.float64))
        start += len(array)
    return np.concatenate(taken)


def lost_in_float32(queries: Values, gallery: Values, score: str) -> Lost:
    """Compare the order by the scores of float64 with that of the same vectors in float32.

    Args:
        queries: float64 [n, d], finite in float32.
        gallery: float64 [m, d], finite in float32.
        score: "cosine" or "euclidean".

    """
    rough = score_matrix(queries.astype(np.float32), gallery.astype(np.float32), score)
    if score == "cosine":
        queries, gallery = _of_length_1(queries), _of_length_1(gallery)
    pairs = tied = swapped = 0
    for query, row in zip(queries, rough, strict=True):
        # Row by row: equal vectors score equally.
        fine = (
            (gallery * query).sum(1)
            if score == "cosine"
            else -np.sqrt(np.square(gallery - query).sum(1))
        )
        order = np.argsort(fine)
        steps = np.diff(fine[order])
        apart = steps > _SAME * np.maximum(np.abs(fine[order][1:]), _SAME)
        rough_steps = np.diff(row[order])[apart]
        pairs += int(apart.sum())
        tied += int((rough_steps == 0).sum())
        swapped += int((rough_steps < 0).sum())
    return Lost(tied / max(1, pairs), swapped / max(1, pairs))


def _of_length_1(vectors: Values) -> Values:
    norms = np.sqrt(np.square(vectors).sum(1, keepdims=True))
    rows: Values = np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > 0)
    return rows
