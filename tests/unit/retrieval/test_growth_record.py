"""`growth` of metrics.json, by whole evaluations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lookalike.retrieval.evaluation import Evaluation, evaluate_items
from lookalike.retrieval.growth import DRAWN_SHARES, growth_keys
from lookalike.retrieval.settings import MetricsSettings
from lookalike.retrieval.streams import Items
from support.ranked import normal

K = [1, 5, 20]


def evaluated(order: list[int], others: int = 400, **settings: Any) -> Evaluation:
    """Ten classes of twelve relevant items among others; the queries stand in some order."""
    vectors, gallery = normal(30, 6), normal(120 + others, 6, seed=1)
    gallery[:120] += 1.5 * vectors[np.arange(120) % 10]
    labels = [str(i % 10) for i in range(120)] + ["none"] * others
    queries = Items.of([f"q{i:02}" for i in order], [str(i % 10) for i in order], vectors[order])
    items = Items.of([f"g{i}" for i in range(len(labels))], labels, gallery)
    return evaluate_items(queries, items, score="cosine", settings=MetricsSettings(k=K, **settings))


def test_the_last_size_is_the_whole_gallery() -> None:
    summary = evaluated(list(range(30))).summary
    growth = summary["growth"]
    assert list(growth["metrics"]) == growth_keys(K)
    for key, values in growth["metrics"].items():
        assert values[-1] == summary["metrics"][key]
        assert len(values) == len(growth["sizes"]) == len(DRAWN_SHARES)
        falling = values if key == "mean_rank" else values[::-1]
        assert falling == sorted(falling)
    assert growth["sizes"][-1] == 520
    assert growth["others"] == [51, 90, 161, 286, 508]
    assert growth["sizes"] == [n + 12 for n in growth["others"]]
    forecast = growth["forecast"]
    assert (forecast["times"], forecast["size"]) == (10, 5092)
    for key, found in forecast["metrics"].items():
        assert found["low"] <= found["value"] <= found["high"], key


@pytest.mark.parametrize("unit", ["query", "class"])
def test_the_order_of_the_queries_changes_no_byte(unit: str) -> None:
    backwards = evaluated(list(range(30))[::-1], bootstrap_unit=unit)
    assert evaluated(list(range(30)), bootstrap_unit=unit).summary == backwards.summary


def test_without_a_bootstrap_or_with_few_others_there_is_less() -> None:
    without = evaluated(list(range(30)), bootstrap=0).summary["growth"]["forecast"]
    assert {found["low"] for found in without["metrics"].values()} == {None}
    assert evaluated(list(range(30)), others=0).summary["growth"]["forecast"] is not None
    few = Items.of(["a", "b"], ["x", "y"], normal(2, 3))
    summary = evaluate_items(few, few, score="cosine", settings=MetricsSettings(k=[1])).summary
    assert summary["growth"]["forecast"] is None
    assert summary["growth"]["metrics"]["mAP@1"][-1] == summary["metrics"]["mAP@1"]


def test_queries_with_nothing_to_find_count_as_everywhere() -> None:
    vectors = normal(40, 3)
    queries = Items.of([f"q{i}" for i in range(12)], ["x"] * 11 + ["lost"], vectors[:12])
    gallery = Items.of([f"g{i}" for i in range(40)], ["x"] * 20 + ["y"] * 20, vectors)
    zero = evaluate_items(
        queries, gallery, score="cosine", settings=MetricsSettings(k=[1], no_relevant="zero")
    ).summary
    for key, values in zero["growth"]["metrics"].items():
        assert values[-1] == zero["metrics"][key]
