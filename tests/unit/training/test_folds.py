"""Folds of the training classes, and what is held out by them."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lookalike.training.folds import class_folds
from lookalike.training.held_out import Fold, hold_out, hold_out_fold

names = st.lists(st.text(max_size=5), unique=True, max_size=60)


@given(names, st.integers(2, 9), st.integers(0, 3))
def test_folds_are_as_even_as_can_be_whatever_the_order_of_the_classes(
    classes: list[str], folds: int, seed: int
) -> None:
    found = class_folds(classes, folds, seed)
    sizes = np.bincount(found, minlength=folds)
    assert len(sizes) == folds and sizes.max() - sizes.min() <= 1
    again = class_folds(classes[::-1], folds, seed)
    assert dict(zip(classes, found, strict=True)) == dict(zip(classes[::-1], again, strict=True))


def test_a_class_that_comes_moves_few_others_and_seeds_differ() -> None:
    classes = [f"class {number}" for number in range(100)]
    moved = []
    for seed in range(20):
        before = class_folds(classes, 5, seed)
        moved.append((before != class_folds(["new", *classes], 5, seed)[1:]).sum())
    # Of folds that are cut from a shuffled list, half of all classes would.
    assert max(moved) <= 10 and np.mean(moved) < 4
    by_seed = {tuple(class_folds(classes, 5, seed)) for seed in range(20)}
    assert len(by_seed) == 20
    # As chance has it, a fifth of the classes is where another seed has it.
    equal = [
        (class_folds(classes, 5, seed) == class_folds(classes, 5, 99)).mean() for seed in range(20)
    ]
    assert abs(np.mean(equal) - 0.2) < 0.03


@given(
    st.lists(st.integers(0, 14), min_size=1, max_size=80),
    st.integers(2, 4),
    st.integers(0, 2),
)
def test_each_class_with_a_pair_is_held_out_once_and_no_other(
    classes: list[int], folds: int, seed: int
) -> None:
    labels = np.array(classes)
    called = [f"n{number}" for number in range(15)]
    values, counts = np.unique(labels, return_counts=True)
    pairs = values[counts >= 2]
    parts = [hold_out_fold(labels, Fold(fold, folds), seed, called) for fold in range(folds)]
    for training, held_out in parts:
        np.testing.assert_array_equal(np.sort(np.r_[training, held_out]), np.arange(len(labels)))
        assert not {*labels[training]} & {*labels[held_out]}
    held = [label for _, held_out in parts for label in np.unique(labels[held_out])]
    assert len(held) == len({*held})
    if len(pairs) // folds >= 2:
        assert sorted(held) == pairs.tolist()
    elif len(pairs) <= folds:
        assert not held


def test_what_is_scored_are_the_held_out_images_one_of_each_content() -> None:
    labels = np.repeat(np.arange(12), 3)
    contents = np.arange(36)
    contents[1] = contents[0]
    scored = [
        hold_out(labels, contents, "classes", 0.25, 0, Fold(fold, 4)).queries for fold in range(4)
    ]
    assert sorted(np.concatenate(scored).tolist()) == [0, *range(2, 36)]
    names = [f"n{number}" for number in range(12)]
    split = hold_out(labels, contents, "classes", 0.25, 0, Fold(1, 4), names)
    expected = hold_out_fold(labels, Fold(1, 4), 0, names)[1]
    np.testing.assert_array_equal(split.held_out, expected)
    assert (split.of, len(split.companions)) == ("classes", 0)
