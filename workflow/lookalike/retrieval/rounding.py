"""What is lost where embeddings of more digits are taken as float32."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lookalike.retrieval.arrays import Values
from lookalike.retrieval.scores import score_matrix

# What float64 itself cannot tell: sums of the same in another order differ by such a share, and two
# spellings of one direction are so far from one another, as vectors of length 1.
_SAME = 1e-12
_SAME_DIRECTION = 16 * float(np.finfo(float).eps)

REMEDY = {
    "cosine": "Bring all to length 1 in float64, subtract one vector, their mean, from all of both "
    "tables, and use --score euclidean (the order stays that of the cosine)",
    "euclidean": "Subtract one vector, their mean, from all of both tables, and divide all by one "
    "number that brings them near 1 (the order stays what it is)",
}
"""What to do before embeddings are written, so that float32 holds what tells them apart."""


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
    no_direction = np.zeros(len(gallery))
    if score == "cosine":
        queries, gallery = _of_length_1(queries), _of_length_1(gallery)
        # A zero vector's cosine is 0, as of two at a right angle: their squared distance is 2.
        no_direction[~gallery.any(1)] = 1
        floor = _SAME_DIRECTION
    else:
        largest = max(np.abs(queries).max(), np.abs(gallery).max())
        queries, gallery = (_scaled(vectors, largest) for vectors in (queries, gallery))
        floor = float(np.finfo(float).tiny)
    pairs = tied = swapped = 0
    for query, row in zip(queries, rough, strict=True):
        # Row by row: equal vectors score equally. The cosine too by the distance, of vectors of
        # length 1: near 1, float64 itself rounds away what tells products apart.
        fine = -np.sqrt(np.square(gallery - query).sum(1) + no_direction)
        order = np.argsort(fine)
        steps = np.diff(fine[order])
        apart = steps > np.maximum(_SAME * np.abs(fine[order][1:]), floor)
        rough_steps = np.diff(row[order])[apart]
        pairs += int(apart.sum())
        tied += int((rough_steps == 0).sum())
        swapped += int((rough_steps < 0).sum())
    return Lost(tied / max(1, pairs), swapped / max(1, pairs))


def _of_length_1(vectors: Values) -> Values:
    vectors = _scaled(vectors, np.abs(vectors).max(1, keepdims=True))
    norms = np.sqrt(np.square(vectors).sum(1, keepdims=True))
    rows: Values = np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > 0)
    return rows


def _scaled(vectors: Values, largest: Values | float) -> Values:
    """Bring what is as large as `largest` near 1, without rounding: squares do not vanish."""
    scaled: Values = np.ldexp(vectors, -np.frexp(largest)[1])
    return scaled
