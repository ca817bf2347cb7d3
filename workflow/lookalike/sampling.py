"""Which images make a batch, decided by seed and epoch alone, so that a run can be resumed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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
    """Batches of `classes` classes with `images_per_class` images each.

    Within an epoch every image of a class with at least two images is used at least once: the
    images of a class are dealt in random order into groups of `images_per_class` (a last, smaller
    group is filled up with other images of the class, or repeats them where there are not enough),
    then groups are dealt into batches so that no class is twice in one batch.

    Args:
        labels: int64 [n], the class of each image.
        classes: P, classes in a batch; all of them where there are fewer.
        images_per_class: K.
        rng: the source of chance.

    Returns:
        Arrays of at most P*K indices into `labels`; every batch holds at least two classes.
    """
    groups_of: dict[int, list[Indices]] = {}
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        if len(members) < 2:
            continue
        members = rng.permutation(members)
        short = -len(members) % images_per_class
        # Fill up from the front: those images are in other groups unless the class is small.
        members = np.resize(members, len(members) + short)
        groups_of[int(label)] = list(members.reshape(-1, images_per_class))
    if len(groups_of) < 2:
        raise LookalikeError(
            "batch: balanced batches need at least two training classes with two images each; "
            f"found {len(groups_of)}"
        )
    batches: list[Indices] = []
    queues = {label: list(groups) for label, groups in groups_of.items()}
    while queues:
        # The classes with most groups left go first, so that they are not left over together.
        order = rng.permutation(np.fromiter(queues, dtype=np.int64))
        left = np.array([len(queues[label]) for label in order])
        chosen = order[np.argsort(-left, kind="stable")][:classes]
        groups = [queues[label].pop() for label in chosen]
        queues = {label: groups_left for label, groups_left in queues.items() if groups_left}
        if len(groups) == 1:
            # One class alone makes no negative pair: some group of another class joins it.
            other = rng.choice([label for label in groups_of if label != chosen[0]])
            groups.append(groups_of[other][0])
        batches.append(np.concatenate(groups))
    return [batches[position] for position in rng.permutation(len(batches))]


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
