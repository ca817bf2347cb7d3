"""The ranks of the relevant items: all that a metric is made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lookalike.retrieval.arrays import Values


@dataclass(frozen=True)
class Ranks:
    """Ranks of the relevant items of n queries, one query after the other.

    Attributes:
        values: integers, ascending for each query, from 1; maybe int32, and a cut-off may be larger
            than these hold: compare with it, or compute in float64.
        starts: int64 [n + 1]; the ranks of query i are at starts[i]:starts[i + 1].

    """

    values: NDArray[np.integer]
    starts: NDArray[np.int64]

    @classmethod
    def of_each(cls, queries: Sequence[Sequence[int] | NDArray[np.integer]]) -> Ranks:
        """From the ranks of each query's relevant items, ascending.

        >>> Ranks.of_each([[1, 3], [], [2]]).counts
        array([2, 0, 1])
        """
        starts = np.cumsum([0, *map(len, queries)]).astype(np.int64)
        values = np.concatenate([np.empty(0, np.int64), *queries]).astype(np.int64)
        return cls(values, starts)

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """R of each query, int64 [n]."""
        return np.diff(self.starts)

    @cached_property
    def precisions(self) -> Values:
        """P at the rank of each relevant item, float64 [sum of R]."""
        ordinal = np.arange(len(self.values)) - np.repeat(self.starts[:-1], self.counts) + 1
        precision: Values = ordinal / self.values
        return precision

    @cached_property
    def _at(self) -> dict[tuple[str, int], Values]:
        return {}

    def hits(self, k: int) -> Values:
        """How many relevant items are among the first k, float64 [n]."""
        if ("hits", k) not in self._at:
            self._at["hits", k] = self.sums(self.values <= k)
        return self._at["hits", k]

    def precision_sum(self, k: int) -> Values:
        """Sum over i <= k of P(i) rel(i) = sum over r_j <= k of j / r_j, float64 [n]."""
        if ("precision", k) not in self._at:
            self._at["precision", k] = self.sums(np.where(self.values <= k, self.precisions, 0.0))
        return self._at["precision", k]

    def sums(self, per_item: NDArray[np.generic]) -> Values:
        """Sum over each query's relevant items, float64 [n]."""
        total: Values = np.add.reduceat(per_item, self.starts[:-1], dtype=np.float64)
        return total

    def of(self, chosen: NDArray[np.bool_]) -> Ranks:
        """The ranks of some of the queries, bool [n]."""
        counts = self.counts[chosen]
        starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        return Ranks(self.values[np.repeat(chosen, self.counts)], starts)
