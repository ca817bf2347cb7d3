"""Expectations over smaller galleries: held against each of these, and against scipy."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import hypergeom

from lookalike.retrieval.growth import DRAWN_SHARES, drawn_of, expected_metrics, growth_keys
from lookalike.retrieval.metrics import metrics_at
from lookalike.retrieval.ranks import Ranks
from support import brute_force


def expected(hits: list[bool], drawn: list[int], ks: list[int]) -> NDArray[np.float64]:
    """What is tested, for one query by its whole ranking: float64 [sizes, keys]."""
    ranks = Ranks.of_each([brute_force.relevant_ranks(hits)])
    others = np.array([hits.count(False)])
    found: NDArray[np.float64] = expected_metrics(ranks, others, np.array([drawn]), ks)[0]
    return found


@settings(derandomize=True, deadline=None, max_examples=60)
@given(hits=st.lists(st.booleans(), min_size=1, max_size=9).filter(any), data=st.data())
def test_it_is_the_mean_over_every_smaller_gallery(hits: list[bool], data: st.DataObject) -> None:
    ks = sorted(data.draw(st.sets(st.integers(1, 12), min_size=1, max_size=3)))
    others = [place for place, hit in enumerate(hits) if not hit]
    sizes = list(range(len(others) + 1))
    found = expected(hits, sizes, ks)
    for n in sizes:
        each = [
            brute_force.metrics([hit for place, hit in enumerate(hits) if hit or place in kept], ks)
            for kept in combinations(others, n)
        ]
        for key, value in zip(growth_keys(ks), found[n], strict=True):
            mean = np.mean([metrics[key] for metrics in each])
            assert value == pytest.approx(mean, rel=1e-12, abs=1e-12), (key, n)


@pytest.mark.parametrize("share", DRAWN_SHARES[:-1])
@pytest.mark.parametrize("others", [40, 3_000, 200_000])
def test_large_galleries_give_the_sum_over_the_distribution(others: int, share: float) -> None:
    generator = np.random.default_rng(others)
    ks = [1, 10, 50, others // 3]
    # Near the top and spread over all, so that sums, moments and both ends are met.
    before = np.unique(np.rint(others ** generator.random(60)).astype(int) - 1)
    before = np.sort(np.concatenate([[0, 0], before, generator.integers(others, size=60)]))
    ranks = before + np.arange(1, len(before) + 1)
    n = int(drawn_of(np.array([others]), share)[0])
    found = dict(
        zip(
            growth_keys(ks),
            expected_metrics(Ranks.of_each([ranks]), np.array([others]), np.array([[n]]), ks)[
                0, 0
            ].tolist(),
            strict=True,
        )
    )
    total, at = 0.0, dict.fromkeys(ks, 0.0)
    first = dict.fromkeys(ks, 0.0)
    for i, a in enumerate(before.tolist(), 1):
        low, high = hypergeom.support(others, a, n)
        x = np.arange(max(low, int(n * a / others) - 3000), min(high, n * a // others + 3000) + 1)
        p = hypergeom.pmf(x, others, a, n)
        # scipy's own probabilities sum to 1 within its rounding.
        p /= p.sum()
        total += float((p * i / (i + x)).sum())
        for k in ks:
            at[k] += float((p * i / (i + x) * (i + x <= k)).sum())
            if i == 1:
                first[k] = float((p * (1 + x <= k)).sum())
    assert found["mAP"] == pytest.approx(total / len(ranks), rel=1e-9)
    assert found["mean_rank"] == pytest.approx(1 + n * before[0] / others, rel=1e-12)
    for k in ks:
        assert found[f"mAP@{k}"] == pytest.approx(at[k] / min(k, len(ranks)), rel=1e-8, abs=1e-12)
        assert found[f"CMC@{k}"] == pytest.approx(first[k], abs=1e-12)


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_many_queries_are_each_what_they_are_alone(threads: None) -> None:
    generator = np.random.default_rng(1)
    each = [
        np.sort(generator.choice(500, int(generator.integers(0, 40)), replace=False)) + 1
        for _ in range(70)
    ]
    others = np.array([500 - len(ranks) for ranks in each])
    drawn = np.stack([drawn_of(others, share) for share in DRAWN_SHARES], 1)
    found = []
    for count in (1, 2, 3):
        torch.set_num_threads(count)
        found.append(expected_metrics(Ranks.of_each(each), others, drawn, [1, 10]))
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])
    for query, ranks in enumerate(each):
        alone = expected_metrics(Ranks.of_each([ranks]), others[[query]], drawn[[query]], [1, 10])
        np.testing.assert_array_equal(found[0][query], alone[0])
        if len(ranks) == 0:
            np.testing.assert_array_equal(found[0][query][:, :-1], 0)
            np.testing.assert_array_equal(found[0][query][:, -1], drawn[query] + 1)


def test_every_key_is_one_of_the_metrics_and_the_whole_gallery_gives_it() -> None:
    ks = [1, 10]
    assert set(growth_keys(ks)) <= set(metrics_at(ks))
    hits = [False, True, False, False, True, False]
    whole = brute_force.metrics(hits, ks)
    found = expected(hits, [4], ks)[0]
    assert found.tolist() == pytest.approx([whole[key] for key in growth_keys(ks)], rel=1e-12)
