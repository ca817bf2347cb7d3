"""Galleries of which a tenth of the other items is known: what is forecast, and what comes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits

from lookalike.retrieval.forecast import Forecast
from lookalike.retrieval.growth_record import Growth
from lookalike.retrieval.metrics import per_query_metrics
from lookalike.retrieval.ranks import Ranks

KS = [1, 10, 50]

Scored = tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]
"""Scores [Q, N], labels of the queries and of the gallery."""


def clusters(
    rng: np.random.Generator,
    *,
    classes: int = 40,
    queries: int = 3,
    relevant: int = 4,
    dimensions: int = 16,
    spread: float = 0.8,
    others: int = 2000,
    clump: int = 1,
) -> Scored:
    """Classes around points; the other items around points of their own, `clump` around each."""
    points = rng.normal(size=(classes, dimensions))
    of_query, of_item = (np.repeat(np.arange(classes), count) for count in (queries, relevant))
    far = np.repeat(rng.normal(size=(others // clump, dimensions)), clump, axis=0)
    items = np.concatenate([points[of_item], far])
    asked = points[of_query] + spread * rng.normal(size=(len(of_query), dimensions))
    items = items + spread * rng.normal(size=items.shape)
    labels = np.concatenate([of_item, np.full(len(far), -1)])
    return _scores(asked, items), of_query, labels


def digits(rng: np.random.Generator, *, dimensions: int = 64, classes: int = 10) -> Scored:
    """Handwritten digits by their pixels, or a projection of these; by kind or finer."""
    pixels, labels = load_digits(return_X_y=True)
    pixels = pixels - pixels.mean(0)
    if classes != 10:
        labels = KMeans(classes, n_init=1, random_state=int(rng.integers(2**31))).fit_predict(
            pixels
        )
        pixels = pixels + 2 * rng.normal(size=pixels.shape)
    if dimensions != 64:
        pixels = pixels @ rng.normal(size=(64, dimensions))
    order = rng.permutation(len(pixels))
    asked, items = order[:200], order[200:]
    return _scores(pixels[asked], pixels[items]), labels[asked], labels[items]


def _scores(asked: NDArray[np.float64], items: NDArray[np.float64]) -> NDArray[np.float64]:
    squares = (asked**2).sum(1)[:, None] + (items**2).sum(1) - 2 * asked @ items.T
    scores: NDArray[np.float64] = -squares
    return scores


KINDS: Mapping[str, Callable[[np.random.Generator], Scored]] = {
    "clusters": clusters,
    "tight clusters": lambda rng: clusters(rng, spread=0.5),
    "loose clusters": lambda rng: clusters(rng, spread=1.1),
    "four dimensions": lambda rng: clusters(rng, dimensions=4, spread=0.3),
    "64 dimensions": lambda rng: clusters(rng, dimensions=64, spread=1.3),
    "clumps of 10": lambda rng: clusters(rng, clump=10),
    "clumps of 50": lambda rng: clusters(rng, clump=50),
    "many relevant": lambda rng: clusters(rng, classes=20, relevant=30),
    "few queries": lambda rng: clusters(rng, classes=20, queries=1),
    "nothing wrong yet": lambda rng: clusters(rng, dimensions=32, spread=0.35),
    "digits": digits,
    "digits in 2 dimensions": lambda rng: digits(rng, dimensions=2),
    "digits in 6 dimensions": lambda rng: digits(rng, dimensions=6),
    "120 kinds of digits": lambda rng: digits(rng, classes=120),
}
"""Test sets, by what they are."""


@dataclass(frozen=True)
class Outcome:
    """A forecast from a tenth of the others, what the metric was then, and what it is in all."""

    kind: str
    key: str
    forecast: Forecast
    before: float
    then: float

    @property
    def covered(self) -> bool:
        """Whether the interval holds what came."""
        low, high = self.forecast.low, self.forecast.high
        assert low is not None
        assert high is not None
        return low - 1e-9 <= self.then <= high + 1e-9


def outcomes(kind: str, seed: int, *, by_class: bool = True) -> Iterator[Outcome]:
    """Keep each of a set's items that is relevant, and one of ten others; forecast from these."""
    rng = np.random.default_rng([seed, *kind.encode()])
    scores, asked, labels = KINDS[kind](rng)
    relevant = asked[:, None] == labels
    found = relevant.any(1)
    scores, asked, relevant = scores[found], asked[found], relevant[found]
    drawn = np.zeros(len(labels), np.bool_)
    drawn[rng.choice(len(labels), len(labels) // 10, replace=False)] = True

    def measured(shown: NDArray[np.bool_]) -> tuple[Ranks, NDArray[np.int64]]:
        order = np.argsort(np.where(shown, -scores, np.inf), axis=1, kind="stable")
        hits = np.take_along_axis(relevant, order, 1)
        return Ranks.of_each([np.flatnonzero(row) + 1 for row in hits]), shown.sum(1)

    ranks, size = measured(drawn | relevant)
    whole_ranks, whole_size = measured(np.ones_like(relevant))
    growth = Growth(len(asked), KS)
    growth.add(np.arange(len(asked)), ranks, size)
    record = growth.summary(
        np.arange(len(asked)),
        per_query_metrics(ranks, size, KS),
        size,
        ranks.counts,
        ranks.values[ranks.starts[:-1]].astype(np.int64),
        resamples=1000,
        seed=0,
        units=[str(label) for label in asked] if by_class else None,
    )
    then = per_query_metrics(whole_ranks, whole_size, KS)
    for key, forecast in record["forecast"]["metrics"].items():
        before = record["metrics"][key][-1]
        yield Outcome(kind, key, Forecast(**forecast), before, float(then[key].mean()))
