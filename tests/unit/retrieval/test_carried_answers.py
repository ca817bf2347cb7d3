"""Scores carried over to a gallery's size: against galleries that are drawn, and closed forms."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lookalike.retrieval import carried_answers as module
from lookalike.retrieval.carried_answers import (
    DRAWS,
    best_of_some,
    carried_answers,
    held_out_anchors,
)
from lookalike.retrieval.identification import Answers
from support.ranked import normal


def midpoints(count: int) -> np.ndarray:
    """Chances that stand for equal parts of all."""
    return (np.arange(count) + 0.5) / count


@pytest.mark.parametrize("n", range(1, 8))
def test_the_best_of_fewer_than_are_known_is_that_of_all_their_samples(n: int) -> None:
    scores = np.array([0.1, 0.9, 0.3, 0.3, -0.5, 0.7, 0.2], np.float32)
    best_of_samples = sorted(max(sample) for sample in combinations(scores.tolist(), n))
    count = len(best_of_samples)
    found = best_of_some(scores, np.full(count, n), midpoints(count), "cosine")
    np.testing.assert_array_equal(np.sort(found), best_of_samples)


@pytest.mark.parametrize("score", ["cosine", "euclidean"])
@pytest.mark.parametrize("power", [2.0, 6.0])
def test_the_best_of_more_than_are_known_has_the_law_of_all(score: str, power: float) -> None:
    """Of n distances whose share below r is r^p, the least is above r with (1 - r^p)^n."""
    rng, known, n, anchors = np.random.default_rng(0), 1000, 20_000, 1000
    highest = {"cosine": 1.0, "euclidean": 0.0}[score]
    chance = midpoints(40)
    found = []
    for _ in range(anchors):
        distances = rng.random(known) ** (1 / power)
        scores = (highest - distances).astype(np.float32)
        found.append(best_of_some(scores, np.full(40, n), chance, score))
    least = highest - np.array(found)
    exact = (1 - chance ** (1 / n)) ** (1 / power)
    # 50 scores of each anchor say what the tail is: they err, but on the whole they meet it.
    np.testing.assert_allclose(np.exp(np.log(least).mean(axis=0)), exact, rtol=0.03)


def test_what_an_anchor_has_not_seen_is_met_on_a_sphere() -> None:
    rng = np.random.default_rng(1)
    anchor, dimension, known, n = np.eye(6)[0], 6, 400, 4000

    def scores(count: int) -> np.ndarray:
        vectors = rng.normal(size=(count, dimension))
        return np.asarray((vectors / np.linalg.norm(vectors, axis=1)[:, None]) @ anchor, np.float32)

    real = np.array([scores(n).max() for _ in range(500)])
    chance = midpoints(DRAWS)
    carried = np.concatenate(
        [best_of_some(scores(known), np.full(DRAWS, n), chance, "cosine") for _ in range(300)]
    )
    best_known = np.array([scores(known).max() for _ in range(300)])

    def typical_distance(best: np.ndarray) -> float:
        return float(np.exp(np.mean(np.log(1 - best))))

    assert typical_distance(carried) == pytest.approx(typical_distance(real), rel=0.1)
    # What was seen alone would say something else.
    assert typical_distance(real) < 0.6 * typical_distance(best_known)


@settings(derandomize=True, deadline=None, max_examples=200)
@given(
    scores=st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=30),
    n=st.integers(1, 90),
    chance=st.floats(0.001, 1),
)
def test_more_items_and_more_luck_are_never_worse_and_nothing_is_nearer_than_equal(
    scores: list[float], n: int, chance: float
) -> None:
    of = np.array(scores, np.float32)
    counts, luck = np.array([n, n + 1, n]), np.array([chance, chance, min(1, chance + 0.1)])
    best, of_more, by_luck = best_of_some(of, counts, luck, "cosine")
    if n != len(scores):  # there the sample ends, and what is fitted begins
        assert of_more >= best
    assert by_luck >= best
    assert min(scores) <= best <= 1
    if n <= len(scores):
        assert best in of


def world(n_classes: int, each: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    labels = np.repeat(np.arange(n_classes), each)
    vectors = normal(n_classes, 8, seed=seed)[labels] + 0.7 * normal(len(labels), 8, seed=seed + 1)
    return vectors, labels


def test_rates_are_those_of_galleries_that_are_drawn() -> None:
    """Of the same images: R of a query's class and N of the others, drawn for each query."""
    vectors, labels = world(30, 12, seed=3)
    n_relevant, n_other = np.array([4, 0, 2]), np.array([100, 50, 200])
    carried = carried_answers(
        held_out_anchors(vectors, labels, "cosine"), n_relevant, n_other, "cosine"
    )
    assert carried["anchor"].tolist() == np.repeat(np.arange(360), DRAWS).tolist()
    answers = Answers.of(carried)

    rng = np.random.default_rng(0)
    unit = vectors / np.linalg.norm(vectors, axis=1)[:, None]
    scores = unit @ unit.T
    columns: list[tuple[float, float, float, int]] = []
    for image in range(360):
        own = np.flatnonzero((labels == labels[image]) & (np.arange(360) != image))
        others = np.flatnonzero(labels != labels[image])
        for _ in range(30):
            r, n = [(4, 100), (0, 50), (2, 200)][rng.integers(3)]
            right = scores[image, rng.choice(own, r, replace=False)].max(initial=-2)
            wrong = scores[image, rng.choice(others, n, replace=False)].max()
            columns.append((right if r else np.nan, wrong, 1 if right > wrong else np.nan, r))
    names = ("best_relevant_score", "best_other_score", "first_rank", "n_relevant")
    real = Answers.of(dict(zip(names, np.array(columns).T, strict=True)))

    for threshold in (0.7, 0.8, 0.9):
        assert answers.coverage(threshold) == pytest.approx(real.coverage(threshold), abs=0.015)
        assert answers.precision(threshold) == pytest.approx(real.precision(threshold), abs=0.015)
        assert answers.false_positive(threshold) == pytest.approx(
            real.false_positive(threshold), abs=0.015
        )
        assert answers.false_negative(threshold) == pytest.approx(
            real.false_negative(threshold), abs=0.015
        )


def test_of_more_relevant_items_than_are_known_the_best_known_counts() -> None:
    relevant, other = np.array([0.3, 0.6], np.float32), np.array([0.5, 0.1], np.float32)
    found = carried_answers([(relevant, other)], [5], [2], "cosine")
    assert set(found["best_relevant_score"]) == {np.float64(np.float32(0.6))}
    assert set(found["best_other_score"]) == {0.5}
    assert set(found["first_rank"]) == {1.0}
    assert set(found["n_relevant"]) == {5.0}


def test_a_query_without_relevant_or_other_items_has_no_score_of_them() -> None:
    relevant, other = np.array([0.3], np.float32), np.array([0.3], np.float32)
    without, alone, equal = (
        carried_answers([(relevant, other)], [r], [n], "cosine")
        for r, n in ((0, 1), (1, 0), (1, 1))
    )
    assert np.isnan(without["best_relevant_score"]).all()
    assert np.isnan(without["first_rank"]).all()
    assert np.isnan(alone["best_other_score"]).all()
    assert set(alone["first_rank"]) == {1.0}
    # Of equals it cannot be known which comes first.
    assert np.isnan(equal["first_rank"]).all()


def test_an_image_that_is_alone_in_its_class_is_not_asked_for() -> None:
    pair = (np.array([0.3], np.float32), np.array([0.1], np.float32))
    alone = (np.empty(0, np.float32), np.array([0.1], np.float32))
    assert set(carried_answers([alone, pair], [1], [1], "cosine")["anchor"]) == {1}
    assert len(carried_answers([alone], [1], [1], "cosine")["anchor"]) == 0


@pytest.mark.parametrize("score", ["cosine", "euclidean"])
def test_each_image_is_scored_with_its_class_and_with_all_others(
    score: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_ANCHORS_AT_ONCE", 7)
    vectors, labels = world(5, 4, seed=9)
    wide = vectors.astype(np.float64)
    if score == "cosine":
        unit = wide / np.linalg.norm(wide, axis=1)[:, None]
        scores = unit @ unit.T
    else:
        scores = -np.linalg.norm(wide[:, None] - wide, axis=2)
    anchors = list(held_out_anchors(vectors, labels, score))
    assert len(anchors) == 20
    for image, (relevant, other) in enumerate(anchors):
        same = labels == labels[image]
        np.testing.assert_allclose(other, scores[image, ~same], atol=1e-6)
        same[image] = False
        np.testing.assert_allclose(relevant, scores[image, same], atol=1e-6)
