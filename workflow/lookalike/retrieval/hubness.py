"""Hubs: gallery items that are among the first answers of far more queries than others are.

Radovanović, Nanopoulos and Ivanović 2010: the skewness of N_k, which counts for each item the
queries that have it among their first k answers.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

HUBS = 10
"""Items that are named, those found most often."""


def hubness(rankings: pa.Table, n_gallery: int, k: int) -> dict[str, Any]:
    """How unevenly the items of a gallery are found.

    Args:
        rankings: `query_id`, `rank` (from 1) and `gallery_id`, k places of each query at the least.
        n_gallery: all gallery items, N; those that no query finds are in no row.
        k: first places that count.

    Returns:
        `k`, `n_queries`, `n_gallery`; `skew`, the mean of (N_k - mean)^3 over the standard
        deviation's third power, over all gallery items (None where N_k is the same for all);
        `skew_by_chance` where each query finds k items at random, Q of them:
        (1 - 2p) / sqrt(Q p (1 - p)) with p = k / N, None for p >= 1; `never_found`, the share of
        items with N_k = 0, and `never_found_by_chance`, (1 - p)^Q; `hubs`, the most found items, as
        `gallery_id` and `found`, the most found first and by their name where they are equal.

    """
    first = rankings.filter(pc.less_equal(rankings["rank"], k))
    n_queries = len(rankings["query_id"].unique())
    counted = first["gallery_id"].value_counts()
    found = pc.struct_field(counted, 1).to_numpy(zero_copy_only=False).astype(np.int64)
    share = k / n_gallery
    by_chance = None
    if share < 1:
        by_chance = (1 - 2 * share) / math.sqrt(n_queries * share * (1 - share))
    items = pa.table([pc.struct_field(counted, 0), pa.array(found)], ["gallery_id", "found"])
    most = items.sort_by([("found", "descending"), ("gallery_id", "ascending")])[:HUBS]
    return {
        "k": k,
        "n_queries": n_queries,
        "n_gallery": n_gallery,
        "skew": _skew(found, n_gallery),
        "skew_by_chance": by_chance,
        "never_found": (n_gallery - len(found)) / n_gallery,
        "never_found_by_chance": max(0.0, 1 - share) ** n_queries,
        "hubs": most.to_pylist(),
    }


def _skew(found: np.ndarray[Any, np.dtype[np.int64]], n_gallery: int) -> float | None:
    """Skewness of counts, of which those that are 0 are left out of `found`."""
    counts = np.concatenate([found, np.zeros(n_gallery - len(found), np.int64)]).astype(np.float64)
    apart = counts - counts.mean()
    variance = float(np.mean(apart**2))
    return float(np.mean(apart**3)) / variance**1.5 if variance > 0 else None
