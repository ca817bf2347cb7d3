"""Intervals of shares: against scipy's exact ones, and by how often they hold the truth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest, norm, t

from lookalike.retrieval.share_intervals import share_interval


@pytest.mark.parametrize("hits", [0, 1, 7, 50, 99, 100])
def test_of_single_trials_it_is_the_exact_one_of_as_many_effective_trials(hits: int) -> None:
    trials = np.ones(100)
    found = share_interval((np.arange(100) < hits).astype(float), trials)
    assert found is not None
    # Of single trials the variance is the binomial one, but for n - 1 in place of n.
    effective = 99 if 0 < hits < 100 else 100
    effective *= (norm.ppf(0.975) / t.ppf(0.975, 99)) ** 2
    low, high = binomtest(hits, 100).proportion_ci(method="exact")
    assert found[0] <= low or hits == 0
    assert found[1] >= high or hits == 100
    assert found == pytest.approx((low, high), abs=0.01)
    more = share_interval((np.arange(100) < hits).astype(float), trials, more_variance=1.5)
    assert more is not None
    assert more[0] <= found[0] <= hits / 100 <= found[1] <= more[1]


def test_the_order_of_classes_and_empty_ones_have_no_say() -> None:
    rng = np.random.default_rng(0)
    trials = rng.integers(1, 9, 30).astype(float)
    successes = rng.binomial(trials.astype(int), 0.8).astype(float)
    found = share_interval(successes, trials)
    order = rng.permutation(30)
    shuffled = share_interval(np.append(successes[order], [0, 0]), np.append(trials[order], [0, 0]))
    assert shuffled == pytest.approx(found)


def test_fewer_than_ten_classes_have_none() -> None:
    assert share_interval(np.ones(9), np.ones(9)) is None
    assert share_interval(np.ones(12), np.array([1.0] * 9 + [0] * 3)) is None
    assert share_interval(np.ones(10), np.ones(10)) is not None


@pytest.mark.parametrize("runs", [200, pytest.param(2000, marks=pytest.mark.long)])
@pytest.mark.parametrize(
    ("share", "alike"), [(0.95, 0.0), (0.95, 0.1), (0.9, 0.5), (0.99, 0.2), (0.5, 1.0)]
)
def test_it_holds_the_true_share_as_often_as_it_says(share: float, alike: float, runs: int) -> None:
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(runs):
        # With the probability `alike` all of a class's ten trials are one.
        one = rng.random((60, 1)) < alike
        trials = rng.random((60, 10)) < share
        trials = np.where(one, trials[:, :1], trials)
        found = share_interval(trials.sum(1).astype(float), np.full(60, 10.0))
        assert found is not None
        held += found[0] <= share <= found[1]
    assert held >= (0.93 if runs == 2000 else 0.9) * runs
