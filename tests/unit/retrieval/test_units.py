"""What an interval draws again where that is left to the data."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lookalike.retrieval.evaluation import evaluate_items, summary_text
from lookalike.retrieval.settings import MetricsSettings
from lookalike.retrieval.streams import Items


def summary(
    labels: list[str], unit: str, of_training_classes: bool | None, **settings: Any
) -> dict[str, Any]:
    """metrics.json of queries of these labels, the last of which the gallery does not have."""
    rng = np.random.default_rng(0)
    known = sorted(set(labels) - {"lost"})
    queries, gallery = (
        Items.of(
            [f"{name}{number}" for number in range(len(of))],
            of,
            rng.normal(size=(len(of), 4)).astype(np.float32),
        )
        for name, of in (("q", labels), ("g", known * 2))
    )
    return evaluate_items(
        queries,
        gallery,
        score="cosine",
        settings=MetricsSettings(k=[1, 5], bootstrap_unit=unit, **settings),
        of_training_classes=of_training_classes,
    ).summary


TWO_EACH = [f"c{number:02}" for number in range(15)] * 2
ONE_EACH = [f"c{number:02}" for number in range(15)]


@pytest.mark.parametrize(
    ("labels", "of_training_classes", "unit", "n", "why"),
    [
        (TWO_EACH, False, "class", 15, "classes have several queries, and none of these is"),
        (TWO_EACH, None, "class", 15, "classes have several queries"),
        (TWO_EACH, True, "query", 30, "queries are of classes that are trained on"),
        (ONE_EACH, False, "query", 15, "no class has several queries"),
        (ONE_EACH, None, "query", 15, "no class has several queries"),
        ([*ONE_EACH, "c00"], False, "class", 15, "classes have several queries"),
        # A query that is not scored is in no interval.
        ([*ONE_EACH, "lost", "lost"], False, "query", 15, "no class has several queries"),
    ],
)
def test_the_units_are_those_that_fit_the_data_and_give_the_same_intervals_as_if_asked_for(
    labels: list[str], of_training_classes: bool | None, unit: str, n: int, why: str
) -> None:
    found = summary(labels, "auto", of_training_classes)
    assert found["units"]["unit"] == unit
    assert found["units"]["n"] == n
    assert why in found["units"]["why"]
    assert found["settings"]["bootstrap_unit"] == "auto"
    asked = summary(labels, unit, of_training_classes)
    assert found["ci95"] == asked["ci95"] != {}
    assert asked["units"] == {"unit": unit, "n": n, "why": f"metrics.bootstrap_unit is {unit}"}


def test_a_query_that_counts_as_zero_is_a_unit() -> None:
    found = summary([*ONE_EACH, "lost", "lost"], "auto", False, no_relevant="zero")
    assert found["units"]["unit"] == "class"
    assert found["units"]["n"] == 16


def test_where_the_data_leave_no_interval_the_summary_says_what_would_give_one() -> None:
    few = summary(TWO_EACH[:9] * 2, "auto", None)
    assert few["ci95"] == {}
    text = summary_text(few)
    assert "no intervals: fewer than 10 classes (classes have several queries; bootstrap_u" in text
    assert "95 % interval over 30 queries" in summary_text(summary(TWO_EACH, "query", None))
