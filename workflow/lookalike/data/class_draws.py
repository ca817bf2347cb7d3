"""How often an epoch of balanced batches draws each class: follows from the sizes of the classes.

The data report tells it before any training, and training draws by it.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


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
    groups = groups_per_class(sizes, in_batch, images_per_class, np.random.default_rng((0,)))
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
