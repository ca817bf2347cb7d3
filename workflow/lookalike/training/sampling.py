"""Which images make a batch, decided by seed and epoch alone, so that a run can be resumed."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import LookalikeError

Indices = NDArray[np.int64]


def generator(seed: int, *place: int) -> np.random.Generator:
    """A random generator for one place (an epoch, a step) of a seeded run."""
    return np.random.default_rng((seed, *place))


def shuffled_batches(n_images: int, size: int, rng: np.random.Generator) -> list[Indices]:
    """All images once in random order, in batches of `size`.

    A last batch of one image would make no pair: it joins the batch before.
    """
    order = rng.permutation(n_images)
    batches = [order[start : start + size] for start in range(0, n_images, size)]
    if len(batches) > 1 and len(batches[-1]) == 1:
        batches[-2:] = [np.concatenate(batches[-2:])]
    return batches


def balanced_batches(
    labels: NDArray[np.int64], classes: int, images_per_class: int, rng: np.random.Generator
) -> list[Indices]:
    """Batches of P different classes with K images each.

    An epoch is the fewest such batches in which every image of a class with at least two images
    comes at least once (see `groups_per_class`). Where classes differ in size, small classes come
    several times to fill the batches that a large one needs.

    The images of a class are a deck: none comes again before all have come, and then the deck is
    shuffled again. A group holds an image twice only where its class has fewer than K. Images of
    classes with one image are in no batch: they have no positive pair.

    Args:
        labels: int64 [n], the class of each image.
        classes: P, classes in a batch; all of them where there are fewer.
        images_per_class: K.
        rng: the source of chance.

    Returns:
        Arrays of P*K indices into `labels`.

    Raises:
        LookalikeError: fewer than two classes have two images.
    """
    sizes = np.unique(labels, return_counts=True)[1]
    members = np.argsort(labels, kind="stable")[np.repeat(sizes >= 2, sizes)]
    sizes = sizes[sizes >= 2]
    if len(sizes) < 2:
        raise LookalikeError(
            "batch: balanced batches need at least two training classes with two images each; "
            f"found {len(sizes)}"
        )
    in_batch = min(classes, len(sizes))
    groups = groups_per_class(sizes, in_batch, images_per_class, rng)
    composition = mixed(spread(groups, in_batch, rng), rng)
    images = deal(members, sizes, groups, images_per_class, rng)
    # The groups of a class lie one after the other: they come in the order of its batches.
    batches = np.empty_like(images)
    batches[np.argsort(composition, axis=None, kind="stable")] = images
    return list(batches.reshape(len(composition), in_batch * images_per_class))


def groups_per_class(
    sizes: NDArray[np.int64], in_batch: int, images_per_class: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """How often each class is in a batch of an epoch.

    As often as its images need (size / K, rounded up). The number of batches is the smallest that
    has places enough, and holds the largest class at most once a batch; places that are left go to
    the classes that come least often. Equally large classes come equally often or once more, the
    latter only where no image comes more than twice as often then as one of another such class:
    where that would be broken, there are more batches, up to three times as many.

    Args:
        sizes: int64 [c], images of each class, at least 2.
        in_batch: P, classes in a batch, at most c.
        images_per_class: K.
        rng: chooses the classes that come once more.

    Returns:
        int64 [c]; the sum is a multiple of P, and none is more than that multiple.
    """
    kinds, kind_of, counts = np.unique(sizes, return_inverse=True, return_counts=True)
    needed = -(-kinds // images_per_class)

    def places(level: int) -> int:
        """Places of an epoch in which each class comes at least `level` times."""
        return int(counts @ np.maximum(needed, level))

    n_batches = max(int(needed[-1]), -(-places(1) // in_batch))
    while True:
        # The level to which the least drawn classes can be raised.
        level = bisect_right(range(1, n_batches + 1), n_batches * in_batch, key=places)
        left = n_batches * in_batch - places(level)
        fewest = level * images_per_class // kinds
        most = -(-(level + 1) * images_per_class // kinds)
        raised = needed <= level
        free = raised & ((most <= 2 * fewest) | (counts == 1))
        # A kind of classes that is not free is raised as a whole, or not at all.
        more = np.zeros_like(counts)
        for kind in np.flatnonzero(raised & ~free)[np.argsort(-counts[raised & ~free])]:
            if counts[free].sum() < left - more.sum() and counts[kind] <= left - more.sum():
                more[kind] = counts[kind]
        rest = left - int(more.sum())
        if rest <= counts[free].sum():
            break
        n_batches = max(n_batches + 1, -(-places(level + 1) // in_batch))
    groups = np.maximum(needed, level)[kind_of]
    groups += more[kind_of] > 0
    groups[rng.choice(np.flatnonzero(free[kind_of]), rest, replace=False)] += 1
    return groups


def spread(groups: NDArray[np.int64], in_batch: int, rng: np.random.Generator) -> NDArray[np.int32]:
    """Classes dealt into batches, no class twice in one.

    Args:
        groups: int64 [c], how often each class comes; see `groups_per_class`.
        in_batch: P.
        rng: the order of the classes and of the batches.

    Returns:
        int32 [batches, P], the classes in each batch.
    """
    order = rng.permutation(len(groups)).astype(np.int32)
    n_batches = int(groups.sum()) // in_batch
    # Place i is in batch i modulo their number: a class comes at most as often as there are
    # batches, one after the other, so never twice in one.
    return (
        np.repeat(order, groups[order]).reshape(in_batch, n_batches).T[rng.permutation(n_batches)]
    )


# Every round halves what is left of the order before it.
ROUNDS = 8


def mixed(composition: NDArray[np.int32], rng: np.random.Generator) -> NDArray[np.int32]:
    """The same classes as often, in random company: no class twice in a batch.

    In each round batches are paired, and the classes that only one of a pair has are divided among
    the two anew (the curveball algorithm: Strona et al., 2014).

    Args:
        composition: int32 [batches, P], each row of different classes.
        rng: the source of chance.
    """
    composition = composition.copy()
    n_batches, in_batch = composition.shape
    half = n_batches // 2
    for _ in range(ROUNDS):
        order = rng.permutation(n_batches)
        pairs = order[: 2 * half].reshape(half, 2)
        both = np.sort(composition[pairs].reshape(half, 2 * in_batch), axis=1)
        again = both[:, 1:] == both[:, :-1]
        place = rng.random(both.shape, dtype=np.float32)
        # What both have goes to either side; the rest where chance puts it.
        place[:, :-1][again] = -1
        place[:, 1:][again] = 2
        both = np.take_along_axis(both, np.argsort(place, axis=1, kind="stable"), axis=1)
        composition[pairs] = both.reshape(half, 2, in_batch)
    return composition


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


class UnevenDraws(NamedTuple):
    """How often images of small and of large classes come in an epoch of balanced batches.

    Attributes:
        batches: of the epoch.
        large: images of the class whose images come least often.
        large_draws: how often each of them comes, on average.
        small: images of the class whose images come most often.
        small_draws: how often each of them comes, on average.
    """

    batches: int
    large: int
    large_draws: float
    small: int
    small_draws: float


def uneven_draws(
    sizes: NDArray[np.int64], classes: int, images_per_class: int
) -> UnevenDraws | None:
    """What an epoch draws of classes that differ in size.

    Args:
        sizes: int64 [c], images of each class.
        classes: P, of a batch.
        images_per_class: K.

    Returns:
        None where no image comes more than twice as often as another, on average, or where there
        are no two classes with two images.
    """
    sizes = sizes[sizes >= 2]
    if len(sizes) < 2:
        return None
    in_batch = min(classes, len(sizes))
    groups = groups_per_class(sizes, in_batch, images_per_class, generator(0))
    draws = groups * images_per_class / sizes
    large, small = int(draws.argmin()), int(draws.argmax())
    if draws[small] <= 2 * draws[large]:
        return None
    return UnevenDraws(
        int(groups.sum()) // in_batch,
        int(sizes[large]),
        float(draws[large]),
        int(sizes[small]),
        float(draws[small]),
    )


def epoch_batches(
    labels: NDArray[np.int64], settings: Mapping[str, Any], seed: int, epoch: int
) -> list[Indices]:
    """The batches of one epoch by a recipe's `batch` settings: a function of seed and epoch."""
    rng = generator(seed, epoch)
    if settings["name"] == "balanced":
        return balanced_batches(labels, settings["classes"], settings["images_per_class"], rng)
    return shuffled_batches(len(labels), settings["size"], rng)


def hold_out_classes(labels: NDArray[np.int64], share: float, seed: int) -> tuple[Indices, Indices]:
    """Split images into those to train on and those of held-out classes, to validate on.

    Args:
        labels: int64 [n].
        share: share of the classes with at least two images to hold out.
        seed: of the choice.

    Returns:
        (training, validation) indices, each sorted; the second is empty where `share` is 0 or
        where fewer than two classes would be held out, or fewer than two left to train on.
    """
    everything = np.arange(len(labels))
    values, counts = np.unique(labels, return_counts=True)
    with_pair = values[counts >= 2]
    n_held = round(len(with_pair) * share)
    if n_held < 2 or len(with_pair) - n_held < 2:
        return everything, everything[:0]
    held = generator(seed).permutation(with_pair)[:n_held]
    is_held = np.isin(labels, held)
    return everything[~is_held], everything[is_held]
