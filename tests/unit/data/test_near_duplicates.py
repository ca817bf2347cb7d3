"""Near-duplicates: what a copy of a picture may go through, and the search against every pair."""

import io
import logging
from itertools import combinations

import imagehash
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from lookalike.data import near_duplicates as searching
from lookalike.data.near_duplicates import BITS, Appearances, appearance_of, nearest_by_appearance
from lookalike.jobs.progress import Progress
from support.drawings import draw

PICTURES = [draw(label, 0, size=120) for label in range(30)]


def saved_again(image: Image.Image, file_format: str, **options: object) -> Image.Image:
    stream = io.BytesIO()
    image.save(stream, file_format, **options)
    return Image.open(stream).convert("RGB")


def appearances_of(images: list[Image.Image]) -> Appearances:
    looks = [look for image in images if (look := appearance_of(image))]
    assert len(looks) == len(images)
    return Appearances(looks, np.arange(len(looks)))


def found(images: list[Image.Image], others: list[Image.Image], bits: int = 4) -> list[int]:
    """The nearest of `others` for each image; no two have equal bytes."""
    these, those = appearances_of(images), appearances_of(others)
    places, _ = nearest_by_appearance(
        these, Appearances(those.each, those.contents + len(images)), bits
    )
    return [int(place) for place in places]


@pytest.mark.parametrize(
    "copy",
    [
        lambda image: saved_again(image, "JPEG", quality=80),
        lambda image: saved_again(image, "WEBP", quality=70),
        lambda image: image.resize((60, 60)),
        lambda image: image.resize((500, 500)),
        lambda image: saved_again(image.resize((90, 90)), "JPEG", quality=75),
        lambda image: image.filter(ImageFilter.GaussianBlur(1)),
        lambda image: image.point(lambda value: min(255, value + 8)),
    ],
)
def test_a_copy_is_found_and_nothing_else(copy: object) -> None:
    assert callable(copy)
    assert found([copy(image) for image in PICTURES], PICTURES) == list(range(len(PICTURES)))


def test_different_pictures_look_different() -> None:
    for one, other in combinations(PICTURES, 2):
        assert found([one], [other]) == [-1]


def test_another_colour_is_another_picture() -> None:
    red, green, blue = PICTURES[0].split()
    other = Image.merge("RGB", (blue, green, red))
    hashes = [imagehash.phash(image.convert("L")) for image in (PICTURES[0], other)]
    assert hashes[0] - hashes[1] <= 12
    assert found([PICTURES[0]], [other], bits=12) == [-1]


@pytest.mark.parametrize("colour", ["white", "black", "#123456"])
def test_a_blank_picture_has_no_look(colour: str) -> None:
    assert appearance_of(Image.new("RGB", (300, 200), colour)) is None


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (7, 3), (4000, 300)])
def test_any_size_has_a_look_or_none(size: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8)
    look = appearance_of(Image.fromarray(pixels))
    assert look is None or len(look) == BITS // 8 + 12


def test_the_hash_is_imagehashs_own() -> None:
    look = appearance_of(PICTURES[3].resize((64, 64)))
    assert look is not None
    assert look[:8].hex() == str(imagehash.phash(PICTURES[3].resize((64, 64))))


@settings(derandomize=True, deadline=None, max_examples=150)
@given(st.data(), st.integers(0, 12))
def test_the_search_is_every_pair_compared(data: st.DataObject, bits: int) -> None:
    # Few hashes, near one another, so that distances of all sizes occur.
    seeds = data.draw(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=3))

    def drawn(most: int) -> Appearances:
        rows = data.draw(
            st.lists(
                st.tuples(
                    st.sampled_from(seeds),
                    st.lists(st.integers(0, 63), max_size=14, unique=True),
                    st.sampled_from([100, 115, 130]),
                    st.integers(0, 5),
                ),
                max_size=most,
            )
        )
        looks = []
        for seed, flips, colour, _ in rows:
            for flip in flips:
                seed ^= 1 << flip
            looks.append(seed.to_bytes(8, "little") + bytes([colour] * 12))
        return Appearances(looks, np.array([row[3] for row in rows], np.int64))

    these, those = drawn(12), drawn(12)
    expected = []
    for look, content in zip(these.each, these.contents, strict=True):
        best = (-1, BITS + 1)
        for place, (other, other_content) in enumerate(
            zip(those.each, those.contents, strict=True)
        ):
            distance = bin(
                int.from_bytes(look[:8], "little") ^ int.from_bytes(other[:8], "little")
            ).count("1")
            alike = all(abs(a - b) <= 20 for a, b in zip(look[8:], other[8:], strict=True))
            if content != other_content and distance <= bits and alike and distance < best[1]:
                best = (place, distance)
        expected.append(best)
    places, far = nearest_by_appearance(these, those, bits)
    assert list(zip(places.tolist(), far.tolist(), strict=True)) == expected


def alike(count: int, seed: int) -> Appearances:
    """Appearances of pictures that are all alike: a few bits of one hash flipped, two colours."""
    rng = np.random.default_rng(seed)
    hashes = np.full(count, 0x0123456789ABCDEF, np.uint64)
    for _ in range(6):
        flips, bits = rng.integers(0, [[2], [64]], (2, count)).astype(np.uint64)
        hashes ^= flips << bits
    colours = [bytes([100 + 30 * colour] * 12) for colour in rng.integers(0, 2, count).tolist()]
    looks = [int(h).to_bytes(8, "little") + c for h, c in zip(hashes, colours, strict=True)]
    return Appearances(looks, rng.integers(0, count, count))


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("bits", [0, 1, 3, 4, 12])
def test_many_alike_are_compared_in_parts_side_by_side(
    monkeypatch: pytest.MonkeyPatch, threads: int, bits: int
) -> None:
    images, others = alike(400, 1), alike(300, 2)
    hashes, other_hashes = (
        np.array([int.from_bytes(look[:8], "little") for look in looks.each], np.uint64)
        for looks in (images, others)
    )
    distance = np.bitwise_count(hashes[:, None] ^ other_hashes[None]).astype(np.int64)
    colours, other_colours = (np.array([look[8] for look in x.each]) for x in (images, others))
    distance[(distance > bits) | (colours[:, None] != other_colours[None])] = 65
    distance[images.contents[:, None] == others.contents[None]] = 65
    expected = np.where(distance.min(1) <= 64, distance.argmin(1), -1)
    monkeypatch.setattr(searching, "_PAIRS_AT_ONCE", 1000)
    places, far = nearest_by_appearance(images, others, bits, threads=threads)
    assert np.array_equal(places, expected)
    assert np.array_equal(far, distance.min(1))
    assert (places >= 0).any()


def test_work_that_takes_long_is_told_before_and_while_it_lasts(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    done: list[int] = []

    class Counted(Progress):
        def update(self, count: int = 1, note: str = "") -> None:
            done.append(count)
            assert sum(done) <= self.total

    monkeypatch.setattr(searching, "Progress", Counted)
    images, others = alike(2000, 1), alike(2000, 2)
    nearest_by_appearance(images, others, 4, what="query and train")
    assert not caplog.records
    few = sum(done)
    monkeypatch.setattr(searching, "_MANY_PAIRS", few - 1)
    monkeypatch.setattr(searching, "_PAIRS_AT_ONCE", few // 10)
    done.clear()
    nearest_by_appearance(images, others, 4, what="query and train")
    assert sum(done) == few
    assert len(done) > 10
    assert "near-duplicates of query and train" in caplog.text
    assert "data.near_duplicates: false leaves that out" in caplog.text
