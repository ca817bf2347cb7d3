"""The suite's interval against closed forms, and against a truth that is known."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from suite.intervals import mean_of, over_seeds_and_units


def simulated(
    rng: np.random.Generator, shape: tuple[int, int], of_seeds: float, of_units: float, rest: float
) -> NDArray[np.float64]:
    """Scores whose true mean is 0, from two sources that cross."""
    n_seeds, n_units = shape
    return np.asarray(
        rng.normal(0, of_seeds, (n_seeds, 1))
        + rng.normal(0, of_units, (1, n_units))
        + rng.normal(0, rest, shape)
    )


# Standard deviations of seeds, classes, and what is neither's; as mAP@10 has them, and extremes.
# The least coverage is what the docstring says, less three standard errors of 1,000 draws.
@pytest.mark.parametrize(
    ("of_seeds", "of_units", "rest", "least"),
    [
        (0.0, 0.25, 0.15, 0.93),
        (0.01, 0.25, 0.15, 0.93),
        (0.02, 0.25, 0.15, 0.93),
        (0.1, 0.25, 0.15, 0.895),
        (0.1, 0.0, 0.05, 0.93),
    ],
)
@pytest.mark.parametrize("n_seeds", [3, 5])
def test_the_truth_is_within_as_often_as_promised(
    n_seeds: int, of_seeds: float, of_units: float, rest: float, least: float
) -> None:
    rng = np.random.default_rng(0)
    within, repeats = 0, 1000
    for _ in range(repeats):
        values = simulated(rng, (n_seeds, 60), of_seeds, of_units, rest)
        low, high = over_seeds_and_units(values).interval
        within += low <= 0 <= high
    assert least <= within / repeats <= 0.985


def test_an_interval_that_forgets_the_seeds_would_be_noticed() -> None:
    rng = np.random.default_rng(0)
    within = 0
    for _ in range(300):
        values = simulated(rng, (3, 60), 0.1, 0.25, 0.15)
        low, high = over_seeds_and_units(values.mean(axis=0, keepdims=True)).interval
        within += low <= 0 <= high
    assert within / 300 < 0.8


def test_of_one_source_it_is_the_t_interval() -> None:
    rng = np.random.default_rng(1)
    of_units, of_seeds = rng.normal(0.5, 0.2, 40), rng.normal(0.5, 0.2, 4)
    for values, sample in (
        (of_units[None], of_units),  # one seed
        (np.tile(of_units, (3, 1)), of_units),  # seeds that do not differ
        (np.tile(of_seeds[:, None], (1, 30)), of_seeds),  # units that do not differ
    ):
        expected = stats.ttest_1samp(sample, 0).confidence_interval()
        assert over_seeds_and_units(values).interval == pytest.approx(tuple(expected))


def test_two_sources_add_up_as_in_welchs_test() -> None:
    rng = np.random.default_rng(2)
    first, second = rng.normal(0.6, 0.1, 12), rng.normal(0.4, 0.3, 30)
    expected = stats.ttest_ind(first, second, equal_var=False).confidence_interval()
    both = [over_seeds_and_units(values[None]) for values in (first, -second)]
    assert tuple(2 * end for end in mean_of(both).interval) == pytest.approx(tuple(expected))


def test_equal_scores_have_no_spread_and_a_single_unit_has_no_interval() -> None:
    assert over_seeds_and_units(np.full((3, 5), 0.25)).interval == (0.25, 0.25)
    for values in (np.zeros((3, 1)), np.array([[0.5, np.nan]])):
        with pytest.raises(ValueError, match="two units or more"):
            over_seeds_and_units(values)
