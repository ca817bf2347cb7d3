"""The growth of a gallery as metrics.json has it: metrics by its size, and a forecast."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from lookalike.retrieval.arrays import Int64s, Values
from lookalike.retrieval.forecast import TIMES, forecast_metrics
from lookalike.retrieval.growth import DRAWN_SHARES, drawn_of, expected_metrics, growth_keys
from lookalike.retrieval.ranks import Ranks

FEWEST_OTHERS = 10
"""Other items that the smallest galleries must have, on average, for a forecast."""

NEVER = 2**62
"""A rank beyond every cut-off."""

# Of DRAWN_SHARES those that a forecast goes by.
_FORECAST_BY = [0, 2, 4]


class Growth:
    """Collects the expectations of Q queries, which come in batches.

    Of the whole gallery nothing is kept: there a metric is what it is.
    """

    def __init__(self, n_queries: int, ks: Sequence[int]) -> None:
        self.ks, self.keys = ks, growth_keys(ks)
        self._values = np.empty((len(self.keys), n_queries, len(DRAWN_SHARES) - 1))

    def add(self, queries: Int64s, ranks: Ranks, n_gallery: Int64s) -> None:
        """Take the ranks of some queries, int64 [n], and G of each."""
        others = n_gallery - ranks.counts
        drawn = np.stack([drawn_of(others, share) for share in DRAWN_SHARES[:-1]], 1)
        found = expected_metrics(ranks, others, drawn, self.ks)
        self._values[:, queries] = np.moveaxis(found, 2, 0)

    def summary(
        self,
        queries: Int64s,
        whole: Mapping[str, Values],
        n_gallery: Int64s,
        n_relevant: Int64s,
        first_rank: Int64s,
        *,
        resamples: int,
        seed: int,
        units: Sequence[str] | None,
    ) -> dict[str, Any]:
        """`growth` of metrics.json.

        Args:
            queries: the scored ones, in an order that does not depend on that of the table.
            whole: every metric of each query in the whole gallery, float64 [Q].
            n_gallery: int64 [Q], G.
            n_relevant: int64 [Q], R.
            first_rank: int64 [Q], the rank of the first relevant item; anything where R is 0.
            resamples, seed, units: of the bootstrap, see `forecast.forecast_metrics`.

        Returns:
            `sizes` and `others`: ascending, how many items each query ranks, and how many of these
            are not relevant, on average. `metrics`: by key, the expectation at each size.
            `forecast`: `times` as many others, the `size` then, and `metrics`, by key `value`,
            `low` and `high`; None where there are too few others to go by.
        """
        n = len(queries)
        others = (n_gallery - n_relevant)[queries]
        values = {
            key: np.column_stack([self._values[place, queries], whole[key][queries]])
            for place, key in enumerate(self.keys)
        }
        drawn = [int(drawn_of(others, share).sum()) / n for share in DRAWN_SHARES]
        relevant = int(n_relevant[queries].sum()) / n
        growth: dict[str, Any] = {
            "sizes": [relevant + count for count in drawn],
            "others": drawn,
            "metrics": {
                key: [math.fsum(column) / n for column in each.T] for key, each in values.items()
            },
            "forecast": None,
        }
        if drawn[0] >= FEWEST_OTHERS:
            found = forecast_metrics(
                {key: each[:, _FORECAST_BY] for key, each in values.items()},
                np.where(n_relevant > 0, first_rank, NEVER)[queries],
                [DRAWN_SHARES[place] for place in _FORECAST_BY],
                resamples=resamples,
                seed=seed,
                units=units,
            )
            growth["forecast"] = {
                "times": TIMES,
                "size": relevant + TIMES * drawn[-1],
                "metrics": {key: asdict(forecast) for key, forecast in found.items()},
            }
        return growth
