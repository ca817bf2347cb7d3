"""Scoring held-out training images while training."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lookalike.retrieval.metrics import average_precision_at, average_precision_at_r
from lookalike.retrieval.ranking import rank
from lookalike.retrieval.streams import Items


class HeldOutScores(NamedTuple):
    """Means over queries that have another image of their class; None where there is none.

    Attributes:
        at_k: mAP@k.
        at_r: mAP@R.
    """

    at_k: float | None
    at_r: float | None


def leave_one_out_scores(
    vectors: NDArray[np.float32],
    labels: NDArray[np.int64],
    score: str,
    k: int,
    n_queries: int | None = None,
) -> HeldOutScores:
    """mAP@k and mAP@R where an image is the query once and all others are the gallery.

    Args:
        vectors: float32 [n, d].
        labels: int64 [n].
        score: `cosine` or `euclidean`.
        k: cut-off.
        n_queries: how many of the images, the first, are a query; None: all.
    """
    ids = [str(position) for position in range(len(labels))]
    names = [str(label) for label in labels]
    everything = Items.of(ids, names, vectors, keys=ids)
    first = slice(n_queries)
    queries = Items.of(ids[first], names[first], vectors[first], keys=ids[first])
    ranked = [batch.ranks for batch in rank(queries, everything, score=score, depth=0)]
    scored = [ranks.of(ranks.counts > 0) for ranks in ranked]
    at_k = np.concatenate([average_precision_at(ranks, k) for ranks in scored])
    at_r = np.concatenate([average_precision_at_r(ranks) for ranks in scored])
    if not len(at_k):
        return HeldOutScores(None, None)
    return HeldOutScores(float(np.mean(at_k)), float(np.mean(at_r)))
