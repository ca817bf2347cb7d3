"""What is said of a training before it begins."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from lookalike.data.class_draws import UnevenDraws, uneven_draws
from lookalike.records import Value
from lookalike.training.recipe import Recipe

log = logging.getLogger(__name__)


def log_plan(
    chosen: NDArray[np.int64],
    n_held_out: int,
    labels: NDArray[np.int64],
    recipe: Recipe,
) -> None:
    """Say what will be trained on what.

    Args:
        chosen: int64 [n], the classes of the images to train on.
        n_held_out: images to validate on.
        labels: int64 [n + n_held_out], the classes of all.
        recipe: how it will be done.
    """
    balanced, sizes = recipe.batch.name == "balanced", np.unique(chosen, return_counts=True)[1]
    unused = int((sizes == 1).sum()) if balanced else 0
    log.info(
        "training on %d images%s, %d epochs",
        len(chosen) - unused,
        f", {n_held_out} images of held-out classes to validate on" if n_held_out else "",
        recipe.epochs,
    )
    if unused:
        log.info(
            "not used in balanced batches, being the only one of its class: %d of %d images",
            unused,
            len(chosen),
        )
    if balanced and (uneven := _uneven_draws(sizes, recipe.batch.values)):
        log.info(
            "classes differ in size: in an epoch of %d batches, each image of a class of %d is "
            "drawn %.1f times, each of a class of %d %.1f times",
            *uneven,
        )
    if recipe.validation.classes and not n_held_out:
        log.info("no validation: %d classes are too few to hold some out", len(np.unique(labels)))


def _uneven_draws(sizes: NDArray[np.int64], batch: Mapping[str, Value]) -> UnevenDraws | None:
    return uneven_draws(sizes, int(batch["classes"]), int(batch["images_per_class"]))
