"""What there is to know of one metric."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lookalike.retrieval.arrays import Values
from lookalike.retrieval.ranks import Ranks


@dataclass(frozen=True)
class Metric:
    """One metric.

    Attributes:
        key: its key in metrics.json; `{k}` stands for a cut-off, and there is a key for each.
        per_query: the value of each query, float64 [n], from `Ranks` of R >= 1. Besides, it is
            given what its further parameters are called after: `k`, and `n_gallery` (G of each
            query, int64 [n]).
        chance: the exact expectation for one query under a uniformly random order, from `g`, `r`
            (R >= 1) and, if it has that parameter, `k`. Of a median over queries, the median of
            the mixture, from int64 [Q] `n_gallery`, `n_relevant` and `counts`, how many queries
            have that G and R. None where none is known: it is then estimated by simulation.
        formula: what it is per query, for the docs.
        chance_formula: the same for its chance; empty where that is None.
        sentence: one sentence for whoever reads the number for the first time.
        sentence_at_1: another for k = 1, where that is plainer.
        headline: whether it speaks first, and has bounds from ties.
        less_is_better: as it says.
        in_ranks: whether it is a rank, from 1 to G + 1, and not a share, from 0 to 1.
        over_queries: what is taken over the queries.

    """

    key: str
    per_query: Callable[..., Values]
    chance: Callable[..., float] | None
    formula: str
    chance_formula: str
    sentence: str
    sentence_at_1: str = ""
    headline: bool = False
    less_is_better: bool = False
    in_ranks: bool = False
    over_queries: Literal["mean", "median"] = "mean"

    def __post_init__(self) -> None:
        if ("k" in self._parameters) != self.has_cut_offs:
            raise ValueError(f"{self.key}: its function takes k if, and only if, its key has {{k}}")
        if self.headline and self.over_queries != "mean":
            raise ValueError(f"{self.key}: of a headline runs are compared query by query: a mean")

    @property
    def has_cut_offs(self) -> bool:
        """Whether it is taken at each cut-off."""
        return "{k}" in self.key

    def at(self, ks: Sequence[int]) -> dict[str, int]:
        """Its keys at the cut-offs, each with its own; one key, with 0, where it has none."""
        if not self.has_cut_offs:
            return {self.key: 0}
        return {self.key.format(k=k): k for k in ks}

    def cut_off(self, key: str) -> int | None:
        """The cut-off of one of its keys, 0 where it has none; None if the key is not its own."""
        pattern = re.escape(self.key).replace(r"\{k\}", "([0-9]+)")
        found = re.fullmatch(pattern, key)
        return found and int(found.group(1) if self.has_cut_offs else 0)

    def values(self, ranks: Ranks, n_gallery: NDArray[np.int64], k: int) -> Values:
        """Value of each of n queries with R >= 1, float64 [n]; `k` is used if there is one."""
        given = {"k": k, "n_gallery": n_gallery}
        return self.per_query(ranks, **{name: given[name] for name in self._parameters})

    def expectation(self, g: int, r: int, k: int) -> float:
        """Chance of one query, of a mean over queries whose `chance` is known."""
        assert self.chance is not None
        if r == 0:
            return float(self.nothing_found(np.array(g)))
        return self.chance(g, r, k) if self.has_cut_offs else self.chance(g, r)

    def nothing_found(self, n_gallery: NDArray[np.int64]) -> Values:
        """What a query without a relevant item counts as, where it counts: float64, as G."""
        if self.in_ranks:
            return n_gallery.astype(np.float64) + 1
        return np.full(n_gallery.shape, float(self.less_is_better))

    def explained(self, k: int | str) -> str:
        """Its sentence, at the cut-off `k` if it has one; "k" for whichever it is."""
        return self.sentence_at_1 if self.sentence_at_1 and k == 1 else self.sentence.format(k=k)

    @cached_property
    def _parameters(self) -> list[str]:
        return list(inspect.signature(self.per_query).parameters)[1:]
