"""What is held out: against loops that say what was promised."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lookalike.training.decisive import DataFacts, held_out
from lookalike.training.held_out import FEW, MOST, HeldOut, hold_out, hold_out_classes

class_sizes = st.lists(st.integers(1, 9), min_size=2, max_size=12)


def labels_of(sizes: list[int]) -> np.ndarray:
    return np.repeat(np.arange(len(sizes)), sizes)


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


def test_of_the_seed_0_the_same_classes_are_held_out_as_ever() -> None:
    labels = labels_of([3] * 300)
    expected = np.random.default_rng((0,)).permutation(np.arange(300))[:30]
    assert set(labels[hold_out(labels, None, "classes", 0.1, 0).held_out]) == {*expected.tolist()}


@settings(derandomize=True, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 30)), min_size=2, max_size=80),
    st.floats(0, 0.99),
    st.integers(0, 9),
)
def test_images_of_each_class_are_held_out_and_no_content_is_on_both_sides(
    images: list[tuple[int, int]], share: float, seed: int
) -> None:
    labels, contents = np.array(images).T
    found = hold_out(labels, contents, "images", share, seed)
    assert sorted([*found.training, *found.held_out]) == list(range(len(images)))
    assert not set(contents[found.training]) & set(contents[found.held_out])
    labels_of_content = {content: {a for a, b in images if b == content} for _, content in images}
    for label in set(labels):
        different = {content for known, content in images if known == label}
        own = {content for content in different if len(labels_of_content[content]) == 1}
        held = {contents[row] for row in found.held_out if labels[row] == label}
        wanted = max(1, round(len(different) * share)) if share else 0
        assert len(held) == min(wanted, max(0, len(different) - 2), len(own))
        assert held <= own
    assert_scored_as_promised(found, labels, contents)
    same = hold_out(labels, contents, "images", share, seed)
    assert np.array_equal(same.gallery, found.gallery)


def assert_scored_as_promised(found: HeldOut, labels: np.ndarray, contents: np.ndarray) -> None:
    """One image of each held-out content is a query; the others in the gallery are trained on."""
    assert sorted(contents[found.queries]) == sorted(set(contents[found.held_out]))
    assert set(found.queries) <= set(found.held_out)
    assert set(found.companions) <= set(found.training)
    assert len(set(contents[found.gallery])) == len(found.gallery)
    assert set(labels[found.companions]) <= set(labels[found.queries])
    for label in set(labels[found.queries]):
        known = {content for row, content in enumerate(contents) if labels[row] == label}
        alone = {x for x in known if set(labels[contents == x]) == {label}}
        rest = alone - set(contents[found.held_out])
        assert np.sum(labels[found.companions] == label) == min(10, len(rest))


def test_a_held_out_image_that_is_trained_on_under_another_label_is_no_query() -> None:
    labels, contents = labels_of([3] * 40), np.arange(120)
    held = hold_out(labels, contents, "classes", 0.1, 0).held_out
    trained = np.setdiff1d(np.arange(120), held)
    contents[held[1]] = contents[trained[0]]
    contents[held[5]] = contents[held[4]]
    found = hold_out(labels, contents, "classes", 0.1, 0)
    # What is trained on stays; so do the weights.
    assert np.array_equal(found.training, trained)
    assert np.array_equal(found.queries, np.delete(held, [1, 5]))


@pytest.mark.parametrize("of", ["classes", "images"])
@pytest.mark.parametrize(
    ("sizes", "share"),
    [
        # Many classes, few, one that is larger than all others together; images by the million.
        ([6] * 3_000, 0.9),
        ([9_000] * 4, 0.5),
        ([20_000, *[4] * 2_000], 0.5),
        ([30_000, 30_000, 9_000, 9_000], 0.5),
        ([40] * 2_000, 0.9),
        ([2_000] * 500, 0.1),
    ],
)
def test_a_validation_is_bounded(sizes: list[int], share: float, of: str) -> None:
    labels = labels_of(sizes)
    found = hold_out(labels, None, of, share, 3)
    limit = min(max(len(found.training), FEW), MOST)
    assert 0.3 * limit < len(found.gallery) <= limit
    assert len(set(found.gallery)) == len(found.gallery)
    # Of several classes, as far as there are several, and of none nearly all.
    classes = len(set(labels[found.held_out]))
    counts = np.unique(labels[found.queries], return_counts=True)[1]
    assert len(counts) >= min(classes, 20)
    assert counts.max() <= max(0.6 * limit, 6)
    assert np.array_equal(hold_out(labels, None, of, share, 3).gallery, found.gallery)
    assert not np.array_equal(hold_out(labels, None, of, share, 4).gallery, found.gallery)


def test_whole_classes_are_left_out_where_none_is_large() -> None:
    labels = labels_of([40] * 2_000)
    found = hold_out(labels, None, "classes", 0.9, 0)
    scored, counts = np.unique(labels[found.queries], return_counts=True)
    assert set(counts) == {40}
    assert len(scored) == 8_000 // 40  # as many images as there are to train on


MANY = {"of": "auto", "classes": 0.1}


@pytest.mark.parametrize(
    ("validation", "facts", "expected"),
    [
        (MANY, DataFacts(400, 3, closed_set=False), "classes"),
        (MANY, DataFacts(400, 3, closed_set=True), "images"),
        (MANY, DataFacts(400, 2, closed_set=True), "classes"),
        (MANY, DataFacts(20, 9, closed_set=False), "classes"),
        (MANY, DataFacts(19, 9, closed_set=False), "images"),
        (MANY, DataFacts(2, 900, closed_set=False), "images"),
        # Of 25 classes, 1.25 are too few to find one among another.
        (MANY | {"classes": 0.05}, DataFacts(25, 9, closed_set=False), "images"),
        (MANY | {"classes": 0.97}, DataFacts(25, 9, closed_set=False), "images"),
        (MANY | {"of": "classes"}, DataFacts(4, 9, closed_set=True), "classes"),
        (MANY | {"of": "images"}, DataFacts(400, 9, closed_set=False), "images"),
    ],
)
def test_what_is_held_out_is_decided_by_the_data(
    validation: dict[str, object], facts: DataFacts, expected: str
) -> None:
    of, why = held_out(validation, facts)
    assert of == expected
    assert why


@pytest.mark.parametrize(
    ("queries", "known", "closed"), [(0, 0, False), (10, 4, False), (10, 5, True), (1, 1, True)]
)
def test_a_mixture_is_what_at_least_half_of_its_queries_are(
    queries: int, known: int, closed: bool
) -> None:
    report = {
        "splits": {
            "train": {"classes": 7, "images_per_class": {"max": 5}},
            "query": {"ok": queries},
        },
        "classes_without_positive": {"count": 3},
        "queries_of_training_classes": known,
    }
    assert DataFacts.from_report(report) == DataFacts(4, 5, closed)
