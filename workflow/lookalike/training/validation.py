"""Scoring held-out training images while training."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lookalike.retrieval.metrics import average_precision_at
from lookalike.retrieval.ranking import rank
from lookalike.retrieval.streams import Items


def leave_one_out_map(
    vectors: NDArray[np.float32],
    labels: NDArray[np.int64],
    score: str,
    k: int,
    n_queries: int | None = None,
) -> float | None:
    """mAP@k where an image is the query once and all others are the gallery.

    Args:
        vectors: float32 [n, d].
        labels: int64 [n].
        score: `cosine` or `euclidean`.
        k: cut-off.
        n_queries: how many of the images, the first, are a query; None: all.

    Returns:
        The mean over queries that have another image of their class; None where there is none.
    """
    ids = [str(position) for position in range(len(labels))]
    names = [str(label) for label in labels]
    everything = Items.of(ids, names, vectors, keys=ids)
    first = slice(n_queries)
    queries = Items.of(ids[first], names[first], vectors[first], keys=ids[first])
    ranked = [batch.ranks for batch in rank(queries, everything, score=score, depth=0)]
    values = [average_precision_at(ranks.of(ranks.counts > 0), k) for ranks in ranked]
    found = np.concatenate(values)
    return float(np.mean(found)) if len(found) else None
