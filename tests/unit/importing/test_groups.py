"""Sets of what must not be parted, against a search of all pairs."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.data.near_duplicates import Appearances, nearest_by_appearance
from lookalike.importing.groups import Joined, join_alike, members


def by_all_pairs(looks: list[bytes | None], bits: int) -> list[set[int]]:
    """Sets of images that look alike, directly or through others, pair by pair."""

    def alike(one: bytes | None, other: bytes | None) -> bool:
        if one is None or other is None:
            return False
        differing = int.from_bytes(one[:8], "big") ^ int.from_bytes(other[:8], "big")
        colours = (abs(a - b) for a, b in zip(one[8:], other[8:], strict=True))
        return differing.bit_count() <= bits and max(colours) <= 20

    left, found = set(range(len(looks))), []
    while left:
        inside, todo = set(), {min(left)}
        while todo:
            inside |= todo
            todo = {x for x in left - inside if any(alike(looks[x], looks[y]) for y in todo)}
        left -= inside
        found.append(inside)
    return found


@pytest.mark.parametrize("bits", [0, 1, 4, 12])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_chains_of_look_alikes_become_one_set(bits: int, seed: int) -> None:
    rng = random.Random(seed)
    looks: list[bytes | None] = [None]
    for _ in range(60):
        begun = [x for x in looks if x is not None]
        if not begun or rng.random() < 0.2:
            looks.append(rng.randbytes(20))
            continue
        # One of those before, a few bits and shades away.
        known = rng.choice(begun)
        flips = sum(1 << rng.randrange(64) for _ in range(rng.randrange(bits + 3)))
        word = int.from_bytes(known[:8], "big") ^ (flips % 2**64)
        shades = [min(255, max(0, x + rng.randrange(-12, 13))) for x in known[8:]]
        looks.append(word.to_bytes(8, "big") + bytes(shades))
    joined = Joined(len(looks))
    join_alike(joined, looks, bits, threads=2)
    found = [set(inside) for inside in members(joined.everything()).values()]
    assert found == by_all_pairs(looks, bits)


def test_a_pair_is_what_the_search_across_splits_calls_one() -> None:
    rng = np.random.default_rng(0)
    first = rng.integers(0, 256, 20, np.uint8)
    for _ in range(50):
        other = first.copy()
        other[rng.integers(8)] ^= np.uint8(rng.integers(256))
        other[8:] = np.clip(other[8:].astype(int) + rng.integers(-24, 25, 12), 0, 255)
        joined = Joined(2)
        join_alike(joined, [first.tobytes(), other.tobytes()], 4)
        one, two = (
            Appearances([looks.tobytes()], np.array([number]))
            for number, looks in enumerate((first, other))
        )
        (found,), _ = nearest_by_appearance(one, two, 4)
        assert (joined.of(1) == 0) == (found == 0)


@given(st.lists(st.tuples(st.integers(0, 19), st.integers(0, 19)), max_size=30))
def test_joined_sets_are_those_of_the_graph(edges: list[tuple[int, int]]) -> None:
    joined = Joined(20)
    sets = [{thing} for thing in range(20)]
    for one, other in edges:
        joined.join(one, other)
        both = sets[one] | sets[other]
        for thing in both:
            sets[thing] = both
    assert joined.everything() == [min(inside) for inside in sets]


def test_things_without_a_name_stay_alone() -> None:
    joined = Joined(5)
    joined.join_equal([None, "a", None, "b", "a"])
    assert joined.everything() == [0, 1, 2, 3, 1]
