"""All query-gallery pairs, counted by their score while the gallery streams by.

A pair is as far apart as 1 - cosine, or as its Euclidean distance. Pairs are counted in cells of
distances whose float32 numbers begin with the same bits, so a cell is the finer, the nearer its
pairs are. How many pairs have the lowest score of a cell or a higher one is exact; between two of
these scores, the counts at both bound it. No score of a pair is kept.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import torch

from lookalike.compilation import compiled
from lookalike.retrieval.arrays import Float32s, Int64s, Values

_FRACTION_BITS = 11
_SHIFT = 23 - _FRACTION_BITS  # bits of a distance that do not count
RESOLUTION = 2.0**-_FRACTION_BITS
"""The width of a cell, as a share of the distances in it, at most."""

# The last one is for infinity: nothing but what stands apart is as far.
_N_CELLS = (0x7F800000 >> _SHIFT) + 1
# What a distance is where its score is 0.
_OFFSET = {"cosine": 1, "euclidean": 0}
_RELEVANT, _OTHERS = range(2)
# Two tables for each kind of pairs: to count in one of them need not wait for the other.
_TABLES = 2


class PairCounts:
    """How many pairs have a score in each cell, of relevant items and of others.

    Threads may count at the same time: each has counts of its own.
    """

    def __init__(self, score: str) -> None:
        """`score`: "cosine" or "euclidean", the negative distance."""
        self._offset = _OFFSET[score]
        self._of_thread = threading.local()
        self._counts: list[Int64s] = []
        self._there: torch.Tensor | None = None

    def add_relevant(self, scores: Float32s) -> None:
        """Count pairs with relevant items by their scores, float32 [n]."""
        self._tally(np.ascontiguousarray(scores, np.float32)[None], 1, len(scores), _RELEVANT)

    def add_others(self, scores: Any, n: int, width: int) -> None:
        """Count pairs with other items.

        Args:
            scores: float32 [at least n, at least width], an array or a tensor on a device; one
                thread at a time may come with tensors. -inf counts nowhere.
            n: how many rows are looked at.
            width: how many columns are.

        """
        if isinstance(scores, torch.Tensor):
            counts = _counted_there(scores[:n, :width], self._offset)
            self._there = counts if self._there is None else self._there.add_(counts)
        else:
            self._tally(scores, n, width, _OTHERS)

    def in_cells(self) -> tuple[Values, Int64s, Int64s]:
        """What was counted in the C cells that hold a pair, from the lowest score to the highest.

        Returns:
            The lowest score of each cell, float64 [C], rising; how many pairs with relevant items
            have a score in it, int64 [C]; how many with other items, likewise.

        """
        total = np.zeros((2, _N_CELLS), np.int64)
        for counts in self._counts:
            total += counts.sum(axis=1)
        if self._there is not None:
            total[_OTHERS] += self._there.cpu().numpy()
        held = np.flatnonzero(total[:, :-1].any(axis=0))[::-1]
        return self._lowest_scores(held), total[_RELEVANT, held], total[_OTHERS, held]

    def _lowest_scores(self, cells: Int64s) -> Values:
        # The last distance in a cell, and the first beyond it.
        bits = ((cells[:, None] + 1) << _SHIFT) - np.array([1, 0])
        last, beyond = bits.astype(np.int32).view(np.float32).astype(np.float64).T
        if self._offset == 0:
            euclidean: Values = -last
            return euclidean
        # A difference is rounded, from the middle between both on to `beyond`, whose bits are even.
        bound = 1 - (last + beyond) / 2
        lowest = bound.astype(np.float32)
        lowest = np.where(lowest > bound, lowest, np.nextafter(lowest, np.float32(np.inf)))
        # Where float64 rounds the bound to 1, it is a little less.
        cosine: Values = np.minimum(lowest.astype(np.float64), 1)
        return cosine

    def _tally(self, scores: Float32s, n: int, width: int, kind: int) -> None:
        if not hasattr(self._of_thread, "counts"):
            self._of_thread.counts = np.zeros((2, _TABLES, _N_CELLS), np.int64)
            self._counts.append(self._of_thread.counts)
        _count(scores, n, width, np.float32(self._offset), self._of_thread.counts[kind])


@compiled
def _count(scores: Float32s, n: int, width: int, offset: np.float32, counts: Int64s) -> None:
    """Add the first n rows and `width` columns of scores to counts, int64 [_TABLES, _N_CELLS]."""
    distances, cells = np.empty(width, np.float32), np.empty(width, np.uint32)
    bits, half = distances.view(np.uint32), width // 2
    for query in range(n):
        row = scores[query][:width]
        # Without branches, and apart from the counting: this is done in vector instructions.
        for column in range(width):
            distances[column] = max(offset - row[column], np.float32(0))
        for column in range(width):
            cells[column] = bits[column] >> np.uint32(_SHIFT)
        for column in range(half):
            counts[0, cells[column]] += 1
            counts[1, cells[column + half]] += 1
        if width % 2:
            counts[0, cells[width - 1]] += 1


def _counted_there(scores: torch.Tensor, offset: int) -> torch.Tensor:
    """The same, int64 [_N_CELLS], on the device where the scores are."""
    distances = (offset - scores).clamp_(min=0).flatten()
    cells = (distances.view(torch.int32) >> _SHIFT).long()
    return torch.bincount(cells, minlength=_N_CELLS)
