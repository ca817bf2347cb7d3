from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from scipy.stats import hypergeom

from lookalike.retrieval import random_order as by_chance
from lookalike.retrieval.chance import chance, simulated
from lookalike.retrieval.metric_record import Metric
from lookalike.retrieval.metrics import METRICS, in_ranks, metric_of, metrics_at
from lookalike.retrieval.random_order import median_first_rank
from support import brute_force

MILLION = 1_000_000


def every_order(g: int, r: int) -> list[list[bool]]:
    """All placements of r relevant among g items: equally likely under a random order."""
    return [[place in chosen for place in range(g)] for chosen in combinations(range(g), r)]


def over_queries(key: str) -> Callable[[list[float]], Any]:
    """What is taken over the queries, by the metric's record."""
    found = metric_of(key)
    assert found is not None
    return np.median if found[0].over_queries == "median" else np.mean


@pytest.mark.parametrize("g", range(1, 10))
def test_expectations_equal_the_mean_over_every_order(g: int) -> None:
    ks = list(range(1, g + 3))
    for r in range(1, g + 1):
        values = [brute_force.metrics(hits, ks) for hits in every_order(g, r)]
        expected = {key: over_queries(key)([value[key] for value in values]) for key in values[0]}
        found = chance(np.array([g]), np.array([r]), ks)
        exact = {key: value for key, value in found.values.items() if key not in found.errors}
        assert exact == pytest.approx({key: expected[key] for key in exact}, rel=1e-12), (g, r)
        assert {"mAP@1", "mean_rank", "median_rank", "CMC@1"} <= exact.keys()


@pytest.mark.parametrize(
    ("n_gallery", "n_relevant"),
    [([6, 6, 6], [1, 2, 6]), ([5, 7, 7, 3], [1, 3, 3, 2]), ([4, 6], [0, 2]), ([4, 9], [0, 0])],
)
def test_chance_over_queries_equals_every_combination_of_orders(
    n_gallery: list[int], n_relevant: list[int]
) -> None:
    ks = [1, 2, 5]
    rows = []
    for g, r in zip(n_gallery, n_relevant, strict=True):
        if r == 0:
            rows.append([{key: g + 1.0 if in_ranks(key) else 0.0 for key in metrics_at(ks)}])
        else:
            rows.append([brute_force.metrics(hits, ks) for hits in every_order(g, r)])
    found = chance(np.array(n_gallery), np.array(n_relevant), ks).values
    # The mixture gives every query one share: repeat each query's outcomes to a common number.
    common = math.lcm(*(len(row) for row in rows))
    mixed = [value for row in rows for value in row * (common // len(row))]
    for key in metrics_at(ks):
        expected = over_queries(key)([value[key] for value in mixed])
        assert found[key] == pytest.approx(expected, rel=1e-12), key


@pytest.mark.parametrize(("r", "k"), [(1, 10), (7, 50), (500, 50), (60_000, 10), (999_990, 50)])
def test_a_million_gallery_items_lose_no_digits(r: int, k: int) -> None:
    g = MILLION
    orders = math.comb(g, k)
    none = Fraction(math.comb(g - r, k), orders)
    assert by_chance.expected_cmc_at(g, r, k) == pytest.approx(float(1 - none), rel=1e-10)

    def precision_sum(g: int, r: int, k: int) -> Fraction:
        again = Fraction(r - 1, g - 1)
        terms = (Fraction(1, i) * (1 + (i - 1) * again) for i in range(1, k + 1))
        return Fraction(r, g) * sum(terms, Fraction(0))

    expected = precision_sum(g, r, k) / min(k, r)
    assert by_chance.expected_average_precision_at(g, r, k) == pytest.approx(float(expected))
    over_hits = sum(
        Fraction(math.comb(r, h) * math.comb(g - r, k - h), orders) * precision_sum(k, h, k) / h
        for h in range(1, min(r, k) + 1)
    )
    assert by_chance.expected_average_precision_at_over_hits(g, r, k) == pytest.approx(
        float(over_hits), rel=1e-10
    )


@pytest.mark.parametrize(("r", "k"), [(500_000, 10_000), (999_000, 50_000), (2_000, 900_000)])
def test_deep_cut_offs_do_not_overflow(r: int, k: int) -> None:
    hits = np.arange(1, min(r, k) + 1)
    probability = hypergeom(MILLION, r, k).pmf(hits)
    again = (hits - 1) / (k - 1)
    harmonic = np.sum(1 / np.arange(1, k + 1))
    expected = np.sum(probability * (again + (1 - again) * harmonic / k))
    found = by_chance.expected_average_precision_at_over_hits(MILLION, r, k)
    assert found == pytest.approx(expected, rel=1e-7)


def test_reciprocal_rank_of_a_million_has_its_closed_form() -> None:
    harmonic = math.log(MILLION) + 0.5772156649015329 + 1 / (2 * MILLION)
    one = by_chance.expected_reciprocal_rank(MILLION, 1)
    assert one == pytest.approx(harmonic / MILLION, rel=1e-11)
    # R = 2: sum of 2 (G - i) / (i G (G - 1)) = 2 (H - 1) / (G - 1).
    two = by_chance.expected_reciprocal_rank(MILLION, 2)
    assert two == pytest.approx(2 * (harmonic - 1) / (MILLION - 1), rel=1e-11)
    # R = G - 1: the first place, or with probability 1 / G the second.
    rest = by_chance.expected_reciprocal_rank(MILLION, MILLION - 1)
    assert rest == pytest.approx(1 - 0.5 / MILLION, rel=1e-12)


@pytest.mark.parametrize(("g", "r"), [(400, 3), (2000, 60), (2000, 1990)])
def test_reciprocal_rank_equals_its_sum_in_whole_numbers(g: int, r: int) -> None:
    terms = (Fraction(math.comb(g - i, r - 1), i) for i in range(1, g - r + 2))
    expected = sum(terms, Fraction(0)) / math.comb(g, r)
    found = by_chance.expected_reciprocal_rank(g, r)
    assert found == pytest.approx(float(expected), rel=1e-12)


def test_median_of_a_million_is_found_without_enumeration() -> None:
    one = median_first_rank(np.array([MILLION]), np.array([1]), np.array([1]))
    assert one == (MILLION + 1) / 2
    # P(r_1 > m) = C(G - m, R) / C(G, R): the exact quantile by whole numbers.
    r = 66_667
    m = int(median_first_rank(np.array([MILLION]), np.array([r]), np.array([9])))
    total = Fraction(1)
    for i in range(m):
        total *= Fraction(MILLION - r - i, MILLION - i)
        assert (total <= Fraction(1, 2)) == (i + 1 >= m)


def test_the_seed_documents_result_is_chance() -> None:
    # 15 equal classes, every query given the same constant order: mAP near 1/15 at k = 1.
    found = chance(np.full(15, 1500), np.full(15, 100), [1]).values
    assert found["mAP@1"] == pytest.approx(1 / 15)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.key)
def test_where_chance_is_not_known_it_is_estimated_with_its_error(metric: Metric) -> None:
    """What is known exactly is estimated as well, and lies within four standard errors."""
    n_gallery, n_relevant = np.array([30, 30, 30, 12, 9]), np.array([3, 3, 30, 1, 0])
    exact = chance(n_gallery, n_relevant, [5]).values[metric.key.format(k=5)]
    pairs, counts = np.unique(np.stack([n_gallery, n_relevant], axis=1), axis=0, return_counts=True)
    value, error = simulated(metric, 5, pairs, counts)
    if metric.over_queries == "median":  # of whole numbers: within one, and of them
        assert abs(value - exact) <= 1
        assert 0 <= error <= 1
    else:
        assert abs(value - exact) < 4 * error
        # A tenth of a share's widest spread at the most, and more than nothing.
        assert 0 < error < (0.1 if metric.in_ranks else 0.005)
    assert simulated(metric, 5, pairs, counts) == (value, error)


def test_an_estimate_of_a_certain_value_has_no_error() -> None:
    metric = METRICS[0]
    everything = np.array([[7, 7]]), np.array([4])
    assert simulated(metric, 3, *everything) == (1.0, 0.0)


def test_estimates_do_not_depend_on_how_many_ranks_are_in_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sizes = np.array([[400, 90], [200, 0], [500, 5]]), np.array([1, 2, 3])
    whole = simulated(METRICS[0], 10, *sizes)
    monkeypatch.setattr("lookalike.retrieval.chance._RANKS_IN_MEMORY", 1000)
    assert simulated(METRICS[0], 10, *sizes) == whole
