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
    best_run,
    differences,
    judge,
    require_scored_alike,
    scored_queries,
    seed_spreads,
)
from lookalike.report.results import Results, StateResults
from lookalike.retrieval.statistics import resampled_units

QUERY = {"bootstrap": 1000, "bootstrap_unit": "query", "seed": 0}
CLASS = QUERY | {"bootstrap_unit": "class"}
RESAMPLES = 200


def state(
    folder: Path,
    columns: Mapping[str, Any],
    protocol: Mapping[str, Any] = QUERY,
    shuffle: int | None = None,
) -> StateResults:
    """A state of a run as its files tell it; `shuffle` seeds the order of its rows."""
    frame = pd.DataFrame(columns)
    if "query_id" not in frame:
        frame.insert(0, "query_id", [f"q{number:03}" for number in range(len(frame))])
    frame = pd.DataFrame({"label": "a", "scored": True}, index=frame.index).assign(**frame)
    if shuffle is not None:
        frame = frame.sample(frac=1, random_state=shuffle)
    folder.mkdir(parents=True, exist_ok=True)
    frame.to_parquet(folder / "per_query.parquet")
    units = {"unit": protocol["bootstrap_unit"]}
    return StateResults({"settings": dict(protocol), "units": units}, folder)


def judged(one: StateResults, other: StateResults, key: str) -> Judged:
    first, second = (scored_queries(scores, [key]) for scores in (one, other))
    return judge(first, second, [key], one.summary["settings"])[key]


def make_runs(
    folder: Path,
    values: Mapping[tuple[str, int], tuple[Any, Any]],
    labels: Sequence[str],
    protocol: Mapping[str, Any] = QUERY,
    key: str = "mAP@10",
) -> tuple[list[Results], dict[tuple[str, str], dict[str, float]]]:
    """Runs with these (trained, untrained) values of `key` a query; and rows of the comparison."""
    runs: list[Results] = []
    rows: dict[tuple[str, str], dict[str, float]] = {}
    for place, ((recipe, seed), both) in enumerate(values.items()):
        states = {
            name: state(
                folder / f"{recipe}.{seed}" / name,
                {"label": list(labels), key: np.asarray(column)},
                protocol,
                shuffle=2 * place + number,
            )
            for number, (name, column) in enumerate(
                zip(("trained", "untrained"), both, strict=True)
            )
        }
        run = Results(recipe, seed, place, states, {"settings": {}}, pd.DataFrame(), {})
        runs.append(run)
        rows |= {
            (run.name, name): {key: float(np.mean(column))}
            for name, column in zip(("trained", "untrained"), both, strict=True)
        }
    return runs, rows


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


def test_runs_are_ranked_by_what_they_are_after_training(tmp_path: Path) -> None:
    after = {("a", 0): 0.2, ("a", 1): 0.6, ("b", 0): 0.9, ("c", 0): 0.1}
    values = {run: ([value] * 12, [1 - value] * 12) for run, value in after.items()}
    runs, rows = make_runs(tmp_path, values, ["x"] * 12)
    assert best_run(runs, rows, "mAP@10").name == "b.0"
    names = list(differences(runs, rows, "mAP@10", ["mAP@10"]))
    assert names[-1] == "b.0 − a (mean of 2 seeds)"
    spread = seed_spreads(runs, rows, ["mAP@10"])["a"]["mAP@10"]
    assert (spread.mean, spread.low, spread.high) == pytest.approx((0.4, 0.2, 0.6))


def test_the_best_seed_does_not_stand_for_its_recipe(tmp_path: Path) -> None:
    """Recipe a has the best seed of all and the lower mean."""
    rng = np.random.default_rng(0)
    level = {("a", 0): 0.95, ("a", 1): 0.1, ("b", 0): 0.7, ("b", 1): 0.75}
    values = {
        run: (value + rng.normal(0, 0.01, 40), np.full(40, 0.3)) for run, value in level.items()
    }
    runs, rows = make_runs(tmp_path, values, ["x"] * 40)
    assert best_run(runs, rows, "mAP@10").name == "a.0"
    found = differences(runs, rows, "mAP@10", ["mAP@10"])
    assert [name for name in found if " seeds) − " in name] == [
        "b (mean of 2 seeds) − a (mean of 2 seeds)"
    ]
    between = found["b (mean of 2 seeds) − a (mean of 2 seeds)"]["mAP@10"]
    assert between.verdict == "better"
    assert between.difference.value == pytest.approx(0.2, abs=0.01)


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
        runs, rows = make_runs(Path(folder), values, labels, protocol)
        found = differences(runs, rows, "mAP@10", ["mAP@10"])

    def mean(recipe: str, trained: int, query: int) -> float:
        seeds = [values[recipe, number][trained][query] for number in range(recipes[recipe])]
        return float(sum(seeds) / len(seeds))

    everything = range(n_queries)
    sides = {r: f"{r} (mean of {n} seeds)" if n > 1 else f"{r}.0" for r, n in recipes.items()}
    expected = {
        f"{recipe}.{number}: trained − untrained": [
            float(values[recipe, number][0][q] - values[recipe, number][1][q]) for q in everything
        ]
        for recipe, number in values
    }
    expected |= {
        f"{sides[recipe]}: trained − untrained": [
            mean(recipe, 0, q) - mean(recipe, 1, q) for q in everything
        ]
        for recipe in recipes
    }
    ranked = sorted(recipes, key=lambda r: -sum(mean(r, 0, q) for q in everything))
    if len(ranked) > 1:
        first, second = ranked[:2]
        expected[f"{sides[first]} − {sides[second]}"] = [
            mean(first, 0, q) - mean(second, 0, q) for q in everything
        ]
    assert set(found) == set(expected)
    intervals = intervals_by_loop(list(expected.values()), labels if by_class else None)
    for (what, changes), interval in zip(expected.items(), intervals, strict=True):
        difference, verdict = found[what]["mAP@10"].difference, found[what]["mAP@10"].verdict
        assert difference.value == pytest.approx(sum(changes) / n_queries)
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
