import time
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lookalike.errors import LookalikeError
from lookalike.records import Chosen
from lookalike.training.samplers.balanced import balanced_batches
from lookalike.training.samplers.shuffled import shuffled_batches
from lookalike.training.sampling import epoch_batches, generator


def balanced(
    labels: np.ndarray, classes: int, images_per_class: int, rng: np.random.Generator
) -> list[np.ndarray]:
    return balanced_batches(labels, rng, classes=classes, images_per_class=images_per_class)


class_sizes = st.lists(st.integers(1, 9), min_size=2, max_size=12)
unbalanced = st.one_of(
    class_sizes,
    # One large class beside small ones; all classes equal; sizes in geometric progression.
    st.builds(lambda size, small: [size, *small], st.integers(50, 200), class_sizes),
    st.builds(lambda size, n: [size] * n, st.integers(2, 9), st.integers(2, 30)),
    st.builds(lambda n, times: [2**i for i in range(n)] * times, st.integers(2, 8), st.just(2)),
)


def labels_of(sizes: list[int]) -> np.ndarray:
    return np.repeat(np.arange(len(sizes)), sizes)


def assert_balanced(sizes: list[int], classes: int, per_class: int, seed: int) -> int:
    """Hold an epoch against what is promised of it, image by image; return its batches."""
    labels = generator(7).permutation(labels_of(sizes))
    usable = {label for label, size in enumerate(sizes) if size >= 2}
    batches = balanced(labels, classes, per_class, generator(seed))
    dealt: dict[int, set[int]] = {label: set() for label in usable}
    draws: Counter[int] = Counter()
    for part in batches:
        # Every batch is full: different classes, each with all its places.
        counts = Counter(int(labels[index]) for index in part)
        assert len(counts) == min(classes, len(usable))
        assert set(counts.values()) == {per_class}
        for label in counts:
            # A group holds an image again only where the class has too few others.
            group = Counter(part[labels[part] == label].tolist())
            assert len(group) == min(per_class, sizes[label])
            assert max(group.values()) == -(-per_class // sizes[label])
        for index in part.tolist():
            deck = dealt[int(labels[index])]
            # No image comes again before all of its class have come.
            assert index not in deck
            deck.add(index)
            draws[index] += 1
            if len(deck) == sizes[int(labels[index])]:
                deck.clear()
    # Every image of a class with a pair comes, those of equally large classes about as often.
    by_size: dict[int, list[int]] = {}
    for index, label in enumerate(labels.tolist()):
        if label in usable:
            by_size.setdefault(sizes[label], []).append(draws[index])
    assert all(1 <= max(counts) <= 2 * min(counts) for counts in by_size.values())
    return len(batches)


@settings(derandomize=True, deadline=None)
@given(unbalanced, st.integers(2, 12), st.integers(2, 7), st.integers(0, 99))
def test_balanced_batches(sizes: list[int], classes: int, per_class: int, seed: int) -> None:
    usable = [size for size in sizes if size >= 2]
    if len(usable) < 2:
        with pytest.raises(LookalikeError, match="two training classes"):
            balanced(labels_of(sizes), classes, per_class, generator(seed))
        return
    n_batches = assert_balanced(sizes, classes, per_class, seed)
    # No fewer full batches hold every image. Where a class more or less never makes an image come
    # three times as often as another, there are no more.
    needed = [-(-size // per_class) for size in usable]
    fewest = max(max(needed), -(-sum(needed) // min(classes, len(usable))))
    assert n_batches >= fewest
    if all(size % per_class == 0 for size in usable) or len(set(usable)) == len(usable):
        assert n_batches == fewest


@pytest.mark.parametrize(
    ("sizes", "classes", "per_class", "n_batches"),
    [
        ([3] * 400, 8, 3, 50),
        ([10] * 400, 8, 3, 200),
        # The large class is in every batch, with other images each time.
        ([9000, *[10] * 20], 8, 3, 3000),
        ([1200, *[6] * 59], 8, 3, 400),
        ([1000, *[2] * 50], 8, 3, 334),
        # Enough groups of other classes for the largest one: each image comes once or so.
        ([600 // rank for rank in range(2, 200)], 8, 3, 126),
        ([10000, 2], 8, 3, 3334),
        ([2, 2], 2, 2, 1),
        # K larger than every class, P larger than their number.
        ([3, 4, 5], 64, 32, 1),
        # 20 groups would fill 2.5 batches; a third class three times (9 images of 4) beside others
        # twice (6 of 4) would mean three draws beside one: so it is three times for all but 2.
        ([4] * 10, 8, 3, 4),
    ],
)
def test_an_epoch_is_as_long_as_its_images_need(
    sizes: list[int], classes: int, per_class: int, n_batches: int
) -> None:
    assert assert_balanced(sizes, classes, per_class, 0) == n_batches


def seconds_to_draw(sizes: np.ndarray) -> float:
    """Of this process's own time, whatever else the machine does."""
    labels = generator(1).permutation(np.repeat(np.arange(len(sizes)), sizes))
    started = time.process_time()
    balanced(labels, 8, 3, generator(0))
    return time.process_time() - started


def test_ten_times_the_classes_take_about_ten_times_as_long() -> None:
    small = min(seconds_to_draw(np.full(2000, 10)) for _ in range(3))
    assert seconds_to_draw(np.full(20_000, 10)) < 30 * small + 0.1


@pytest.mark.long
@pytest.mark.parametrize(
    "sizes",
    [
        np.full(10_000, 10),
        np.full(40_000, 5),
        np.full(100_000, 10),
        1 + (82_700 / np.arange(1, 100_001)).astype(np.int64),
        np.array([500_000, *[10] * 50_000]),
    ],
    ids=["10,000 x 10", "40,000 x 5", "100,000 x 10", "Zipf", "one giant"],
)
def test_a_million_images_are_drawn_in_three_seconds(sizes: np.ndarray) -> None:
    assert seconds_to_draw(sizes) <= 3


def test_classes_meet_in_all_company() -> None:
    """Every two classes are in as many batches together as chance would have it."""
    sizes, classes, epochs = [200, *[12] * 40], 6, 60
    met = np.zeros((41, 41))
    for epoch in range(epochs):
        labels = labels_of(sizes)
        for part in balanced(labels, classes, 2, generator(0, epoch)):
            chosen = np.unique(labels[part])
            met[np.ix_(chosen, chosen)] += 1
    small = met[1:, 1:][np.triu_indices(40, 1)]
    # 100 batches, the large class in each; 5 places for 40 others, so 12 or 13 times each.
    assert met[0, 0] == 100 * epochs
    assert np.all((12 * epochs <= np.diagonal(met)[1:]) & (np.diagonal(met)[1:] <= 13 * epochs))
    expected = epochs * 100 * (5 * 4) / (40 * 39)
    assert small.mean() == pytest.approx(expected)
    # Counts of rare events: their variance is about their mean.
    assert 0.6 < small.var() / expected < 1.4
    # And in one epoch nobody keeps to the same company.
    part_of = [
        set(np.unique(labels_of(sizes)[part]))
        for part in balanced(labels_of(sizes), classes, 2, generator(1))
    ]
    company = Counter(other for chosen in part_of if 7 in chosen for other in chosen - {0, 7})
    assert len(company) > 20


@settings(derandomize=True)
@given(st.integers(2, 300), st.integers(2, 64), st.integers(0, 99))
def test_shuffled_batches_hold_every_image_once(n: int, size: int, seed: int) -> None:
    batches = shuffled_batches(np.zeros(n, np.int64), generator(seed), size=size)
    assert sorted(np.concatenate(batches)) == list(range(n))
    assert all(2 <= len(part) <= size + 1 for part in batches)


def test_an_epoch_is_a_function_of_seed_and_epoch() -> None:
    labels = labels_of([4] * 20)
    batch = Chosen("balanced", {"classes": 5, "images_per_class": 2})

    def order(seed: int, epoch: int) -> list[int]:
        return [int(index) for part in epoch_batches(labels, batch, seed, epoch) for index in part]

    assert order(0, 1) == order(0, 1)
    assert order(0, 1) != order(0, 2)
    assert order(0, 1) != order(1, 1)
