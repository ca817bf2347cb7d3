"""Rates of answers, against loops, scikit-learn and galleries without the query's class."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_curve

from lookalike.retrieval.evaluation import Evaluation, evaluate
from lookalike.retrieval.identification import (
    AnswerCurve,
    Answers,
    fewest_for,
    identification_summary,
    threshold_at_false_positive,
)
from support.ranked import normal

# Few distinct scores, so that there are ties, and none at all.
SCORES = st.sampled_from([-0.5, 0.0, 0.125, 0.25, 0.5, 0.75, math.nan])
ROWS = st.lists(st.tuples(SCORES, SCORES, st.booleans()), min_size=1, max_size=40)
Row = tuple[float, float, bool]


def answers_of(rows: list[Row]) -> Answers:
    """Best relevant score, best other score, and whether the relevant item is first of equals."""
    relevant, other, first = (np.array(column, np.float64) for column in zip(*rows, strict=True))
    right = (relevant > other) | (np.isnan(other) & ~np.isnan(relevant))
    right |= (relevant == other) & (first == 1)
    return Answers.of(
        {
            "best_relevant_score": relevant,
            "best_other_score": other,
            "first_rank": np.where(np.isnan(relevant), np.nan, np.where(right, 1, 2)),
            "n_relevant": ~np.isnan(relevant),
        }
    )


def greatest(row: Row) -> float | None:
    known = [score for score in row[:2] if not math.isnan(score)]
    return max(known, default=None)


def is_right(row: Row) -> bool:
    relevant, other, first = row
    if math.isnan(relevant):
        return False
    return math.isnan(other) or relevant > other or (relevant == other and first)


@settings(derandomize=True, deadline=None, max_examples=200)
@given(rows=ROWS, threshold=st.sampled_from([-1.0, 0.0, 0.125, 0.3, 0.5, 0.75, 0.8]))
def test_rates_at_a_threshold_equal_a_loop(rows: list[Row], threshold: float) -> None:
    answers = answers_of(rows)
    given_answers = [row for row in rows if (a := greatest(row)) is not None and a >= threshold]
    right = [row for row in given_answers if is_right(row)]
    findable = [row for row in rows if not math.isnan(row[0])]
    assert answers.coverage(threshold) == pytest.approx(len(given_answers) / len(rows))
    if given_answers:
        assert answers.precision(threshold) == pytest.approx(len(right) / len(given_answers))
    else:
        assert answers.precision(threshold) is None
    false = sum(other >= threshold for _, other, _ in rows)
    assert answers.false_positive(threshold) == pytest.approx(false / len(rows))
    if findable:
        missed = len(findable) - len(right)
        assert answers.false_negative(threshold) == pytest.approx(missed / len(findable))
    else:
        assert answers.false_negative(threshold) is None


@settings(derandomize=True, deadline=None, max_examples=200)
@given(rows=ROWS)
def test_the_curve_has_the_rates_of_each_of_its_thresholds(rows: list[Row]) -> None:
    answers = answers_of(rows)
    curve = AnswerCurve.of(answers)
    scores = {a for row in rows if (a := greatest(row)) is not None}
    assert curve.threshold.tolist() == sorted(scores, reverse=True)
    for place, threshold in enumerate(curve.threshold.tolist()):
        assert curve.coverage[place] == pytest.approx(answers.coverage(threshold))
        assert curve.precision[place] == pytest.approx(answers.precision(threshold))


def test_precision_is_that_of_scikit_learn() -> None:
    score = normal(500).round(1).astype(np.float64)
    right = normal(500, seed=1) + score > 0
    answers = Answers(score, right, score, np.ones(500, np.bool_))
    curve = AnswerCurve.of(answers)
    precision, _, thresholds = precision_recall_curve(right, score)
    np.testing.assert_array_equal(curve.threshold[::-1], thresholds)
    np.testing.assert_allclose(curve.precision[::-1], precision[:-1])


@settings(derandomize=True, deadline=None, max_examples=100)
@given(rows=ROWS, seed=st.integers(0, 99))
def test_area_under_the_risk_coverage_curve_is_the_mean_over_orders_of_equals(
    rows: list[Row], seed: int
) -> None:
    answers = answers_of(rows)
    area = AnswerCurve.of(answers).risk_coverage_area()
    kept = [(a, is_right(row)) for row in rows if (a := greatest(row)) is not None]
    if not kept:
        assert area is None
        return
    # The expectation over orders of equals, by its definition: each equal is as often wrong.
    kept.sort(key=lambda one: -one[0])
    expected = [np.mean([not right for score, right in kept if score == here]) for here, _ in kept]
    risks = [sum(expected[:k]) / k for k in range(1, len(kept) + 1)]
    assert area == pytest.approx(sum(risks) / len(risks))
    # The queries' own order has no say.
    shuffled = np.random.default_rng(seed).permutation(len(rows))
    assert AnswerCurve.of(answers.of_rows(shuffled)).risk_coverage_area() == area


@settings(derandomize=True, deadline=None, max_examples=200)
@given(rows=ROWS, rate=st.sampled_from([0.01, 0.1, 0.29, 0.3, 0.5, 0.99]))
def test_the_threshold_of_a_false_positive_rate_is_the_lowest(rows: list[Row], rate: float) -> None:
    answers = answers_of(rows)
    threshold = threshold_at_false_positive(answers, rate)
    assert answers.false_positive(threshold) <= rate
    below = np.nextafter(np.float32(threshold), np.float32(-np.inf))
    assert threshold == -math.inf or answers.false_positive(float(below)) > rate


def some(
    n_queries: int, labels: int, seed: int, without: str | None = None
) -> tuple[Evaluation, NDArray[np.str_]]:
    """Random embeddings of a few classes, evaluated; one class may be left out of the gallery."""
    names = np.array([f"c{i % labels}" for i in range(n_queries)])
    gallery_names = np.array([f"c{i % (labels + 2)}" for i in range(150)])
    vectors, gallery = normal(n_queries, 4, seed=seed), normal(150, 4, seed=seed + 1)
    kept = gallery_names != without
    found = evaluate(
        {"image_id": [f"q{i}" for i in range(n_queries)], "label": names, "embedding": vectors},
        {
            "image_id": np.array([f"g{i}" for i in range(150)])[kept],
            "label": gallery_names[kept],
            "embedding": gallery[kept],
        },
        k=[1],
        no_relevant="zero",
        bootstrap=0,
        score="cosine",
    )
    return found, names


def test_false_positives_are_answers_in_galleries_without_the_class() -> None:
    found, names = some(60, 5, seed=0)
    answers = Answers.of(found.per_query.to_pandas())
    for label in np.unique(names):
        removed = some(60, 5, seed=0, without=label)[0]
        of_class = names == label
        theirs = Answers.of(removed.per_query.to_pandas())
        np.testing.assert_array_equal(theirs.score[of_class], answers.other[of_class])
        assert not theirs.right[of_class].any()
    threshold = float(np.median(answers.other))
    of_each = [
        Answers.of(some(60, 5, seed=0, without=label)[0].per_query.to_pandas())
        .of_rows(names == label)
        .accepted(threshold)
        for label in np.unique(names)
    ]
    assert answers.false_positive(threshold) == np.concatenate(of_each).mean()


def test_the_answer_is_the_first_place_of_the_rankings() -> None:
    found, _ = some(60, 5, seed=3)
    per_query, rankings = found.per_query.to_pandas(), found.rankings.to_pandas()
    answers, first = Answers.of(per_query), rankings[rankings["rank"] == 1]
    assert first["query_id"].tolist() == per_query["query_id"].tolist()
    np.testing.assert_array_equal(answers.score, first["score"])
    np.testing.assert_array_equal(answers.right, first["relevant"])


def test_rates_from_too_few_queries_are_left_out() -> None:
    few, many = (some(n, 5, seed=5)[0].summary["identification"] for n in (99, 1000))
    assert few["FNIR_at_FPIR"] == {}
    assert few["left_out"] == {
        "0.1": "fewer than 100 queries",
        "0.01": "fewer than 1000 queries",
    }
    assert list(many["FNIR_at_FPIR"]) == ["0.1", "0.01"]
    assert many["left_out"] == {}
    assert (many["n_queries"], few["n_queries_with_relevant"]) == (1000, 99)


def test_no_answer_and_nothing_to_find_give_no_number() -> None:
    nan = np.full(200, np.nan)
    nothing = Answers(nan, np.zeros(200, np.bool_), nan, np.zeros(200, np.bool_))
    summary = identification_summary(nothing)
    assert summary["AURC"] is None
    assert summary["left_out"]["0.1"] == "fewer than 10 queries have a relevant item"
    # Without any other item, every threshold lets nothing false pass: no score is stated.
    alone = Answers(np.ones(200), np.ones(200, np.bool_), nan, np.ones(200, np.bool_))
    assert identification_summary(alone)["FNIR_at_FPIR"]["0.1"] == {"FNIR": 0.0, "score": None}
    assert identification_summary(alone)["AURC"] == 0.0


def test_ten_events_are_needed() -> None:
    assert [fewest_for(rate) for rate in (0.1, 0.01, 0.05, 1 - 0.95, 0.3)] == [
        100,
        1000,
        200,
        200,
        34,
    ]
