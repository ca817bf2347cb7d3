"""Intervals that hold the noise of seeds and of units together."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from lookalike.retrieval.statistics import numbered, paired_differences
from lookalike.retrieval.variance_components import (
    Estimate,
    crossed_difference,
    crossed_mean,
    totals_of_units,
    units_freedom,
)
from support import simulated_verdicts as simulated
from support.crossed_by_regression import difference_over_seeds, mean_over_seeds
from support.project import ROOT


def ends(estimate: Estimate) -> tuple[float, float, float]:
    half = float(estimate.half_width())
    value = float(estimate.value)
    return value, value - half, value + half


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[str], int, int, int, float, float]:
    """Classes of queries, seeds of two recipes, a seed, and how much seeds and classes matter."""
    classes = draw(st.lists(st.integers(0, 7), min_size=2, max_size=25))
    classes[:2] = [0, 1]
    seeds = st.integers(2, 6)
    noise = st.sampled_from([0.0, 0.1, 1.0, 5.0])
    return (
        [f"c{number}" for number in classes],
        draw(seeds),
        draw(seeds),
        draw(st.integers(0, 999)),
        draw(noise),
        draw(noise),
    )


@settings(derandomize=True, deadline=None, max_examples=60)
@given(tables())
def test_mean_and_difference_are_those_of_nested_regressions(
    drawn: tuple[list[str], int, int, int, float, float],
) -> None:
    units, n_seeds, n_others, seed, of_seed, of_class = drawn
    rng, numbers = np.random.default_rng(seed), numbered(units)
    of_classes = of_class * rng.normal(size=numbers.max() + 1)[numbers]
    first, second = (
        rng.normal(size=(count, len(units))) + of_seed * rng.normal(size=(count, 1)) + of_classes
        for count in (n_seeds, n_others)
    )
    (one, sizes), (other, _) = (totals_of_units(side, numbers) for side in (first, second))
    assert sizes.tolist() == [units.count(name) for name in sorted(set(units))]
    assert ends(crossed_mean(one, sizes)) == pytest.approx(mean_over_seeds(first, units))
    assert ends(crossed_difference(one, other, sizes)) == pytest.approx(
        difference_over_seeds(first, second, units)
    )


def test_of_one_network_it_is_a_t_test_over_units() -> None:
    first, second = np.random.default_rng(0).normal(size=(2, 1, 25))
    sizes = np.ones(25)
    mean = crossed_mean(first, sizes)
    expected = stats.ttest_1samp(first[0], 0)
    assert float(mean.p_value) == pytest.approx(expected.pvalue, rel=1e-9)
    bounds = expected.confidence_interval(0.95)
    assert ends(mean)[1:] == pytest.approx((bounds.low, bounds.high))
    difference = crossed_difference(first, second, sizes)
    assert float(difference.p_value) == pytest.approx(
        stats.ttest_rel(first[0], second[0]).pvalue, rel=1e-9
    )


def test_where_units_are_all_alike_it_is_welchs_test_over_seeds() -> None:
    rng = np.random.default_rng(1)
    first, second = rng.normal(size=(4, 1)), 3 * rng.normal(size=(6, 1))
    found = crossed_difference(np.repeat(first, 9, 1), np.repeat(second, 9, 1), np.ones(9))
    expected = stats.ttest_ind(first[:, 0], second[:, 0], equal_var=False)
    assert float(found.p_value) == pytest.approx(expected.pvalue, rel=1e-9)
    bounds = expected.confidence_interval(0.95)
    assert ends(found)[1:] == pytest.approx((bounds.low, bounds.high))
    # Without seeds in it, nothing is left of their noise.
    fixed = crossed_difference(
        np.repeat(first, 9, 1), np.repeat(second, 9, 1), np.ones(9), seeded=(False, False)
    )
    assert float(fixed.half_width()) == pytest.approx(0, abs=1e-12)


def test_an_interval_of_one_minus_the_p_value_ends_at_0() -> None:
    rng = np.random.default_rng(2)
    one, other = rng.normal(size=(2, 50, 4, 12)) + rng.normal(size=(2, 50, 4, 1))
    found = crossed_difference(one, other, np.ones(12))
    for place, p_value in enumerate(found.p_value.tolist()):
        reach = float(found.half_width(1 - p_value)[place])
        assert reach == pytest.approx(abs(float(found.value[place])), rel=1e-6)
        assert float(found.each()[place].p_value) == p_value
    assert float(crossed_mean(np.zeros((3, 12)), np.ones(12)).p_value) == 1


def test_units_of_one_size_have_one_degree_less_than_they_are_and_uneven_ones_fewer() -> None:
    assert units_freedom(np.full(20, 3.0)) == pytest.approx(19)
    assert units_freedom(np.array([100.0, *[1.0] * 19])) == 1
    with pytest.raises(ValueError, match="1 units tell nothing"):
        crossed_mean(np.ones((3, 1)), np.ones(1))


def test_the_linearised_ratio_varies_as_resampled_classes_do() -> None:
    """Classes of very different sizes, against a bootstrap of them."""
    rng = np.random.default_rng(3)
    sizes = rng.integers(1, 30, 200)
    labels = [f"{number:03}" for number in np.repeat(np.arange(200), sizes)]
    values = rng.normal(size=len(labels)) + np.repeat(rng.normal(size=200), sizes)
    totals, counts = totals_of_units(values[None], numbered(labels))
    found = ends(crossed_mean(totals, counts))
    drawn = paired_differences({"x": values}, {"x": np.zeros(len(values))}, units=labels)["x"]
    assert drawn.low is not None
    assert drawn.high is not None
    assert found[0] == pytest.approx(drawn.value)
    assert found[2] - found[1] == pytest.approx(drawn.high - drawn.low, rel=0.08)


def in_3_sigma(share: float, runs: int) -> float:
    """How far a share of so many runs may be off."""
    return float(3 * np.sqrt(share * (1 - share) / runs))


@pytest.mark.parametrize(
    "cell",
    [
        simulated.Cell(3, 20, seed_noise=True, class_effects=True),
        simulated.Cell(3, 100, seed_noise=True, class_effects=False),
        simulated.Cell(5, 20, seed_noise=False, class_effects=True),
    ],
    ids=str,
)
def test_intervals_and_verdicts_keep_what_they_state(cell: simulated.Cell) -> None:
    runs = 400
    kept = simulated.kept(cell, runs)
    for share in (kept.mean, kept.difference):
        assert share >= 0.93 - in_3_sigma(0.95, runs)
    assert kept.false <= 0.06 + in_3_sigma(0.05, runs)


def test_a_percentile_bootstrap_of_the_means_would_not_hold_the_noise_of_seeds() -> None:
    cell = simulated.Cell(3, 100, seed_noise=True, class_effects=True)
    sizes = simulated.class_sizes(cell.n_classes)
    totals, _ = simulated.simulated(cell, sizes, 400, np.random.default_rng(0))
    apart = totals[:, :1].mean(axis=2, keepdims=True) - totals[:, 1:2].mean(axis=2, keepdims=True)
    low, high = simulated.bootstrapped(apart, sizes)
    assert np.mean((low <= 0) & (high >= 0)) < 0.85


def test_the_simulations_bootstrap_is_that_of_the_report() -> None:
    sizes = simulated.class_sizes(20)
    totals, _ = simulated.simulated(
        simulated.Cell(1, 20, seed_noise=False, class_effects=True),
        sizes,
        1,
        np.random.default_rng(0),
    )
    counts = sizes.astype(int)
    labels = [f"{number:02}" for number in np.repeat(np.arange(20), counts)]
    # A query has its class's mean, which gives the class its sum.
    values = np.repeat(totals[0, 0, 0] / sizes, counts)
    found = paired_differences({"x": values}, {"x": np.zeros(len(values))}, units=labels)["x"]
    low, high = simulated.bootstrapped(totals[:, :1], sizes)
    assert (found.low, found.high) == pytest.approx((low[0, 0], high[0, 0]))


PAGE = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")


def in_table(cell: simulated.Cell) -> str:
    """What docs/metrics.md has for a cell."""
    words = ["yes" if there else "no" for there in (cell.seed_noise, cell.class_effects)]
    begin = f"| {words[0]} | {words[1]} | {cell.n_classes} | "
    (row,) = (line for line in PAGE.splitlines() if line.startswith(begin))
    return row.split(" | ")[3 + simulated.SEEDS.index(cell.n_seeds)].removesuffix(" |")


def test_the_table_has_what_the_simulation_gives() -> None:
    cell = simulated.Cell(3, 20, seed_noise=True, class_effects=True)
    assert in_table(cell) == simulated.in_words(simulated.kept(cell))


@pytest.mark.long
@pytest.mark.parametrize("cell", list(simulated.cells()), ids=str)
def test_every_cell_of_the_table_keeps_what_is_stated(cell: simulated.Cell) -> None:
    kept = simulated.kept(cell)
    assert in_table(cell) == simulated.in_words(kept)
    assert kept.false <= 0.06
    if cell.n_seeds >= 3:
        assert min(kept.mean, kept.difference) >= 0.93
        assert kept.false_of_recipes == kept.false
