"""What a report says of differences between runs and recipes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lookalike.errors import LookalikeError
from lookalike.report.differences import (
    Judged,
    differences,
    judge,
    require_scored_alike,
)
from lookalike.report.recipe_scores import scored_queries
from lookalike.report.results import StateResults
from lookalike.retrieval.statistics import resampled_units
from support.crossed_by_regression import mean_over_seeds
from support.scored_runs import CLASS, QUERY, make_runs, state

RESAMPLES = 200


def judged(one: StateResults, other: StateResults, key: str) -> Judged:
    first, second = (scored_queries(scores, [key]) for scores in (one, other))
    return judge(first, second, [key], one.summary["settings"])[key]


def test_a_verdict_follows_the_direction_of_the_metric(tmp_path: Path) -> None:
    values = np.linspace(0, 0.5, 100)
    high, low = (
        state(
            tmp_path / str(shift),
            {"mAP@10": values + shift, "mean_rank": 9 - values - shift},
            shuffle=int(100 * shift),
        )
        for shift in (0.1, 0.0)
    )
    better = judged(high, low, "mAP@10")
    assert better.verdict == "better"
    # Every query gains the same, whatever the order of the rows: so does every resample.
    difference = better.difference
    assert (difference.value, difference.low, difference.high) == pytest.approx((0.1, 0.1, 0.1))
    assert judged(low, high, "mAP@10").verdict == "worse"
    assert judged(high, low, "mean_rank").verdict == "better"
    assert judged(low, high, "mean_rank").verdict == "worse"
    assert judged(low, low, "mAP@10").verdict == "no difference shown"


def test_effects_of_classes_are_taken_for_differences_where_single_queries_are_drawn() -> None:
    """Two equal networks that each have classes that suit them: what `auto` takes keeps 5 %."""
    rng, times = np.random.default_rng(4), 150
    labels = np.repeat([f"c{number:02}" for number in range(30)], 10)
    called = dict.fromkeys(("query", "class"), 0)
    for _ in range(times):
        one, other = (
            pd.DataFrame(
                {
                    "label": labels,
                    "mAP": 0.5
                    + np.repeat(rng.normal(0, 0.1, 30), 10)
                    + rng.normal(0, 0.15, len(labels)),
                }
            )
            for _ in range(2)
        )
        for unit in called:
            protocol = QUERY | {"bootstrap_unit": unit, "bootstrap": 400}
            verdict = judge(one, other, ["mAP"], protocol)["mAP"].verdict
            called[unit] += verdict != "no difference shown"
    assert called["query"] > 0.25 * times
    assert called["class"] <= 0.12 * times  # three standard deviations above 6 %


def test_a_difference_does_not_depend_on_the_order_of_the_rows(tmp_path: Path) -> None:
    values = np.random.default_rng(1).random((2, 50))

    def scores(row: int, order: int) -> StateResults:
        return state(tmp_path / f"{row}.{order}", {"mAP": values[row]}, shuffle=order)

    one = judged(scores(0, 1), scores(1, 2), "mAP")
    assert judged(scores(0, 3), scores(1, 4), "mAP") == one
    assert one.difference.value == pytest.approx(values[0].mean() - values[1].mean())


def test_drawing_classes_widens_the_interval_where_a_class_is_all_alike(tmp_path: Path) -> None:
    columns = {"label": np.repeat(list("abcdefghij"), 20), "mAP": np.repeat(np.arange(10) / 10, 20)}

    def width(protocol: Mapping[str, Any]) -> float:
        one = state(tmp_path / "one", columns, protocol)
        zero = state(tmp_path / "zero", columns | {"mAP": np.zeros(200)}, protocol)
        found = judged(one, zero, "mAP").difference
        assert found.low is not None
        assert found.high is not None
        return found.high - found.low

    assert width(CLASS) > 3 * width(QUERY)


@st.composite
def experiments(draw: st.DrawFn) -> tuple[dict[str, int], int, int, bool, int]:
    """How many seeds each recipe has, queries, classes, whether classes are drawn; a seed."""
    seeds = draw(st.lists(st.integers(1, 3), min_size=1, max_size=4))
    recipes = dict(zip("abcd", seeds, strict=False))
    n_queries, n_classes = draw(st.integers(1, 14)), draw(st.integers(1, 12))
    return recipes, n_queries, n_classes, draw(st.booleans()), draw(st.integers(0, 999))


def intervals_by_loop(changes: Sequence[Sequence[float]], units: Sequence[str] | None) -> Any:
    """95 % of the resampled means of each list of the queries' differences; None of few units."""
    of_query = units or [f"{number:03}" for number in range(len(changes[0]))]
    distinct = sorted(set(of_query))
    if len(distinct) < 10:
        return [None] * len(changes)
    means = []
    for times in np.concatenate(list(resampled_units(len(distinct), resamples=RESAMPLES, seed=0))):
        weights = dict(zip(distinct, times.tolist(), strict=True))
        drawn = [query for query, unit in enumerate(of_query) for _ in range(weights[unit])]
        means.append(np.asarray(changes)[:, drawn].mean(axis=1))
    return np.percentile(means, [2.5, 97.5], axis=0).T.tolist()


@settings(derandomize=True, deadline=None, max_examples=30)
@given(experiments())
def test_every_difference_is_that_of_loops_over_seeds_and_queries(
    experiment: tuple[dict[str, int], int, int, bool, int],
) -> None:
    recipes, n_queries, n_classes, by_class, seed = experiment
    rng = np.random.default_rng(seed)
    labels = [f"c{number:02}" for number in rng.integers(0, n_classes, n_queries)]
    values: dict[tuple[str, int], tuple[NDArray[np.float64], NDArray[np.float64]]] = {
        (recipe, number): (rng.random(n_queries), rng.random(n_queries))
        for recipe, count in recipes.items()
        for number in range(count)
    }
    with TemporaryDirectory() as folder:
        protocol = (CLASS if by_class else QUERY) | {"bootstrap": RESAMPLES}
        runs, _ = make_runs(Path(folder), values, labels, protocol)
        found = differences(runs, ["mAP@10"])

    everything = range(n_queries)
    expected = {
        f"{recipe}.{number}: trained − untrained": [
            float(values[recipe, number][0][q] - values[recipe, number][1][q]) for q in everything
        ]
        for recipe, number in values
    }
    of_seeds = {
        f"{recipe} (mean of {count} seeds): trained − untrained": np.array(
            [values[recipe, number][0] - values[recipe, number][1] for number in range(count)]
        )
        for recipe, count in recipes.items()
        if count > 1
    }
    units = labels if by_class else [f"{number:03}" for number in everything]
    assert set(found) == {*expected, *of_seeds}
    expected_means = {what: sum(changes) / n_queries for what, changes in expected.items()}
    expected_means |= {what: float(changes.mean()) for what, changes in of_seeds.items()}
    looped = intervals_by_loop(list(expected.values()), labels if by_class else None)
    intervals: dict[str, Any] = dict(zip(expected, looped, strict=True))
    for what, changes in of_seeds.items():
        enough = len(set(units)) >= 10
        ends = mean_over_seeds(changes, units)[1:] if enough else None
        intervals[what] = ends and (max(-1, ends[0]), min(1, ends[1]))
    for what, value in expected_means.items():
        difference, verdict = found[what]["mAP@10"].difference, found[what]["mAP@10"].verdict
        interval = intervals[what]
        assert difference.value == pytest.approx(value)
        if interval is None:
            assert (difference.low, difference.high, verdict) == (None, None, None)
        else:
            low, high = interval
            assert (difference.low, difference.high) == pytest.approx((low, high), abs=1e-12)
            word = "better" if low > 0 else "worse" if high < 0 else "no difference shown"
            assert verdict == word


def test_only_queries_that_every_seed_scored_are_paired(tmp_path: Path) -> None:
    ids = [f"q{number:02}" for number in range(12)]
    one = state(tmp_path / "one", {"query_id": ids, "mAP": np.arange(12) / 12})
    other = state(
        tmp_path / "other",
        {"query_id": ids, "scored": [True] * 11 + [False], "mAP": [0.0] * 11 + [None]},
    )
    found = judged(one, other, "mAP").difference
    assert found.value == pytest.approx(sum(range(11)) / 11 / 12)
    with pytest.raises(LookalikeError, match="no scored query in common"):
        judged(one, state(tmp_path / "third", {"query_id": ["z"], "mAP": [1.0]}), "mAP")


def test_a_run_scored_by_other_settings_is_named(tmp_path: Path) -> None:
    runs, rows = make_runs(tmp_path, {("a", 0): ([1.0], [0.0])}, ["x"])
    require_scored_alike(runs, rows, ["mAP@10"])
    with pytest.raises(LookalikeError, match=r"a\.0 was scored by other settings.*no mAP@50"):
        require_scored_alike(runs, rows, ["mAP@10", "mAP@50"])
