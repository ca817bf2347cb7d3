"""Sentences on metrics, and metrics that are one number."""

from __future__ import annotations

import numpy as np
import pytest

from lookalike.report.glossary import FIRST_IS_RIGHT, explain, without_repetition
from lookalike.retrieval.metrics import metrics_at
from lookalike.retrieval.ranks import Ranks


def test_those_metrics_are_shown_once_that_are_equal_for_any_ranks_and_by_chance() -> None:
    rng = np.random.default_rng(0)
    galleries = rng.integers(1, 40, 200)
    ranked = [
        sorted((rng.choice(n, rng.integers(1, n + 1), replace=False) + 1).tolist())
        for n in galleries
    ]
    first_is_right = np.array([ranks[0] == 1 for ranks in ranked], float)
    assert 0 < first_is_right.mean() < 1
    equal = []
    for key, (metric, k) in metrics_at([1, 10]).items():
        values = metric.values(Ranks.of_each(ranked), galleries, k)
        if metric.over_queries == "mean" and np.array_equal(values, first_is_right):
            for g, r in [(1, 1), (7, 1), (7, 6), (7, 7), (30, 11)]:
                assert metric.expectation(g, r, k) == pytest.approx(r / g)
            equal.append(key)
    assert sorted(equal) == sorted(FIRST_IS_RIGHT)


def test_a_repeated_metric_stands_with_the_first_of_its_names() -> None:
    keys = list(metrics_at([1, 10]))
    grouped = without_repetition(keys)
    assert sorted(key for _, same in grouped for key in same) == sorted(keys)
    assert [key for key, _ in grouped] == [k for k in keys if k not in FIRST_IS_RIGHT[1:]]
    assert dict(grouped)["mAP@1"] == [key for key in keys if key in FIRST_IS_RIGHT]


def test_no_sentence_counts_one_place_in_the_plural() -> None:
    for key in metrics_at([1, 2, 11]):
        assert " 1 places" not in explain(key), key
    assert "the first 11 places" in explain("CMC@11")
    assert "the first place" in explain("recall@1")
