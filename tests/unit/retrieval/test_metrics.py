from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lookalike.retrieval.metrics import (
    METRICS,
    headline_keys,
    in_ranks,
    less_is_better,
    metrics_at,
    per_query_metrics,
)
from lookalike.retrieval.ranks import Ranks
from support import brute_force

KS = [1, 3, 10]


def measure(hits: list[bool], ks: list[int]) -> dict[str, float]:
    (values,) = measure_all([hits], ks)
    return values


def measure_all(rows: list[list[bool]], ks: list[int]) -> list[dict[str, float]]:
    """The metrics of several queries at once, as one mapping a query."""
    ranks = [np.flatnonzero(hits) + 1 for hits in rows]
    starts = np.cumsum([0, *map(len, ranks)])
    n_gallery = np.array([len(hits) for hits in rows])
    values = per_query_metrics(Ranks(np.concatenate(ranks), starts), n_gallery, ks)
    return [{key: float(column[row]) for key, column in values.items()} for row in range(len(rows))]


@settings(derandomize=True, deadline=None, max_examples=100)
@given(rows=st.lists(st.lists(st.booleans(), min_size=1, max_size=300), min_size=1, max_size=6))
def test_a_querys_metrics_do_not_depend_on_its_company(rows: list[list[bool]]) -> None:
    assert measure_all(rows, KS) == [measure(hits, KS) for hits in rows]


@settings(derandomize=True, deadline=None, max_examples=300)
@given(
    hits=st.lists(st.booleans(), min_size=1, max_size=40).filter(any),
    ks=st.lists(st.integers(1, 50), min_size=1, max_size=4, unique=True),
)
def test_every_metric_equals_its_definition_as_a_loop(hits: list[bool], ks: list[int]) -> None:
    values = measure(hits, ks)
    assert values == pytest.approx(brute_force.metrics(hits, ks), rel=1e-13)
    assert list(values) == list(metrics_at(ks))


@pytest.mark.parametrize(
    ("hits", "expected"),
    [
        pytest.param(
            [True],
            {"mAP@10": 1, "precision@10": 0.1, "recall@10": 1, "mAP@R": 1, "mean_rank_all": 1},
            id="one gallery item, k beyond the gallery",
        ),
        pytest.param(
            [True] * 20,
            {"mAP@10": 1, "mAP@10/R": 0.5, "recall@10": 0.5, "mAP": 1, "mean_rank_all": 10.5},
            id="R > k, all relevant",
        ),
        pytest.param(
            [False] * 10 + [True],
            {"mAP@10": 0, "mAP@10/hits": 0, "CMC@10": 0, "MRR": 1 / 11, "mean_rank": 11},
            id="nothing in the first k",
        ),
        pytest.param(
            [True] + [False] * 9 + [True],
            {"mAP@10": 0.5, "mAP@10/hits": 1, "mAP@10/R": 0.5, "mAP": (1 + 2 / 11) / 2},
            id="mAP@k/hits forgets what it missed",
        ),
    ],
)
def test_known_values(hits: list[bool], expected: dict[str, float]) -> None:
    values = measure(hits, KS)
    assert {key: values[key] for key in expected} == pytest.approx(expected)


def test_no_relevant_item_counts_as_nothing_found_and_the_rank_after_the_last() -> None:
    values = measure([False] * 7, KS)
    ranks = {key for key in metrics_at(KS) if in_ranks(key)}
    assert {key for key, value in values.items() if value == 8} == ranks
    assert {value for key, value in values.items() if key not in ranks} == {0}
    assert list(values) == list(metrics_at(KS))


@settings(derandomize=True, deadline=None, max_examples=100)
@given(hits=st.lists(st.booleans(), min_size=2, max_size=30).filter(any), data=st.data())
def test_moving_a_relevant_item_forward_never_hurts(hits: list[bool], data: st.DataObject) -> None:
    # mAP@k/hits is the one that can fall: a new late hit lowers the mean precision of its hits.
    place = data.draw(st.integers(1, len(hits) - 1))
    if hits[place] and not hits[place - 1]:
        better = [*hits]
        better[place - 1], better[place] = True, False
        before, after = measure(hits, KS), measure(better, KS)
        for key in metrics_at(KS):
            if less_is_better(key):
                assert after[key] <= before[key]
            elif not key.endswith("/hits"):
                assert after[key] >= before[key] - 1e-15


def test_each_key_is_there_once_and_the_headline_first() -> None:
    keys = list(metrics_at(KS))
    at_each_k = sum(metric.has_cut_offs for metric in METRICS)
    assert len(keys) == len(set(keys)) == len(METRICS) + (len(KS) - 1) * at_each_k
    assert headline_keys(KS) == ["mAP@1", "mAP@3", "mAP@10", "mean_rank"]
    assert [key for key in keys if in_ranks(key)] == ["mean_rank", "median_rank", "mean_rank_all"]
    assert keys[:4] == headline_keys(KS)
