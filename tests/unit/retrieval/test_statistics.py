from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from lookalike.retrieval.evaluation import evaluate_items, summary_text
from lookalike.retrieval.settings import MetricsSettings
from lookalike.retrieval.statistics import (
    Difference,
    bootstrap_intervals,
    paired_differences,
    resampled_units,
    weighted_median,
)
from lookalike.retrieval.streams import Items


def interval(
    values: NDArray[np.float64], units: list[str] | None = None, seed: int = 0, median: bool = False
) -> tuple[float, float]:
    return bootstrap_intervals(
        {"x": values}, resamples=2000, seed=seed, units=units, medians=["x"] if median else []
    )["x"]


def paired(
    first: NDArray[np.float64],
    second: NDArray[np.float64],
    resamples: int,
    units: list[str] | None = None,
    median: bool = False,
) -> Difference:
    return paired_differences(
        {"x": first},
        {"x": second},
        resamples=resamples,
        seed=0,
        units=units,
        medians=["x"] if median else [],
    )["x"]


@settings(derandomize=True, deadline=None, max_examples=150)
@given(
    pairs=st.lists(
        st.tuples(st.integers(-9, 9), st.integers(0, 4)), min_size=1, max_size=20
    ).filter(lambda pairs: any(weight for _, weight in pairs))
)
def test_a_weight_is_a_repetition(pairs: list[tuple[int, int]]) -> None:
    values = np.array([value for value, _ in pairs], dtype=np.float64)
    weights = np.array([weight for _, weight in pairs])
    repeated = np.repeat(values, weights)
    assert weighted_median(values, weights[None, :])[0] == np.median(repeated)


def test_draws_are_as_many_as_there_are_units() -> None:
    times = np.concatenate(list(resampled_units(30, resamples=4000, seed=1)))
    assert times.shape == (4000, 30)
    assert set(times.sum(axis=1)) == {30}
    # Each unit is drawn Binomial(30, 1/30) times.
    assert np.mean(times) == pytest.approx(1)
    assert np.var(times[:, 3]) == pytest.approx(29 / 30, rel=0.1)


@pytest.mark.parametrize("median", [False, True])
@pytest.mark.parametrize("units", [None, list("jabcdefghibaj")])
def test_the_interval_is_that_of_a_loop_over_resamples(
    units: list[str] | None, median: bool
) -> None:
    values = np.array([0.3, 0.1, 0.9, 0.4, 0.2, 0.8, 0.15, 0.6, 0.35, 0.7, 0.05, 0.55, 0.25])
    names = units or [f"{i:02d}" for i in range(13)]
    distinct = sorted(set(names))
    members = [[i for i, unit in enumerate(names) if unit == name] for name in distinct]
    statistics = []
    for times in np.concatenate(list(resampled_units(len(distinct), resamples=2000, seed=0))):
        drawn = [i for count, some in zip(times, members, strict=True) for i in some * int(count)]
        statistics.append((np.median if median else np.mean)(values[drawn]))
    expected = np.percentile(statistics, [2.5, 97.5])
    assert interval(values, units, median=median) == pytest.approx(tuple(expected))


@settings(derandomize=True, deadline=None, max_examples=60)
@given(
    classes=st.lists(st.integers(0, 12), min_size=1, max_size=14),
    by_class=st.booleans(),
    median=st.booleans(),
    seed=st.integers(0, 99),
)
def test_fewer_than_ten_queries_or_classes_have_no_interval(
    classes: list[int], by_class: bool, median: bool, seed: int
) -> None:
    first, second = np.random.default_rng(seed).random((2, len(classes)))
    units = [f"class {number}" for number in classes] if by_class else None
    enough = (len(set(classes)) if by_class else len(classes)) >= 10
    medians = ["x"] if median else []
    one = bootstrap_intervals({"x": first}, resamples=1000, seed=0, units=units, medians=medians)
    assert list(one) == (["x"] if enough else [])
    found = paired(first, second, 1000, units, median)
    statistic = np.median if median else np.mean
    assert found.value == pytest.approx(statistic(first) - statistic(second))
    assert (found.low is not None) == (found.high is not None) == enough


def test_no_resamples_are_no_interval() -> None:
    assert paired(np.ones(50), np.zeros(50), 0) == Difference(1.0, None, None)


@pytest.mark.parametrize(
    ("n_queries", "unit", "why"),
    [
        (9, "query", "no intervals: fewer than 10 queries"),
        (10, "query", None),
        (30, "class", "no intervals: fewer than 10 classes"),
    ],
)
def test_the_summary_of_few_queries_has_no_interval_and_its_table_says_why(
    n_queries: int, unit: str, why: str | None
) -> None:
    labels = [f"c{number % 4}" for number in range(n_queries)]
    vectors = np.random.default_rng(0).normal(size=(n_queries + 8, 4)).astype(np.float32)
    ids = [f"q{number}" for number in range(n_queries)]
    queries = Items.of(ids, labels, vectors[:n_queries])
    gallery = Items.of(
        [f"g{number}" for number in range(8)],
        [f"c{number % 4}" for number in range(8)],
        vectors[n_queries:],
    )
    settings = MetricsSettings(k=[1, 5], bootstrap_unit=unit)
    summary = evaluate_items(queries, gallery, score="cosine", settings=settings).summary
    assert bool(summary["ci95"]) == (why is None)
    said = [line for line in summary_text(summary).splitlines() if "no intervals" in line]
    assert said == ([] if why is None else [why])
    row = next(line for line in summary_text(summary).splitlines() if line.startswith("mAP@5 "))
    assert row.endswith("-") == (why is not None)


def test_intervals_do_not_depend_on_the_memory_they_take(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).random(50)
    whole = interval(values)
    monkeypatch.setattr("lookalike.retrieval.statistics._DRAWS_IN_MEMORY", 170)
    assert interval(values) == whole


def peak_of_classes(n_queries: int, names: list[str]) -> int:
    """The most bytes that arrays and texts take at once, in MB; few classes with many queries."""
    generator = np.random.default_rng(0)
    values = {"mean": generator.random(n_queries), "median": generator.random(n_queries)}
    units = [names[number] for number in generator.integers(len(names), size=n_queries)]
    tracemalloc.start()
    bootstrap_intervals(values, resamples=300, seed=0, units=units, medians=["median"])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak // 2**20


def test_whole_classes_take_no_more_memory_the_more_queries_they_have() -> None:
    # 300 resamples x 40,000 queries would be 92 MB, several times over.
    assert peak_of_classes(40_000, [f"class {i}" for i in range(20)]) < 50
    # As an array of texts, one long name would make 40,000 long ones.
    assert peak_of_classes(4_000, [*map(str, range(20)), "long " * 2000]) < 50


@pytest.mark.parametrize("memory", [1, 170, 900, 2**20])
def test_intervals_of_classes_do_not_depend_on_the_memory_they_take(
    memory: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = np.random.default_rng(0)
    values, units = generator.random(50), [str(i) for i in generator.integers(11, size=50)]
    drawn = np.concatenate(list(resampled_units(len(set(units)), resamples=2000, seed=0)))
    members = [np.flatnonzero(np.array(units) == name) for name in sorted(set(units))]
    medians = [
        np.median(
            values[np.repeat(np.concatenate(members), np.repeat(times, list(map(len, members))))]
        )
        for times in drawn
    ]
    monkeypatch.setattr("lookalike.retrieval.statistics._DRAWS_IN_MEMORY", memory)
    expected = tuple(np.percentile(medians, [2.5, 97.5]))
    assert interval(values, units, median=True) == pytest.approx(expected, abs=1e-12)


def test_names_of_classes_that_differ_in_their_end_are_two_classes() -> None:
    values, rest = np.arange(12.0), list("cdefghijkl")
    assert interval(values, ["a", "a\0", *rest]) == interval(values, ["a", "b", *rest])


@pytest.mark.parametrize("median", [False, True])
def test_interval_is_scipys(median: bool) -> None:
    values = np.random.default_rng(2).exponential(size=200)
    statistic = np.median if median else np.mean
    peer = stats.bootstrap(
        (values,), statistic, n_resamples=9999, method="percentile", rng=np.random.default_rng(3)
    ).confidence_interval
    width = peer.high - peer.low
    assert interval(values, median=median) == pytest.approx((peer.low, peer.high), abs=0.07 * width)


def test_equal_seeds_give_equal_intervals() -> None:
    values = np.random.default_rng(0).random(40)
    assert interval(values, seed=5) == interval(values, seed=5)
    assert interval(values, seed=5) != interval(values, seed=6)


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    generator = np.random.default_rng(4)
    covered = 0
    for trial in range(300):
        values = generator.random(60)
        low, high = bootstrap_intervals({"x": values}, resamples=1000, seed=trial)["x"]
        covered += low <= 0.5 <= high
    # 95 % nominal: 3 standard errors are 3.8 %, and 60 queries are few.
    assert 0.90 <= covered / 300 <= 0.985


def test_queries_that_only_repeat_their_class_add_no_certainty() -> None:
    once = np.random.default_rng(0).random(25)
    names = [f"{i:02d}" for i in range(25)]
    repeated, units = np.repeat(once, 8), [name for name in names for _ in range(8)]
    # Equal draws: resampling classes of eight equal queries is resampling the 25 classes.
    assert interval(repeated, units) == pytest.approx(interval(once))
    low, high = interval(repeated)
    class_low, class_high = interval(repeated, units)
    assert (high - low) * np.sqrt(8) == pytest.approx(class_high - class_low, rel=0.1)


def test_a_constant_difference_is_certain_though_the_runs_are_not() -> None:
    values = np.random.default_rng(0).random(40)
    found = paired(values + 0.25, values, 1000)
    assert (found.value, found.low, found.high) == pytest.approx((0.25, 0.25, 0.25))
    median = paired(values + 0.25, values, 1000, median=True)
    assert (median.value, median.low, median.high) == pytest.approx((0.25, 0.25, 0.25))


def test_paired_difference_of_means_is_the_interval_of_the_differences() -> None:
    generator = np.random.default_rng(1)
    first, second = generator.random(70), generator.random(70)
    units = [str(i % 11) for i in range(70)]
    for given_units in (None, units):
        found = paired(first, second, 2000, given_units)
        assert found.value == pytest.approx(np.mean(first - second))
        assert (found.low, found.high) == pytest.approx(interval(first - second, given_units))
    turned = paired(second, first, 2000)
    straight = paired(first, second, 2000)
    assert straight.low is not None
    assert straight.high is not None
    assert (turned.low, turned.high) == pytest.approx((-straight.high, -straight.low))


def test_runs_on_different_queries_cannot_be_paired() -> None:
    with pytest.raises(ValueError, match="3 and 4"):
        paired(np.ones(3), np.ones(4), 1000)


def test_paired_columns_may_be_a_data_frame_or_any_numbers() -> None:
    first, second = np.random.default_rng(0).integers(0, 9, (2, 40))
    expected = paired_differences({"x": first.astype(float)}, {"x": second.astype(float)})["x"]
    one, other = (pd.DataFrame({"x": column}) for column in (first, second))
    assert paired_differences(one, other) == {"x": expected}
    assert paired_differences({"x": first.tolist()}, {"x": second.tolist()}) == {"x": expected}
    assert expected.value == pytest.approx(first.mean() - second.mean())
    # The normal approximation of a mean of 40 paired differences.
    error = np.std(first - second) / np.sqrt(40)
    assert (expected.low, expected.high) == pytest.approx(
        (expected.value - 1.96 * error, expected.value + 1.96 * error), abs=0.25 * error
    )


@pytest.mark.parametrize(
    ("first", "second", "units", "message"),
    [
        ({"x": [1, 2]}, {"y": [1, 2]}, None, r"not the same metrics: x, and y"),
        ({}, {}, None, r"not the same metrics: none, and none"),
        ({"x": [1, 2]}, {"x": [1, 2, 3]}, None, r"2 and 3 queries cannot be paired"),
        ({"x": []}, {"x": []}, None, r"there are no queries to compare"),
        ({"x": [1, np.nan]}, {"x": [1, 2]}, None, r"x: NaN or infinity; leave queries"),
        ({"x": [1, 2]}, {"x": [1, np.inf]}, None, r"x: NaN or infinity"),
        ({"x": [[1, 2]]}, {"x": [[1, 2]]}, None, r"x: one value a query is needed"),
        (
            {"x": [1, 2]},
            {"x": [1, 2]},
            ["a"],
            r"units: the classes of 1 queries, where",
        ),
        (
            pd.DataFrame({"x": [1, 2]}, index=["a", "b"]),
            pd.DataFrame({"x": [1, 2]}, index=["b", "a"]),
            None,
            r"the rows of the two are not the same queries in the same order",
        ),
    ],
)
def test_what_cannot_be_paired_is_refused(
    first: Any, second: Any, units: list[str] | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        paired_differences(first, second, units=units)
