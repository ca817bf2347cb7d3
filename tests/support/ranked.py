"""Rankings one query at a time, for tests that compare them with other code."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lookalike.retrieval.ranking import Accelerator, rank
from lookalike.retrieval.streams import Items


@dataclass(frozen=True)
class RankedQuery:
    """One query's row of `lookalike.retrieval.ranking.Ranked`."""

    id: str
    label: str
    n_gallery: int
    ranks: NDArray[np.integer]
    optimistic: NDArray[np.integer]
    pessimistic: NDArray[np.integer]
    places: NDArray[np.int32]
    scores: NDArray[np.float32]
    relevant: NDArray[np.bool_]
    best_relevant: float
    best_other: float


def ranked_queries(
    queries: Items,
    gallery: Items,
    score: str,
    depth: int,
    accelerator: Accelerator | None = None,
) -> list[RankedQuery]:
    """The ranking of each query, in the order of the queries."""
    found: dict[int, RankedQuery] = {}
    for batch in rank(queries, gallery, score=score, depth=depth, accelerator=accelerator):
        for row, query in enumerate(batch.queries.tolist()):
            own = slice(*batch.ranks.starts[row : row + 2])
            there = batch.places[row] >= 0
            assert query not in found
            found[query] = RankedQuery(
                str(queries.ids[query]),
                str(queries.labels[query]),
                int(batch.n_gallery[row]),
                batch.ranks.values[own],
                batch.optimistic.values[own],
                batch.pessimistic.values[own],
                batch.places[row][there],
                batch.scores[row][there],
                batch.relevant[row][there],
                float(batch.best_relevant[row]),
                float(batch.best_other[row]),
            )
    return [found[query] for query in range(len(queries.ids))]


def as_lists(results: list[RankedQuery]) -> list[list[object]]:
    """Rankings in a form that compares."""
    return [
        [
            result.n_gallery,
            *(some.tolist() for some in (result.ranks, result.optimistic, result.pessimistic)),
            *(some.tolist() for some in (result.places, result.scores, result.relevant)),
        ]
        for result in results
    ]


def normal(*shape: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)
