"""Which images must not be parted: near-duplicates, and what a source says belongs together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from lookalike.data.near_duplicates import Appearances, nearest_by_appearance


class Joined:
    """Sets of n things that grow together (union-find); a set goes by its least member.

    >>> joined = Joined(4)
    >>> joined.join(3, 1)
    >>> [joined.of(thing) for thing in range(4)]
    [0, 1, 2, 1]
    """

    def __init__(self, n: int) -> None:
        self._above = list(range(n))

    def of(self, thing: int) -> int:
        """The least member of a thing's set."""
        while self._above[thing] != thing:
            self._above[thing] = self._above[self._above[thing]]
            thing = self._above[thing]
        return thing

    def join(self, one: int, other: int) -> None:
        """Make one set of two things' sets."""
        one, other = sorted((self.of(one), self.of(other)))
        self._above[other] = one

    def join_equal(self, names: Iterable[Hashable | None]) -> None:
        """Make one set of the things of each name; a thing without (None) stays as it is."""
        first: dict[Hashable, int] = {}
        for thing, name in enumerate(names):
            if name is not None:
                self.join(first.setdefault(name, thing), thing)

    def everything(self) -> list[int]:
        """The set of each thing."""
        return [self.of(thing) for thing in range(len(self._above))]


def join_alike(
    joined: Joined, appearances: Sequence[bytes | None], bits: int, *, threads: int = 1
) -> None:
    """Join images that look alike, directly or through others.

    Two look alike as in `lookalike.data.near_duplicates`: of several rounds, each joins every set
    with the nearest image of another one, until no set has any.

    Args:
        joined: sets of the images.
        appearances: of each image; None for one that none is like.
        bits: in which two perceptual hashes may differ.
        threads: that compare side by side.
    """
    places = [place for place, looks in enumerate(appearances) if looks is not None]
    each = [looks for looks in appearances if looks is not None]
    while True:
        sets: NDArray[np.int64] = np.array([joined.of(place) for place in places], np.int64)
        # What is of one set counts as one content, and is passed over.
        images = Appearances(each, sets)
        found, _ = nearest_by_appearance(
            images, images, bits, threads=threads, what="the images of the source"
        )
        rows = np.flatnonzero(found >= 0).tolist()
        if not rows:
            return
        for row in rows:
            joined.join(places[row], places[int(found[row])])


def members(sets: Sequence[int]) -> dict[int, list[int]]:
    """The things of each set, in their order."""
    found: defaultdict[int, list[int]] = defaultdict(list)
    for thing, name in enumerate(sets):
        found[name].append(thing)
    return found
