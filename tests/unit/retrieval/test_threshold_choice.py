"""The choice of a threshold: by a loop over all of them, and by what it keeps of its promises."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lookalike.retrieval.identification import Answers
from lookalike.retrieval.threshold_choice import (
    Promise,
    choose_threshold,
    confirm_threshold,
    halves,
    threshold_at_precision,
)


def simple(scores: list[float], right: list[bool]) -> Answers:
    score = np.array(scores, np.float64)
    return Answers(score, np.array(right, np.bool_), score, np.ones(len(score), np.bool_))


@settings(derandomize=True, deadline=None, max_examples=300)
@given(
    rows=st.lists(st.tuples(st.integers(0, 12), st.booleans()), max_size=40),
    precision=st.sampled_from([0.1, 0.5, 0.7, 0.9]),
    fewest=st.integers(1, 8),
)
def test_it_is_the_lowest_score_from_which_on_precision_stays(
    rows: list[tuple[int, bool]], precision: float, fewest: int
) -> None:
    found = threshold_at_precision(
        simple([float(score) for score, _ in rows], [right for _, right in rows]),
        precision,
        fewest,
    )

    def holds(threshold: int) -> bool:
        given_answers = [right for score, right in rows if score >= threshold]
        # In whole numbers: ten times the share.
        return len(given_answers) < fewest or 10 * sum(given_answers) >= round(
            10 * precision
        ) * len(given_answers)

    scores = sorted({score for score, _ in rows})
    wanted = [
        score
        for score in scores
        if sum(other >= score for other, _ in rows) >= fewest
        and all(holds(higher) for higher in scores if higher >= score)
    ]
    assert found == (min(wanted) if wanted else None)


def test_precision_that_falls_and_rises_again_does_not_count() -> None:
    # 100 right, then 30 wrong, then 500 right: 0.95 again below, but not from there on.
    scores = np.arange(630, 0, -1).astype(float).tolist()
    right = [True] * 100 + [False] * 30 + [True] * 500
    answers = simple(scores, right)
    assert answers.precision(1.0) == pytest.approx(600 / 630)
    assert threshold_at_precision(answers, 0.95, 50) == 630 - 104


def classes(n_queries: int, n_classes: int) -> list[str]:
    return [f"c{i % n_classes}" for i in range(n_queries)]


@settings(derandomize=True, deadline=None, max_examples=100)
@given(sizes=st.lists(st.integers(1, 30), min_size=2, max_size=30), seed=st.integers(0, 99))
def test_halves_are_of_whole_classes_and_as_large(sizes: list[int], seed: int) -> None:
    labels = [f"c{label}" for label, size in enumerate(sizes) for _ in range(size)]
    second = halves(labels)
    names = np.array(labels)
    of_class = {label: set(second[names == label].tolist()) for label in labels}
    assert all(len(sides) == 1 for sides in of_class.values())
    n_second = sum(sides == {True} for sides in of_class.values())
    assert abs(2 * n_second - len(sizes)) <= 1
    # No further apart than the largest class.
    assert abs(int(second.sum()) - int((~second).sum())) <= max(sizes)
    order = np.random.default_rng(seed).permutation(len(labels))
    np.testing.assert_array_equal(halves([labels[i] for i in order]), second[order])


def simulated(
    rng: np.random.Generator,
    n_classes: int,
    each: int,
    alike: float,
    gap: float,
    without: float,
) -> tuple[Answers, list[str]]:
    """Scores of known distributions: `alike` is how far classes differ, `gap` how good a model is.

    A share of the queries, `without`, has no relevant item.
    """
    n = n_classes * each
    class_of = np.repeat(np.arange(n_classes), each)
    easy, crowded = rng.normal(0, alike, (2, n_classes))
    relevant = gap + easy[class_of] + rng.normal(size=n)
    other = 0.5 * crowded[class_of] + rng.gumbel(0, 0.5, n)
    relevant[rng.random(n) < without] = np.nan
    relevant, other = (scores.astype(np.float32).astype(float) for scores in (relevant, other))
    right: NDArray[np.bool_] = relevant > other
    answers = Answers(np.fmax(relevant, other), right, other, ~np.isnan(relevant))
    return answers, [f"c{number}" for number in class_of]


def test_no_score_is_given_that_its_outcome_refutes() -> None:
    # Half of the classes are right from 0 on; the others are wrong below 0.6, which only they know.
    labels = classes(4000, 40)
    second = halves(labels)
    rng = np.random.default_rng(0)
    score = np.where(second, rng.uniform(0.4, 1, 4000), rng.uniform(0.3, 1, 4000))
    right = ~second | (score > 0.6)
    answers = Answers(score, right, np.where(right, 0.1, score), np.ones(4000, np.bool_))
    found = choose_threshold(answers, labels, Promise("precision", 0.95))
    assert found["outcome"]["ci95"][1] < 0.95
    assert (found["score"], found["at_score"]) == (None, None)
    low, high = (f"{bound:.3f}" for bound in found["outcome"]["ci95"])
    assert f"({low} to {high})" in found["reason"]
    # The same of false answers: in one half nothing is near, in the other all is.
    other = np.where(second, rng.uniform(0.5, 0.9, 4000), rng.uniform(0, 0.4, 4000))
    answers = Answers(np.maximum(0.95, other), np.ones(4000, np.bool_), other, np.ones(4000, bool))
    found = choose_threshold(answers, labels, Promise("false_positive", 0.05))
    assert found["outcome"]["ci95"][0] > 0.05
    assert found["score"] is None
    assert "false positive came to" in found["reason"]


def test_where_nothing_can_be_promised_the_next_lesser_promise_is_named() -> None:
    labels = classes(2000, 40)
    rng = np.random.default_rng(2)
    score, right = rng.uniform(0, 1, 2000), rng.random(2000) < 0.86
    answers = Answers(score, right, np.where(right, 0.1, score), np.ones(2000, np.bool_))
    found = choose_threshold(answers, labels, Promise("precision", 0.95))
    assert found["score"] is None
    lesser = choose_threshold(answers, labels, Promise("precision", 0.8))
    assert lesser["score"] is not None
    assert choose_threshold(answers, labels, Promise("precision", 0.9))["score"] is None
    coverage = (score >= lesser["score"]).mean()
    assert found["reason"].endswith(
        f"; precision 0.8 could be promised, from {lesser['score']:.4f} on, for {coverage:.0%} of "
        "the queries"
    )


PRECISION, FALSE = Promise("precision", 0.95), Promise("false_positive", 0.05)


@pytest.mark.parametrize("runs", [100, pytest.param(2000, marks=pytest.mark.long)])
@pytest.mark.parametrize(
    ("promise", "n_classes", "each", "alike", "gap", "without"),
    [
        (PRECISION, 50, 10, 0.5, 2.0, 0.0),
        (PRECISION, 30, 40, 0.5, 2.0, 0.2),
        (PRECISION, 200, 5, 0.0, 2.0, 0.2),
        (PRECISION, 400, 1, 0.5, 2.0, 0.0),
        (Promise("precision", 0.9), 100, 5, 1.0, 3.0, 0.1),
        (FALSE, 50, 10, 0.5, 2.0, 0.0),
        (FALSE, 200, 5, 1.0, 3.0, 0.2),
        (Promise("false_positive", 0.01), 1000, 1, 0.5, 2.0, 0.2),
    ],
)
def test_the_true_rate_lies_in_the_stated_interval(
    promise: Promise,
    n_classes: int,
    each: int,
    alike: float,
    gap: float,
    without: float,
    runs: int,
) -> None:
    rng = np.random.default_rng(5)
    world, _ = simulated(rng, 2000, 100, alike, gap, without)
    held = chosen = 0
    for _ in range(runs):
        answers, labels = simulated(rng, n_classes, each, alike, gap, without)
        found = choose_threshold(answers, labels, promise)
        if found["score"] is None:
            assert found["reason"]
            continue
        chosen += 1
        low, high = found["outcome"]["ci95"]
        assert low <= found["outcome"][promise.kind] <= high
        true = (
            world.precision(found["score"])
            if promise.kind == "precision"
            else world.false_positive(found["score"])
        )
        assert true is not None
        held += low <= true <= high
    assert chosen > 0.5 * runs
    # Of fewer runs, so many that chance alone fails once in a thousand times.
    assert held >= (0.93 if runs == 2000 else 0.87) * chosen


@pytest.mark.parametrize("runs", [100, pytest.param(2000, marks=pytest.mark.long)])
@pytest.mark.parametrize(
    ("promise", "n_classes", "each", "alike", "gap", "without"),
    [
        (PRECISION, 50, 10, 0.5, 2.0, 0.0),
        (PRECISION, 200, 5, 0.0, 2.0, 0.2),
        (PRECISION, 400, 1, 0.5, 2.0, 0.0),
        (FALSE, 50, 10, 0.5, 2.0, 0.0),
        (FALSE, 200, 5, 1.0, 3.0, 0.2),
    ],
)
def test_of_held_out_images_the_interval_holds_the_true_rate_as_well(
    promise: Promise,
    n_classes: int,
    each: int,
    alike: float,
    gap: float,
    without: float,
    runs: int,
) -> None:
    """Also where the held-out images are of easier classes, so that the promise is not kept."""
    rng = np.random.default_rng(6)
    world, _ = simulated(rng, 2000, 100, alike, gap, without)
    held = chosen = 0
    for run in range(runs):
        carried, _ = simulated(rng, 100, 10, alike, gap + 0.5 * (run % 2), without)
        answers, labels = simulated(rng, n_classes, each, alike, gap, without)
        found = confirm_threshold(answers, labels, promise, carried, 500)
        if found["score"] is None:
            assert found["reason"]
            continue
        chosen += 1
        assert found["score"] == promise.threshold(carried, 2 * promise.fewest)
        low, high = found["outcome"]["ci95"]
        true = (
            world.precision(found["score"])
            if promise.kind == "precision"
            else world.false_positive(found["score"])
        )
        assert true is not None
        held += low <= true <= high
    assert chosen > 0.5 * runs
    assert held >= (0.93 if runs == 2000 else 0.87) * chosen


def test_held_out_images_choose_and_all_queries_measure() -> None:
    rng = np.random.default_rng(0)
    answers, labels = simulated(rng, 60, 20, 0.5, 2.5, 0.1)
    carried, _ = simulated(rng, 300, 10, 0.5, 2.5, 0.1)
    for promise in (PRECISION, FALSE):
        found = confirm_threshold(answers, labels, promise, carried, 1500)
        score = promise.threshold(carried, 2 * promise.fewest)
        assert (found["score"], found["from"], found["halves"]) == (score, "held_out", [])
        assert score is not None
        if promise.kind == "precision":
            assert found["outcome"]["precision"] == answers.precision(score)
            assert found["outcome"]["n_trials"] == answers.accepted(score).sum()
        else:
            assert found["outcome"]["false_positive"] == answers.false_positive(score)
            assert found["outcome"]["n_trials"] == len(answers)
        assert found["at_score"]["coverage"] == answers.coverage(score)


@pytest.mark.parametrize(
    ("n_carried", "n_images", "lowest", "promise", "reason"),
    [
        (0, 0, 0.0, PRECISION, "no classes were held out of the training"),
        (398, 199, 0.0, PRECISION, "of the held-out images: 199 answers are too few"),
        (398, 199, 0.0, FALSE, "of the held-out images: 199 queries are too few"),
        (400, 200, 2.0, PRECISION, "no query is answered from 2.0000 on, which they chose"),
    ],
)
def test_what_held_out_images_cannot_promise_is_said(
    n_carried: int, n_images: int, lowest: float, promise: Promise, reason: str
) -> None:
    answers = simple(np.linspace(0, 1, 400).tolist(), [True] * 400)
    carried = simple(np.linspace(lowest, 3, n_carried).tolist(), [True] * n_carried)
    found = confirm_threshold(answers, classes(400, 20), promise, carried, n_images)
    assert (found["score"], found["outcome"], found["at_score"]) == (None, None, None)
    assert found["reason"].startswith(reason)


def test_each_half_is_measured_with_the_threshold_of_the_other() -> None:
    answers, labels = simulated(np.random.default_rng(0), 60, 20, 0.5, 2.5, 0.1)
    for promise in (PRECISION, FALSE):
        found = choose_threshold(answers, labels, promise)
        second = halves(labels)
        parts = [answers.of_rows(half) for half in (~second, second)]
        fewest = math.ceil(promise.fewest / 2)
        own = [promise.threshold(part, fewest) for part in parts]
        assert [half["score"] for half in found["halves"]] == own
        assert [half["n_queries"] for half in found["halves"]] == [len(part) for part in parts]
        hits = trials = 0
        for part, threshold in zip(parts, reversed(own), strict=True):
            assert threshold is not None
            if promise.kind == "precision":
                hits += int(part.right[part.accepted(threshold)].sum())
                trials += int(part.accepted(threshold).sum())
            else:
                hits += int((part.other >= threshold).sum())
                trials += len(part)
        assert found["outcome"][promise.kind] == pytest.approx(hits / trials)
        assert found["outcome"]["n_trials"] == trials
        score = found["score"]
        assert score == promise.threshold(answers, promise.fewest)
        assert found["at_score"]["coverage"] == answers.coverage(score)
        assert found["at_score"]["FPIR"] == answers.false_positive(score)


def test_the_order_of_queries_has_no_say() -> None:
    answers, labels = simulated(np.random.default_rng(0), 60, 20, 0.5, 2.5, 0.1)
    order = np.random.default_rng(1).permutation(len(labels))
    shuffled = choose_threshold(answers.of_rows(order), [labels[i] for i in order], PRECISION)
    assert shuffled == choose_threshold(answers, labels, PRECISION)


@pytest.mark.parametrize(
    ("n", "n_classes", "promise", "right", "reason"),
    [
        (199, 20, PRECISION, True, "199 answers are too few: a precision of 0.95"),
        (199, 20, FALSE, True, "199 queries are too few: a false-positive rate of 0.05"),
        (
            400,
            20,
            PRECISION,
            False,
            "at no score the 200 or more answers above",
        ),
        (400, 1, PRECISION, True, "all queries are of one class"),
    ],
)
def test_where_nothing_can_be_promised_it_says_so(
    n: int, n_classes: int, promise: Promise, right: bool, reason: str
) -> None:
    scores = np.linspace(0, 1, n).astype(np.float32).tolist()
    found = choose_threshold(simple(scores, [right] * n), classes(n, n_classes), promise)
    assert (found["score"], found["outcome"]) == (None, None)
    assert found["reason"].startswith(reason)


def test_one_half_that_holds_no_promise_is_told() -> None:
    # The classes of one half are always right, those of the other never.
    labels = classes(1000, 2)
    second = halves(labels)
    scores = np.where(second, 0.25, 0.75).tolist()
    found = choose_threshold(simple(scores, (~second).tolist()), labels, PRECISION)
    assert found["score"] is None
    assert found["reason"].startswith("in one half of the classes")


def test_few_classes_have_an_outcome_and_no_interval() -> None:
    scores = np.linspace(0, 1, 400).astype(np.float32).tolist()
    found = choose_threshold(simple(scores, [True] * 400), classes(400, 5), PRECISION)
    assert found["score"] == 0.0
    outcome = found["outcome"]
    # The lowest answer of one half is below the threshold of the other.
    assert outcome.pop("n_trials") == 399
    assert outcome == {
        "precision": 1.0,
        "ci95": None,
        "n_classes": 5,
        "no_interval": "fewer than 10 classes",
    }


def test_without_any_other_item_every_answer_is_accepted() -> None:
    score = np.linspace(0.5, 1, 300).astype(np.float32).astype(float)
    nothing = np.full(300, np.nan)
    alone = Answers(score, np.ones(300, np.bool_), nothing, np.ones(300, np.bool_))
    found = choose_threshold(alone, classes(300, 20), FALSE)
    assert found["score"] == 0.5
    assert found["outcome"]["false_positive"] == 0.0
