"""k-occurrence and its skewness, against scipy and a simulation."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from lookalike.retrieval.hubness import HUBS, hubness


def rankings(places: np.ndarray) -> pa.Table:
    """Gallery items by number, a row a query."""
    n, depth = places.shape
    return pa.table(
        {
            "query_id": np.repeat([f"q{at}" for at in range(n)], depth),
            "rank": np.tile(np.arange(1, depth + 1), n),
            "gallery_id": [f"g{at:03}" for at in places.ravel()],
        }
    )


def test_it_is_scipys_skew_of_the_counts() -> None:
    rng = np.random.default_rng(0)
    weights = rng.pareto(1.5, 80)
    places = np.stack(
        [rng.choice(80, 12, replace=False, p=weights / weights.sum()) for _ in range(60)]
    )
    found = hubness(rankings(places), 80, 5)
    counts = np.bincount(places[:, :5].ravel(), minlength=80)
    assert found["skew"] == pytest.approx(stats.skew(counts))
    assert found["never_found"] == (counts == 0).mean()
    assert (found["n_queries"], found["n_gallery"], found["k"]) == (60, 80, 5)
    order = sorted(range(80), key=lambda at: (-counts[at], at))[:HUBS]
    assert found["hubs"] == [{"gallery_id": f"g{at:03}", "found": int(counts[at])} for at in order]


def test_chance_is_that_of_random_answers() -> None:
    rng = np.random.default_rng(1)
    skews, never = [], []
    for _ in range(300):
        places = np.argsort(rng.random((50, 200)), axis=1)[:, :10]
        found = hubness(rankings(places), 200, 10)
        skews.append(found["skew"])
        never.append(found["never_found"])
    assert found["skew_by_chance"] == pytest.approx(np.mean(skews), abs=0.05)
    assert found["never_found_by_chance"] == pytest.approx(np.mean(never), abs=0.01)


def test_where_all_are_found_alike_there_is_no_skew() -> None:
    places = np.tile(np.arange(4), (3, 1))
    found = hubness(rankings(places), 4, 10)
    assert (found["skew"], found["skew_by_chance"]) == (None, None)
    assert (found["never_found"], found["never_found_by_chance"]) == (0, 0)
