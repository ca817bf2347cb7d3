"""Batches of different classes with as many images each."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lookalike.data.class_draws import groups_per_class
from lookalike.errors import LookalikeError
from lookalike.training.decks import Indices, deal


def balanced_batches(
    labels: NDArray[np.int64], rng: np.random.Generator, *, classes: int, images_per_class: int
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
        rng: the source of chance.
        classes: P, classes in a batch; all of them where there are fewer.
        images_per_class: K.

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
