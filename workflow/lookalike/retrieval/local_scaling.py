"""Local scaling, a remedy for hubs: distances less the mean distance to either item's neighbours.

With cosines it is cross-domain similarity local scaling, 2 cos(q, g) - r(q) - r(g) (Conneau et al.
2018), where r is the mean cosine to the k nearest gallery items (there: to those of the other
side); the thought is that of Zelnik-Manor and Perona 2004. A hub is near to everything, and most of
all to its neighbours, which is taken off again.

Written as a distance it needs no ranking of its own. With m(x) the mean squared distance of x to
its neighbours and some c >= m(x) for all x, of the embeddings

    q' = (q, sqrt((c - m(q)) / 2), 0)    g' = (g, 0, sqrt((c - m(g)) / 2))

the squared distance is |q - g|^2 - m(q) / 2 - m(g) / 2 + c, which with cosines is 4 - (2 cos - r(q)
- r(g)). So whatever searches by Euclidean distance searches by it.
"""

from __future__ import annotations

import numpy as np

from lookalike.errors import LookalikeError
from lookalike.retrieval.arrays import Float32s, Values
from lookalike.retrieval.neighbours import Nearest
from lookalike.retrieval.scores import prepared


def mean_squared_distances(found: Nearest, score: str) -> Values:
    """Mean squared distance of each item to its neighbours, float64 [n]; NaN where it has none."""
    scores, there = found.scores.astype(np.float64), found.places >= 0
    squared = np.where(there, 2 - 2 * scores if score == "cosine" else scores**2, 0.0)
    total = np.zeros(len(scores))
    for place in range(scores.shape[1]):
        total += squared[:, place]
    number = there.sum(axis=1)
    means: Values = np.where(number > 0, total / np.maximum(number, 1), np.nan)
    return means


def bound_of(queries: Values, gallery: Values, score: str) -> float:
    """The c of both sides, from their `mean_squared_distances`.

    Raises:
        LookalikeError: no gallery item has another one beside it.

    """
    means = np.concatenate([queries, gallery])
    if np.isnan(gallery).all():
        raise LookalikeError(
            "search.scaled needs gallery images that have others beside them; set it to false"
        )
    return 4.0 if score == "cosine" else float(np.nanmax(means))


def scaled(
    vectors: Float32s, means: Values, bound: float, score: str, *, of_gallery: bool
) -> Float32s:
    """Embeddings that are compared by Euclidean distance, float32 [n, d + 2].

    Args:
        vectors: float32 [n, d].
        means: their `mean_squared_distances`; an item that has no neighbours is taken to have them
            at the greatest distance.
        bound: see `bound_of`.
        score: what `vectors` are compared by: "cosine" or "euclidean".
        of_gallery: whether they are gallery items, or queries.

    """
    added = np.zeros((len(vectors), 2), np.float32)
    added[:, int(of_gallery)] = np.sqrt(np.maximum(bound - np.nan_to_num(means, nan=bound), 0) / 2)
    return np.concatenate([prepared(vectors, score), added], axis=1)
