from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lookalike.errors import LookalikeError
from lookalike.sampling import (
    balanced_batches,
    epoch_batches,
    generator,
    hold_out_classes,
    shuffled_batches,
)

class_sizes = st.lists(st.integers(1, 9), min_size=2, max_size=12)


def labels_of(sizes: list[int]) -> np.ndarray:
    return np.repeat(np.arange(len(sizes)), sizes)


@settings(derandomize=True)
@given(class_sizes, st.integers(2, 6), st.integers(2, 5), st.integers(0, 99))
def test_balanced_batches(sizes: list[int], classes: int, per_class: int, seed: int) -> None:
    labels = labels_of(sizes)
    usable = [label for label, size in enumerate(sizes) if size >= 2]
    if len(usable) < 2:
        with pytest.raises(LookalikeError, match="two training classes"):
            balanced_batches(labels, classes, per_class, generator(seed))
        return
    batches = balanced_batches(labels, classes, per_class, generator(seed))
    seen = Counter(int(index) for part in batches for index in part)
    # Every image of a class with a pair is there ...
    assert set(np.flatnonzero(np.isin(labels, usable))) <= set(seen)
    for part in batches:
        # ... a class once a batch, with all its places.
        counts = Counter(int(labels[index]) for index in part)
        assert 2 <= len(counts) <= classes
        assert set(counts.values()) == {per_class}
    # No class is dealt more often than its images need, but to stand beside a last, lonely one.
    needed = sum(-(-sizes[label] // per_class) for label in usable)
    dealt = sum(len(part) for part in batches) // per_class
    assert needed <= dealt <= 2 * needed


@settings(derandomize=True)
@given(st.integers(2, 300), st.integers(2, 64), st.integers(0, 99))
def test_shuffled_batches_hold_every_image_once(n: int, size: int, seed: int) -> None:
    batches = shuffled_batches(n, size, generator(seed))
    assert sorted(np.concatenate(batches)) == list(range(n))
    assert all(2 <= len(part) <= size + 1 for part in batches)


def test_an_epoch_is_a_function_of_seed_and_epoch() -> None:
    labels = labels_of([4] * 20)
    recipe = {"name": "balanced", "classes": 5, "images_per_class": 2}

    def order(seed: int, epoch: int) -> list[int]:
        return [int(index) for part in epoch_batches(labels, recipe, seed, epoch) for index in part]

    assert order(0, 1) == order(0, 1)
    assert order(0, 1) != order(0, 2)
    assert order(0, 1) != order(1, 1)


@settings(derandomize=True)
@given(class_sizes, st.floats(0, 0.9), st.integers(0, 99))
def test_held_out_classes_are_not_trained_on(sizes: list[int], share: float, seed: int) -> None:
    labels = labels_of(sizes)
    training, held_out = hold_out_classes(labels, share, seed)
    assert sorted([*training, *held_out]) == list(range(len(labels)))
    assert not set(labels[training]) & set(labels[held_out])
    with_pair = sum(size >= 2 for size in sizes)
    expected = round(with_pair * share)
    if expected >= 2 and with_pair - expected >= 2:
        assert len(set(labels[held_out])) == expected
    else:
        assert len(held_out) == 0
