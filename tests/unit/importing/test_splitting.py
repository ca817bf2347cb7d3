"""Splits, held to what is promised of them: properties over sources of every make."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lookalike.errors import LookalikeError
from lookalike.importing.names import natural
from lookalike.importing.splitting import Candidate, Place, SplitSettings, share_of, split

SIZES = st.dictionaries(
    st.text("abcdefgh", min_size=1, max_size=3), st.integers(1, 9), min_size=5, max_size=14
)
SPLITS = st.builds(
    SplitSettings,
    closed=st.booleans(),
    test_share=st.floats(0.05, 0.95),
    queries=st.one_of(st.floats(0.05, 0.95), st.integers(1, 4)),
    seed=st.integers(0, 2**31 - 1),
)


def of_classes(sizes: dict[str, int]) -> list[str]:
    """Keys of images by class: b/1.jpg, b/2.jpg."""
    return [f"{label}/{n}.jpg" for label, size in sizes.items() for n in range(1, size + 1)]


def candidates(
    keys: Sequence[str],
    groups: dict[str, str] | None = None,
    known: dict[str, Place | None] | None = None,
) -> list[Candidate]:
    """Images in natural order; groups: names by key. known: where each is already."""
    ordered = sorted(keys, key=natural)
    named = [(groups or {}).get(key, key) for key in ordered]
    number = {name: place for place, name in enumerate(dict.fromkeys(named))}
    return [
        Candidate(key, key.partition("/")[0], number[name], place=(known or {}).get(key))
        for key, name in zip(ordered, named, strict=True)
    ]


def places_of(images: Sequence[Candidate], how: SplitSettings) -> dict[str, Place | None]:
    return dict(zip((image.key for image in images), split(images, how), strict=True))


def drawn_alone(sizes: dict[str, int], how: SplitSettings) -> bool:
    """Whether chance alone leaves training two classes with a pair, and the test one."""
    pairs = [label for label, size in sizes.items() if size > 1]
    tested = [label for label in pairs if share_of(how.seed, "class", label) < how.test_share]
    return len(pairs) - len(tested) >= 2 and bool(tested)


@given(SIZES, SPLITS, st.data())
def test_an_image_or_a_class_that_comes_later_moves_no_other(
    sizes: dict[str, int], how: SplitSettings, data: st.DataObject
) -> None:
    assume(how.closed or drawn_alone(sizes, how))
    label = data.draw(st.sampled_from([*sizes, "new"]))
    before = places_of(candidates(of_classes(sizes)), how)
    more = sizes | {label: sizes.get(label, 0) + 1}
    after = places_of(candidates(of_classes(more)), how)
    assert {key: after[key] for key in before} == before


@given(SIZES, SPLITS, st.data())
def test_whatever_its_name_it_moves_few_of_its_own_class(
    sizes: dict[str, int], how: SplitSettings, data: st.DataObject
) -> None:
    assume(how.closed or drawn_alone(sizes, how))
    label = data.draw(st.sampled_from([*sizes]))
    before = places_of(candidates(of_classes(sizes)), how)
    after = places_of(candidates([*of_classes(sizes), f"{label}/0.jpg"]), how)
    moved = [key for key in before if after[key] != before[key]]
    assert all(key.startswith(f"{label}/") for key in moved)
    tested = 1 + max(1, int(how.queries))
    fixed = max(tested, round(1 / how.queries) if how.queries < 1 else 0)
    if how.closed:
        fixed = max(tested + 2, round(tested / how.test_share))
    assert len(moved) <= fixed
    if not how.closed:
        assert all("train" not in (before[key], after[key]) for key in moved)


@given(SIZES, SPLITS, st.data())
def test_what_has_a_place_keeps_it_and_what_is_new_does_not_part_groups(
    sizes: dict[str, int], how: SplitSettings, data: st.DataObject
) -> None:
    assume(how.closed or sum(size > 1 for size in sizes.values()) > 2)
    keys = of_classes(sizes)
    before = places_of(candidates(keys), how)
    extra = data.draw(
        st.lists(st.tuples(st.sampled_from([*sizes, "new"]), st.integers(10, 20)), max_size=5)
    )
    new = sorted({f"{label}/{'' if n % 2 else 'a'}{n}.jpg" for label, n in extra})
    # Each new image may belong to an old one, or to another new one.
    groups = {key: data.draw(st.sampled_from([key, "g", *keys])) for key in new}
    images = candidates([*keys, *new], groups, before)
    after = places_of(images, how)
    assert {key: after[key] for key in before} == before
    together = defaultdict(set)
    for image in images:
        if after[image.key] is not None:
            together[image.group].add(after[image.key])
    assert all(len(places) == 1 for places in together.values())
    if not how.closed:
        sides = defaultdict(set)
        for image in images:
            if after[image.key] is not None:
                sides[image.label].add(after[image.key] == "train")
        assert all(len(both) == 1 for both in sides.values())


@given(SIZES, SPLITS, st.data())
def test_groups_stay_together_and_each_tested_class_has_what_it_needs(
    sizes: dict[str, int], how: SplitSettings, data: st.DataObject
) -> None:
    keys = of_classes(sizes)
    groups = {key: data.draw(st.sampled_from([key, f"of {key[0]}", "any"])) for key in keys}
    images = candidates(keys, groups)
    try:
        placed = places_of(images, how)
    except LookalikeError as error:
        assert "--closed" in str(error)
        return
    assert None not in placed.values()
    together = defaultdict(set)
    for image in images:
        together[image.group].add(placed[image.key])
    assert all(len(places) == 1 for places in together.values())
    of_label = defaultdict(set)
    own_groups = defaultdict(set)
    for image in images:
        of_label[image.label].add(placed[image.key])
        if {other.label for other in images if other.group == image.group} == {image.label}:
            own_groups[image.label].add(image.group)
    for label, found in of_label.items():
        if not how.closed:
            assert found == {"train"} or "train" not in found
        if len(own_groups[label]) >= 2 and not how.closed and "train" not in found:
            assert found == {"query", "gallery"}
        if len(own_groups[label]) >= 4 and how.closed:
            assert found == {"train", "query", "gallery"}


@pytest.mark.parametrize("closed", [False, True])
def test_small_classes(closed: bool) -> None:
    """A class of one to four images: where they go, by the natural order of their names."""
    how = SplitSettings(closed=closed, test_share=0.5)
    many = of_classes({f"class{n}": 3 for n in range(20)})
    found = {}
    for size in (1, 2, 3, 4):
        # A class whose draw puts it into the test, should there be a draw.
        label = next(
            f"small{n}" for n in range(99) if share_of(0, "class", f"small{n}") < how.test_share
        )
        placed = places_of(candidates([*many, *of_classes({label: size})]), how)
        found[size] = [placed[key] for key in of_classes({label: size})]
    if closed:
        assert found == {
            1: ["train"],
            2: ["train", "train"],
            3: ["train", "train", "gallery"],
            4: ["train", "train", "gallery", "query"],
        }
    else:
        assert found[1] == ["gallery"]
        assert found[2] == ["gallery", "query"]
        assert found[3] == ["gallery", "query", "gallery"]
        assert found[4] == ["gallery", "query", "gallery", "gallery"]


def test_shares_come_out_as_they_are_set_where_there_are_many() -> None:
    n, share = 3000, 0.3
    how = SplitSettings(test_share=share)
    placed = places_of(candidates(of_classes(dict.fromkeys(map(str, range(n)), 2))), how)
    tested = sum(place == "query" for place in placed.values())
    assert abs(tested - share * n) < 4 * math.sqrt(n * share * (1 - share))
    # Of another seed, others, but by chance.
    other = places_of(
        candidates(of_classes(dict.fromkeys(map(str, range(n)), 2))),
        SplitSettings(test_share=share, seed=1),
    )
    both = sum(placed[key] == other[key] == "query" for key in placed)
    assert abs(both - share**2 * n) < 4 * math.sqrt(n * share**2)


@pytest.mark.parametrize(("queries", "expected"), [(0.25, 750), (0.5, 1500), (1, 1), (7, 7)])
def test_the_number_of_queries_of_a_large_class(queries: float, expected: int) -> None:
    sizes = {"big": 3000, "a": 2, "b": 2}
    seed = next(s for s in range(99) if share_of(s, "class", "big") < 0.3)
    how = SplitSettings(queries=queries, seed=seed)
    placed = places_of(candidates(of_classes(sizes)), how)
    found = Counter(place for key, place in placed.items() if key.startswith("big"))
    assert found.total() == 3000
    assert abs(found["query"] - expected) <= (100 if queries < 1 else 0)


@given(st.integers(0, 10**6), st.floats(0.01, 0.99))
def test_three_classes_of_two_images_always_suffice(seed: int, share: float) -> None:
    images = candidates(of_classes({"a": 2, "b": 2, "c": 2}))
    found = Counter(split(images, SplitSettings(test_share=share, seed=seed)))
    assert found == {"train": 4, "gallery": 1, "query": 1}


def test_two_classes_do_not() -> None:
    with pytest.raises(LookalikeError, match=r"there are 3 classes .*, 2 of them with two usable"):
        split(candidates(of_classes({"a": 2, "b": 2, "c": 1})), SplitSettings())


def test_classes_that_look_alikes_tie_together_are_named_as_the_reason() -> None:
    keys = of_classes({"a": 2, "b": 2, "c": 2})
    groups = {"a/1.jpg": "same", "b/1.jpg": "same", "c/1.jpg": "same"}
    with pytest.raises(
        LookalikeError, match="into 1 set, which cannot be parted; --near-duplicates none"
    ):
        split(candidates(keys, groups), SplitSettings())


@settings(max_examples=20)
@given(st.integers(0, 1000))
def test_an_image_that_cannot_be_read_is_no_class_s_only_query(seed: int) -> None:
    images = [
        image._replace(is_usable=not image.key.endswith("/2.jpg"))
        for image in candidates(of_classes(dict.fromkeys("abcdefgh", 4)))
    ]
    placed = places_of(images, SplitSettings(seed=seed))
    for label in "abcdefgh":
        if placed[f"{label}/1.jpg"] != "train":
            assert [placed[f"{label}/{n}.jpg"] for n in (1, 2, 3)] == [
                "gallery",
                "gallery",
                "query",
            ]


def test_what_a_source_says_of_split_and_role_holds() -> None:
    images = [
        Candidate("a/1", "a", 0, side="train"),
        Candidate("a/2", "a", 0, side="test", role="query"),
        Candidate("a/3", "a", 0, side="test", role="gallery"),
        Candidate("b/1", "b", 1, side="test", role="both"),
        Candidate("c/1", "c", 2, side="test"),
        Candidate("c/2", "c", 3, side="test"),
    ]
    assert split(images, SplitSettings()) == [
        *("train", "query", "gallery"),
        "both",
        *("gallery", "query"),
    ]
