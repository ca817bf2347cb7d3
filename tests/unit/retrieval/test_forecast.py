"""Forecasts for ten times the gallery, from a tenth of galleries that are known in whole."""

from __future__ import annotations

from collections import defaultdict
from itertools import product

import numpy as np
import pytest

from lookalike.retrieval.forecast import forecast_metrics
from support.growing_galleries import KINDS, KS, Outcome, outcomes

KEYS = [*(f"mAP@{k}" for k in KS), "mAP", *(f"CMC@{k}" for k in KS), "mean_rank"]
THREE = (0.1, 10**-0.5, 1.0)


def by_key(seeds: range) -> dict[str, list[Outcome]]:
    found: dict[str, list[Outcome]] = defaultdict(list)
    for kind, seed in product(KINDS, seeds):
        for outcome in outcomes(kind, seed):
            found[outcome.key].append(outcome)
    return found


def require_covered(found: dict[str, list[Outcome]]) -> None:
    """Nine of ten forecasts cover what comes; and they tell more than the metric as it is."""
    assert list(found) == KEYS
    for key, each in found.items():
        covered = np.mean([outcome.covered for outcome in each])
        assert covered >= 0.9, (key, covered)
        if key == "mean_rank":
            continue
        widths = [outcome.forecast.high - outcome.forecast.low for outcome in each]  # type: ignore[operator]
        assert np.median(widths) < 0.55, key
        error, change = (
            np.mean([abs(value - outcome.then) for outcome, value in zip(each, of, strict=True)])
            for of in (
                [outcome.forecast.value for outcome in each],
                [outcome.before for outcome in each],
            )
        )
        assert error < 0.5 * change, (key, error, change)


@pytest.mark.slow
def test_nine_of_ten_forecasts_cover_what_comes() -> None:
    require_covered(by_key(range(2)))


@pytest.mark.long
def test_so_do_many_more() -> None:
    require_covered(by_key(range(100, 112)))


def test_mean_rank_is_ten_times_as_many_before_the_first() -> None:
    (outcome,) = (one for one in outcomes("clusters", 0) if one.key == "mean_rank")
    assert outcome.forecast.value == pytest.approx(1 + 10 * (outcome.before - 1))


def test_nothing_is_certain_because_it_was_never_seen() -> None:
    n = 100
    perfect = {"mAP@10": np.ones((n, 3)), "CMC@50": np.ones((n, 3)), "mean_rank": np.ones((n, 3))}
    found = forecast_metrics(perfect, np.ones(n, np.int64), THREE, resamples=1000, seed=0)
    assert (found["mAP@10"].value, found["mAP@10"].high) == (1, 1)
    # One query of a hundred that fails in ten times the gallery as often as not.
    low = found["mAP@10"].low
    assert low is not None
    assert 0.6 < low < 0.97
    assert (found["CMC@50"].low or 1) < 0.99
    assert found["mean_rank"].value == 1
    assert 1.2 < (found["mean_rank"].high or 0) < 3


def test_few_units_have_a_forecast_without_an_interval() -> None:
    rng = np.random.default_rng(0)
    values = {"mAP@10": np.sort(rng.random((30, 3)))[:, ::-1]}
    ranks = np.ones(30, np.int64)
    units = [str(i % 9) for i in range(30)]
    without = [
        forecast_metrics(values, ranks, THREE, resamples=1000, seed=0, units=units)["mAP@10"],
        forecast_metrics(values, ranks, THREE, resamples=0, seed=0)["mAP@10"],
    ]
    whole = forecast_metrics(values, ranks, THREE, resamples=1000, seed=0)["mAP@10"]
    assert whole.low is not None
    for forecast in without:
        assert (forecast.low, forecast.high) == (None, None)
        assert forecast.value == whole.value
    again = forecast_metrics(values, ranks, THREE, resamples=1000, seed=0)["mAP@10"]
    assert again == whole
    other = forecast_metrics(values, ranks, THREE, resamples=1000, seed=1)["mAP@10"]
    assert other.low != whole.low


def test_classes_that_fail_together_widen_the_interval() -> None:
    rng = np.random.default_rng(0)
    of_class = np.repeat(rng.random(20), 15)[:, None]
    values = {"mAP@10": np.clip(of_class * np.array([1.0, 0.9, 0.8]), 0, 1)}
    ranks, units = np.ones(300, np.int64), [str(i // 15) for i in range(300)]
    widths = []
    for drawn in (None, units):
        found = forecast_metrics(values, ranks, THREE, resamples=1000, seed=0, units=drawn)
        low, high = found["mAP@10"].low, found["mAP@10"].high
        assert low is not None
        assert high is not None
        widths.append(high - low)
    assert widths[1] > 1.5 * widths[0]
