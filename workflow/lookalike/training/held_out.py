"""Which training images are held out, and what the network is scored on while it trains.

They follow from the data and from `validation.seed`: so all recipes and seeds of one data set are
scored on the same images.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lookalike.training.class_subsets import class_subset, is_part
from lookalike.training.decisive import held_out as what_is_held_out
from lookalike.training.decks import Indices
from lookalike.training.folds import class_folds
from lookalike.training.recipe import ValidationSettings
from lookalike.training.sampling import generator

if TYPE_CHECKING:
    from lookalike.training.feeds import TrainingSet
    from lookalike.training.recipe import Recipe

# Images that a validation embeds at most: 10,000 in a gallery of as many are ranked in seconds.
MOST = 10_000
# Where there are so few, all are scored, however few are trained on.
FEW = 1_000
# Each class's images beside a held-out one to find: as many as mAP@10 looks at.
COMPANIONS = 10
# Classes over which a bounded number of images is spread, before whole classes are left out.
SPREAD = 20


@dataclass(frozen=True)
class HeldOut:
    """What is trained on, and what is scored meanwhile.

    Attributes:
        of: `classes` or `images`.
        training: int64 [t], the images to train on, sorted.
        held_out: int64 [h], all others, sorted, but for those that only a part of the classes
            leaves out: these are neither trained on nor scored.
        queries: int64 [q], the held-out images that are scored: one of each content, none that is
            also trained on under another name; a part of them where they are very many.
        companions: int64 [c], images that lie in the gallery beside the queries: of those trained
            on, or that would be without the part.
    """

    of: str
    training: Indices
    held_out: Indices
    queries: Indices
    companions: Indices

    @property
    def gallery(self) -> Indices:
        """int64 [q + c], what each query is looked for in, itself left out."""
        return np.concatenate([self.queries, self.companions])

    def n_classes(self, labels: NDArray[np.int64]) -> tuple[int, int]:
        """How many classes are trained on, and of how many that are not held out.

        Args:
            labels: int64 [n], the classes of all images.
        """
        there = np.delete(labels, self.held_out)
        return len(np.unique(labels[self.training])), len(np.unique(there))


class Fold(NamedTuple):
    """A fold of the training classes that is held out, in place of classes by chance.

    Attributes:
        number: which, from 0.
        of: how many there are.
    """

    number: int
    of: int


def fold_of(validation: ValidationSettings) -> Fold | None:
    """The fold that a recipe holds out, if it does."""
    if validation.fold is None or validation.folds is None:
        return None
    return Fold(validation.fold, validation.folds)


def divided(data: TrainingSet, recipe: Recipe) -> tuple[HeldOut, str]:
    """What a recipe trains on, and scores meanwhile.

    Args:
        data: the training images.
        recipe: how they are trained on.

    Returns:
        The division; and why classes or images are held out, in words.

    Raises:
        LookalikeError: see `hold_out`.
    """
    validation = recipe.validation
    of, why = what_is_held_out(asdict(validation), data.facts)
    split = hold_out(
        data.labels,
        data.contents,
        of,
        validation.classes,
        validation.seed,
        fold_of(validation),
        data.classes,
        recipe.train_classes,
    )
    return split, why


def hold_out(
    labels: NDArray[np.int64],
    contents: NDArray[np.int64] | None,
    of: str,
    share: float,
    seed: int,
    fold: Fold | None = None,
    names: Sequence[str] | None = None,
    part: float = 1,
) -> HeldOut:
    """Divide images into those to train on and those to score meanwhile.

    Held-out classes are scored leave-one-out: each image is the query, all others are the gallery.
    Of held-out images of the trained classes that would be too few to find, so up to 10 images of
    each class that are trained on lie in the gallery beside them.

    A validation embeds no more images than there are to train on (or 1,000, where these are
    fewer), and at most 10,000. Where there would be more, images of large classes are left out by
    chance until 20 classes have room, then whole classes. The images left out are not trained on
    either: what is trained on does not depend on what is scored.

    Args:
        labels: int64 [n].
        contents: int64 [n], equal where images are equal byte by byte; None: all differ.
        of: `classes` or `images`.
        share: of the classes, or of each class's images.
        seed: of the choice.
        fold: the classes that are held out, instead of a share of them.
        names: of the classes, by their number, which a fold and a part go by; None: their numbers.
        part: of the classes that are not held out, how much is trained on; see
            `lookalike.training.class_subsets`. What is held out and scored does not depend on it.

    Raises:
        LookalikeError: the part is too small to train on.
    """
    split = _held_out_of_all(labels, contents, of, share, seed, fold, names)
    if not is_part(part):
        return split
    trained = split.training[_in_part(labels[split.training], part, seed, names)]
    return replace(split, training=trained)


def _in_part(
    labels: NDArray[np.int64], part: float, seed: int, names: Sequence[str] | None
) -> NDArray[np.bool_]:
    """Which images are of the classes that are trained on: bool [n]."""
    values, of_value, counts = np.unique(labels, return_inverse=True, return_counts=True)
    called = [str(value) if names is None else names[value] for value in values.tolist()]
    kinds: tuple[list[str], list[str]] = ([], [])
    for name, count in zip(called, counts.tolist(), strict=True):
        kinds[count == 1].append(name)
    taken = class_subset(*kinds, part, seed)
    return np.array([name in taken for name in called])[of_value]


def _held_out_of_all(
    labels: NDArray[np.int64],
    contents: NDArray[np.int64] | None,
    of: str,
    share: float,
    seed: int,
    fold: Fold | None,
    names: Sequence[str] | None,
) -> HeldOut:
    """As `hold_out`, where all classes that are not held out are trained on."""
    copies = np.arange(len(labels)) if contents is None else contents
    if fold is not None:
        training, held_out = hold_out_fold(labels, fold, seed, names)
    elif of == "classes":
        training, held_out = hold_out_classes(labels, share, seed)
    else:
        training, held_out = hold_out_images(labels, copies, share, seed)
    limit = min(max(len(training), FEW), MOST)
    queries = held_out[np.unique(copies[held_out], return_index=True)[1]]
    queries = np.sort(queries[~np.isin(copies[queries], copies[training])])
    if of == "classes":
        queries = _some(queries, labels, limit, seed)
        return HeldOut(of, training, held_out, queries, queries[:0])
    queries = _some(queries, labels, limit // 2, seed)
    companions = _companions(training, queries, labels, copies, limit - len(queries), seed)
    return HeldOut(of, training, held_out, queries, companions)


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


def hold_out_fold(
    labels: NDArray[np.int64], fold: Fold, seed: int, names: Sequence[str] | None = None
) -> tuple[Indices, Indices]:
    """Split images into those to train on and those of a fold of the classes, to validate on.

    Args:
        labels: int64 [n].
        fold: of the classes with at least two images; the others are trained on.
        seed: of the folds, see `lookalike.training.folds.class_folds`.
        names: of the classes, by their number; None: their numbers.

    Returns:
        (training, validation) indices, each sorted; the second is empty where the fold has fewer
        than two classes, or all others together have.
    """
    everything = np.arange(len(labels))
    values, counts = np.unique(labels, return_counts=True)
    with_pair = values[counts >= 2]
    called = [str(value) if names is None else names[value] for value in with_pair]
    held = with_pair[class_folds(called, fold.of, seed) == fold.number]
    if len(held) < 2 or len(with_pair) - len(held) < 2:
        return everything, everything[:0]
    is_held = np.isin(labels, held)
    return everything[~is_held], everything[is_held]


def hold_out_images(
    labels: NDArray[np.int64], contents: NDArray[np.int64], share: float, seed: int
) -> tuple[Indices, Indices]:
    """Split the images of each class into those to train on and those to validate on.

    Equal contents stay together, and count as one. A content that two classes have is trained on.

    Args:
        labels: int64 [n].
        contents: int64 [n], equal where images are equal byte by byte.
        share: of each class's contents to hold out: at least one of them, leaving at least two. A
            class with fewer than three is left whole.
        seed: of the choice.

    Returns:
        (training, validation) indices, each sorted; the second is empty where `share` is 0.
    """
    everything = np.arange(len(labels))
    of_pair, content_of_pair = _pairs(labels, contents)
    _, content, classes = np.unique(content_of_pair, return_inverse=True, return_counts=True)
    different = np.bincount(of_pair)
    wanted = np.clip(np.rint(different * share).astype(np.int64), 1, np.maximum(different - 2, 0))
    if not share:
        wanted[:] = 0
    # By class; what may be held out first, in random order.
    chance = generator(seed).permutation(len(of_pair))
    is_shared = classes[content] > 1
    order = np.lexsort((chance, is_shared, of_pair))
    nth = np.empty(len(order), np.int64)
    nth[order] = np.arange(len(order)) - np.repeat(np.cumsum(different) - different, different)
    held = content_of_pair[(nth < wanted[of_pair]) & ~is_shared]
    is_held = np.isin(contents, held)
    return everything[~is_held], everything[is_held]


def _pairs(
    labels: NDArray[np.int64], contents: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """What there is of classes and contents: int64 [p] each, the class as a number from 0."""
    of = np.unique(labels, return_inverse=True)[1]
    values, codes = np.unique(contents, return_inverse=True)
    # As one number, sorted: many times as fast as rows of two, or as numpy's table of hashes.
    pairs = np.sort(of * len(values) + codes)
    pairs = pairs[np.diff(pairs, prepend=-1) > 0]
    return pairs // len(values), values[pairs % len(values)]


def _some(rows: Indices, labels: NDArray[np.int64], limit: int, seed: int) -> Indices:
    """At most `limit` of some images, sorted: those of whole classes, but for very large ones."""
    if len(rows) <= limit:
        return rows
    rng = generator(seed, 1)
    sizes = np.unique(labels[rows], return_counts=True)[1]
    most = limit // SPREAD
    if len(sizes) <= SPREAD:
        # As many of each as all have room for.
        room = range(1, limit + 1)
        most = bisect_right(room, limit, key=lambda most: int(np.minimum(sizes, most).sum()))
    rows = _of_each(rows, labels, max(2, most), rng)
    values, counts = np.unique(labels[rows], return_counts=True)
    order = rng.permutation(len(values))
    whole = values[order[np.cumsum(counts[order]) <= limit]]
    return rows[np.isin(labels[rows], whole)]


def _of_each(
    rows: Indices, labels: NDArray[np.int64], most: int, rng: np.random.Generator
) -> Indices:
    """At most so many images of each class, by chance; sorted."""
    mixed = rng.permutation(rows)
    mixed = mixed[np.argsort(labels[mixed], kind="stable")]
    counts = np.unique(labels[mixed], return_counts=True)[1]
    nth = np.arange(len(mixed)) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.sort(mixed[nth < most])


def _companions(
    training: Indices,
    queries: Indices,
    labels: NDArray[np.int64],
    contents: NDArray[np.int64],
    room: int,
    seed: int,
) -> Indices:
    """Images trained on, one of a content, to lie in the gallery: as many of each scored class."""
    asked = np.unique(labels[queries])
    if not len(asked):
        return training[:0]
    rows = training[np.unique(contents[training], return_index=True)[1]]
    # A content under two labels would be right and wrong at once.
    names, times = np.unique(_pairs(labels[training], contents[training])[1], return_counts=True)
    rows = rows[np.isin(contents[rows], names[times == 1]) & np.isin(labels[rows], asked)]
    most = max(1, min(COMPANIONS, room // len(asked)))
    return _of_each(rows, labels, most, generator(seed, 2))
