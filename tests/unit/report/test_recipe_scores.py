"""The values of a recipe's networks on the queries that all of them scored."""

from __future__ import annotations

import functools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lookalike.errors import LookalikeError
from lookalike.report.recipe_scores import Gathered, RecipeScores, on_same_queries
from support.scored_runs import CLASS, QUERY

KEYS = ["mAP@10", "mean_rank"]
QUERIES = st.lists(st.sets(st.integers(0, 8), min_size=1), min_size=2, max_size=5)


def table(queries: set[int], seed: int) -> pd.DataFrame:
    """A network's scores of some queries; a query has its class."""
    values = np.random.default_rng(seed).random((9, len(KEYS)))[sorted(queries)]
    frame = pd.DataFrame(values, [f"q{number}" for number in sorted(queries)], KEYS)
    frame.insert(0, "label", [f"c{number // 3}" for number in sorted(queries)])
    return frame


def gathered(tables: list[pd.DataFrame]) -> RecipeScores:
    added = Gathered()
    for one in tables:
        added.add(one)
    return added.scores("x", True)


@settings(derandomize=True, deadline=None)
@given(QUERIES)
def test_only_queries_that_every_seed_scored_are_kept_as_an_inner_join_does(
    queries: list[set[int]],
) -> None:
    tables = [table(some, seed) for seed, some in enumerate(queries)]
    joined = functools.reduce(
        lambda one, other: one.join(other, how="inner"),
        [one[KEYS].add_suffix(f" {seed}") for seed, one in enumerate(tables)],
    ).sort_index()
    if joined.empty:
        with pytest.raises(LookalikeError, match="no scored query in common"):
            gathered(tables)
        return
    side = gathered(tables)
    assert side.labels.index.tolist() == joined.index.tolist()
    assert side.labels.tolist() == [f"c{int(name[1:]) // 3}" for name in joined.index]
    for place, key in enumerate(KEYS):
        columns = [f"{key} {seed}" for seed in range(len(tables))]
        assert np.array_equal(side.values[place], joined[columns].to_numpy().T)
    of_classes = joined.groupby(side.labels).sum()
    totals, sizes = side.totals(CLASS)
    assert sizes.tolist() == side.labels.value_counts().sort_index().tolist()
    assert totals[1, 0] == pytest.approx(of_classes["mean_rank 0"].to_numpy())
    assert side.n_units(CLASS) == len(of_classes)
    assert side.totals(QUERY)[1].tolist() == [1] * len(joined)
    assert side.n_units(QUERY) == len(joined)


def test_two_recipes_are_compared_on_the_queries_that_both_have() -> None:
    one, other = gathered([table({0, 1, 2, 5}, 0)]), gathered([table({1, 2, 3, 5}, 1)])
    first, second = on_same_queries(one, other)
    assert first.labels.index.tolist() == second.labels.index.tolist() == ["q1", "q2", "q5"]
    assert np.array_equal(first.values[:, 0], table({1, 2, 5}, 0)[KEYS].to_numpy().T)
    assert np.array_equal(second.values[:, 0], table({1, 2, 5}, 1)[KEYS].to_numpy().T)
    with pytest.raises(LookalikeError, match="no scored query in common"):
        on_same_queries(one, gathered([table({7, 8}, 0)]))
