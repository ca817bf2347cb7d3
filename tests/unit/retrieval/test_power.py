"""How many units or seeds tell a difference: by simulation of as many."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lookalike.retrieval.power import Seen, seeds_to_tell, units_to_tell
from lookalike.retrieval.variance_components import crossed_difference

UNIT, RESIDUAL, RUNS = 0.1, 0.2, 1500


def seen(value: float, seed_deviation: float, n_units: int, n_seeds: int) -> Seen:
    """What is to be expected of two recipes with these standard deviations."""
    residual = 2 * RESIDUAL**2 / (n_units * n_seeds)
    return Seen(
        value=value,
        of_units=2 * UNIT**2 / n_units + residual,
        of_seeds=2 * seed_deviation**2 / n_seeds,
        residual=residual,
        units_freedom=n_units - 1,
        seeds_freedom=2 * (n_seeds - 1),
        n_units=n_units,
        n_seeds=n_seeds,
    )


def told(value: float, seed_deviation: float, n_units: int, n_seeds: int) -> float:
    """In which share of runs the difference is told."""
    rng = np.random.default_rng(0)
    one, other = (
        rng.normal(size=(RUNS, 1, n_units)) * UNIT
        + rng.normal(size=(RUNS, n_seeds, n_units)) * RESIDUAL
        + rng.normal(size=(RUNS, n_seeds, 1)) * seed_deviation
        for _ in range(2)
    )
    estimate = crossed_difference(one + value, other, np.ones(n_units))
    return float((estimate.p_value <= 0.05).mean())


@pytest.mark.parametrize(("value", "seed_deviation"), [(0.05, 0.0), (0.08, 0.02), (0.04, 0.005)])
def test_so_many_units_tell_it_in_about_80_of_100_cases(
    value: float, seed_deviation: float
) -> None:
    needed = units_to_tell(seen(value, seed_deviation, 40, 6))
    assert needed is not None
    assert 0.7 < told(value, seed_deviation, needed, 6) < 0.87
    assert told(value, seed_deviation, needed // 3, 6) < 0.6


@pytest.mark.parametrize(("value", "seed_deviation"), [(0.05, 0.02), (0.08, 0.05), (0.04, 0.01)])
def test_so_many_seeds_do(value: float, seed_deviation: float) -> None:
    needed = seeds_to_tell(seen(value, seed_deviation, 200, 3))
    assert needed is not None
    assert 0.7 < told(value, seed_deviation, 200, needed) < 0.9
    assert told(value, seed_deviation, 200, max(2, needed // 3)) < 0.6


def test_what_no_number_tells_is_said() -> None:
    noisy = seen(0.03, 0.05, 1000, 3)
    assert units_to_tell(noisy) is None
    assert seeds_to_tell(noisy) is not None
    few = replace(seen(0.01, 0.0, 10, 3), residual=0.0)
    assert units_to_tell(few) is not None
    assert seeds_to_tell(few) is None
    assert units_to_tell(seen(0.0, 0.01, 100, 3)) is None
