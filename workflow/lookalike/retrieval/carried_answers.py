"""First answers as they would be in a gallery, from the scores of held-out images among each other.

Each held-out image is an *anchor*, asked for what is left of them. A gallery holds R relevant and N
other items of a query; the best score of so many follows from the anchor's own scores by order
statistics (David and Nagaraja, Order Statistics, 2003). For one anchor, items are taken as drawn
alike and independently. Those of one class are alike, so that the best of a gallery is lower than
that of as many independent ones: where this counts, the threshold comes out too high.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lookalike.retrieval.arrays import Float32s, Values
from lookalike.retrieval.scores import score_matrix

DRAWS = 32
"""Galleries that are drawn for each anchor."""

# Of an anchor's scores, the share that the tail is fitted to, and the fewest of them.
_OF_TAIL, _FEWEST_OF_TAIL = 0.05, 5
# The score of equal vectors; and a distance that is none in float32.
_HIGHEST = {"cosine": 1.0, "euclidean": 0.0}
_NO_DISTANCE = 1e-7

# Anchors whose scores with all others are in memory at a time.
_ANCHORS_AT_ONCE = 1024


def carried_answers(
    anchors: Iterable[tuple[Float32s, Float32s]],
    n_relevant: ArrayLike,
    n_other: ArrayLike,
    score: str,
    seed: int = 0,
) -> dict[str, NDArray[Any]]:
    """Draw first answers in a gallery for each anchor.

    Args:
        anchors: of each its scores with other items of its class, and with those of other classes.
        n_relevant: [Q], how many relevant items the gallery has of each query that it is used for.
            Where these are more than an anchor knows, the best of those that it knows counts.
        n_other: [Q], how many others.
        score: "cosine" or "euclidean".
        seed: of the draws; each takes the numbers of one of the Q, and the best of so many items.

    Returns:
        `anchor`, int64, and the columns of `Answers.of`, float64: `DRAWS` rows for each anchor that
        has a relevant item. An answer whose score a relevant and another item share counts as
        wrong.

    """
    of_relevant, of_other = np.asarray(n_relevant, np.int64), np.asarray(n_other, np.int64)
    rng = np.random.default_rng(seed)
    places: list[int] = []
    drawn = [np.empty((3, 0))]
    for place, (relevant, other) in enumerate(anchors):
        if not len(relevant):
            continue
        query = rng.integers(len(of_relevant), size=DRAWS)
        chance = 1 - rng.random((2, DRAWS))
        known = np.minimum(of_relevant[query], len(relevant))
        right = best_of_some(relevant, known, chance[0], score)
        wrong = best_of_some(other, of_other[query], chance[1], score)
        places.append(place)
        drawn.append(np.stack([right, wrong, of_relevant[query]]))
    right, wrong, counts = np.concatenate(drawn, axis=1)
    first = np.where(right > np.nan_to_num(wrong, nan=-np.inf), 1.0, np.nan)
    return {
        "anchor": np.repeat(np.array(places, np.int64), DRAWS),
        "best_relevant_score": right,
        "best_other_score": wrong,
        "first_rank": first,
        "n_relevant": counts,
    }


def best_of_some(scores: Float32s, counts: NDArray[np.int64], chance: Values, score: str) -> Values:
    """The best score of n items, by chance, for each n of `counts`.

    Of at most as many as there are scores it is that of a sample of them without replacement. Of
    more, the scores are a sample of what there is, whose upper end is fitted: the number of items
    within a distance rises as a power of it, the local intrinsic dimension (Levina and Bickel,
    2005; Amsaleg and others, 2015).

    Args:
        scores: float32 [m].
        counts: int64 [k], n of each draw.
        chance: float64 [k], above 0, at most 1: how high the best is among all that it could be.
        score: "cosine" or "euclidean".

    Returns:
        float64 [k] of float32 numbers; NaN where there is no item, or no score to tell of it.

    """
    best = np.full(len(counts), np.nan)
    if not len(scores):
        return best
    falling = -np.sort(-scores.astype(np.float64))
    for n in np.unique(counts[(counts > 0) & (counts <= len(scores))]):
        rows = counts == n
        # How many of the highest are not drawn: j or more with the probability spared[j - 1].
        spared = _none_of_highest(len(scores), int(n))
        best[rows] = falling[np.searchsorted(-spared, -chance[rows], side="right")]
    more = counts > len(scores)
    if more.any():
        # All n lie below a score that a share of all items exceeds: (1 - share)^n = chance.
        share = -np.expm1(np.log(chance[more]) / counts[more])
        best[more] = _exceeded_by(falling, share, _HIGHEST[score])
    return best.astype(np.float32).astype(np.float64)


def held_out_anchors(
    vectors: Float32s, labels: NDArray[np.int64], score: str
) -> Iterator[tuple[Float32s, Float32s]]:
    """Each image's scores with the others of its class, and with those of other classes.

    Args:
        vectors: float32 [n, d].
        labels: int64 [n].
        score: "cosine" or "euclidean".

    """
    for start in range(0, len(vectors), _ANCHORS_AT_ONCE):
        scores = score_matrix(vectors[start : start + _ANCHORS_AT_ONCE], vectors, score)
        for place, row in enumerate(scores, start):
            own = labels == labels[place]
            other = row[~own]
            own[place] = False
            yield row[own], other


def _exceeded_by(falling: Values, share: Values, highest: float) -> Values:
    """The scores that such shares of all items exceed, by m scores of them."""
    m = len(falling)
    k = min(m - 1, max(_FEWEST_OF_TAIL, round(_OF_TAIL * m)))
    empirical = falling[np.minimum((share * m).astype(np.int64), m - 1)]
    if k < 1:
        return empirical
    distance = np.maximum(highest - falling[: k + 1], _NO_DISTANCE)
    of_power = np.mean(np.log(distance[k] / distance[:k]))
    # Rounded, a cosine may exceed 1; that of equal vectors does not count as lower.
    tail = highest - distance[k] * (share * m / k) ** of_power
    return np.where(share * m < k, np.maximum(tail, falling[k]), empirical)


@lru_cache(maxsize=256)
def _none_of_highest(m: int, n: int) -> Values:
    """P(n of m without replacement hold none of the highest j) for j = 1 ... m - n, float64."""
    j = np.arange(m - n)
    probability: Values = np.exp(np.cumsum(np.log((m - n - j) / (m - j))))
    return probability
