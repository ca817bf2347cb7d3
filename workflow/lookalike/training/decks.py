"""Dealing the images of each class into groups, from decks that are shuffled again and again."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]

# Images in a part of the work of `deal`: bounds what it needs beside its result.
PART = 1 << 20


def deal(
    members: Indices,
    sizes: NDArray[np.int64],
    groups: NDArray[np.int64],
    images_per_class: int,
    rng: np.random.Generator,
) -> Indices:
    """Deal the images of each class into groups of K, from decks shuffled again and again.

    Args:
        members: int64 [n], the images, class by class.
        sizes: int64 [c], images of each class, at least 2.
        groups: int64 [c], groups of each class, at least 1.
        images_per_class: K.
        rng: the source of chance.

    Returns:
        int64 [groups, K], class by class. From each class's first image on, no image comes again
        before all of the class have come; within a group, images come equally often or once more.
    """
    # After lcm(size, K) images a deck and a group end together. Such cycles do not depend on one
    # another, so those of all classes are dealt side by side.
    cycle = np.lcm(sizes, images_per_class)
    wanted = groups * images_per_class
    n_cycles = -(-wanted // cycle)
    of = np.repeat(np.arange(len(sizes)), n_cycles)
    done = (np.arange(len(of)) - np.repeat(np.cumsum(n_cycles) - n_cycles, n_cycles)) * cycle[of]
    cycles = Cycles(
        size=sizes[of],
        wanted=np.minimum(cycle[of], wanted[of] - done),
        source=(np.cumsum(sizes) - sizes)[of],
        target=(np.cumsum(wanted) - wanted)[of] + done,
    )
    dealt = np.empty(int(wanted.sum()), dtype=np.int64)
    ends = np.cumsum(cycles.size)
    cuts = np.searchsorted(ends, np.arange(PART, ends[-1], PART))
    for start, end in pairwise([0, *np.unique(cuts[cuts > 0]), len(of)]):
        part = Cycles(*(column[start:end] for column in cycles))
        _deal_part(part, members, images_per_class, dealt, rng)
    return dealt.reshape(-1, images_per_class)


class Cycles(NamedTuple):
    """Decks to deal one after the other, a row a cycle: int64 [r] each.

    Attributes:
        size: images of the class.
        wanted: images to deal, a multiple of K.
        source: where the class's images begin.
        target: where to put the first image dealt.
    """

    size: NDArray[np.int64]
    wanted: NDArray[np.int64]
    source: NDArray[np.int64]
    target: NDArray[np.int64]


def _deal_part(
    cycles: Cycles,
    members: Indices,
    images_per_class: int,
    dealt: Indices,
    rng: np.random.Generator,
) -> None:
    """Deal some cycles: a deck of each, then the next deck of each that wants more."""
    decks = 0  # dealt so far
    # For each image: whether it is in the group that the decks so far leave unfinished.
    held = np.zeros(int(cycles.size.sum()), dtype=bool)
    while len(cycles.size):
        size, begin = cycles.size, decks * cycles.size
        row = np.repeat(np.arange(len(size)), size)
        start = np.repeat(np.cumsum(size) - size, size)
        nth = np.arange(len(row)) - start
        # Sorted by row, then what is not in the group first, then by chance.
        order = np.argsort(2 * row + held + rng.random(len(row)), kind="stable")
        if decks:
            # Those first fill up the group; all others come after, in any order.
            missing = images_per_class - begin % images_per_class
            later = nth >= missing[row]
            order = order[np.argsort(2 * row + later + rng.random(len(row)), kind="stable")]
        place = begin[row] + nth
        wanted = place < cycles.wanted[row]
        images = members[cycles.source[row] + order - start]
        dealt[(cycles.target[row] + place)[wanted]] = images[wanted]

        end = begin + size
        unfinished = end - end % images_per_class
        # A group that began in an earlier deck and is not full yet holds what it held, and all of
        # this deck once more.
        began = (unfinished >= begin)[row]
        held[order] = np.where(began, place >= unfinished[row], held[order])
        decks += 1
        more = cycles.wanted > end
        held = held[more[row]]
        cycles = Cycles(*(column[more] for column in cycles))
