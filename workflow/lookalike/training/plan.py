"""What is said of a training before it begins."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from lookalike.data.class_draws import UnevenDraws, uneven_draws
from lookalike.records import Value
from lookalike.training.class_subsets import is_part
from lookalike.training.course import Course
from lookalike.training.held_out import HeldOut
from lookalike.training.recipe import Recipe

log = logging.getLogger(__name__)


def log_plan(
    labels: NDArray[np.int64], split: HeldOut, why: str, recipe: Recipe, course: Course, every: int
) -> None:
    """Say what will be trained on what.

    Args:
        labels: int64 [n], the classes of all images.
        split: which of them are trained on.
        why: classes or images are held out.
        recipe: how it will be done.
        course: its epochs.
        every: epochs between two validations.
    """
    chosen = labels[split.training]
    balanced, sizes = recipe.batch.name == "balanced", np.unique(chosen, return_counts=True)[1]
    unused = int((sizes == 1).sum()) if balanced else 0
    log.info(
        "training on %d images%s, %s",
        len(chosen) - unused,
        f", {_held_out(split, labels)} to validate on" if len(split.held_out) else "",
        f"{course.epochs} epochs"
        if course.steps is None
        else f"{course.steps} steps, in {course.epochs} parts that are called epochs here",
    )
    if is_part(recipe.train_classes):
        n, of_all = split.n_classes(labels)
        log.info(
            "of the %d classes that are not held out, %d are trained on (train_classes: %g), by "
            "validation.seed %d",
            of_all,
            n,
            recipe.train_classes,
            recipe.validation.seed,
        )
    if unused:
        log.info(
            "not used in balanced batches, being the only one of its class: %d of %d images",
            unused,
            len(chosen),
        )
    if balanced and (uneven := _uneven_draws(sizes, recipe.batch.values)):
        log.info(
            "classes differ in size: in %s of %d batches, each image of a class of %d images "
            "is drawn %.1f times, each of a class of %d images %.1f times",
            "an epoch" if course.steps is None else "a pass",
            *uneven,
        )
    if recipe.memory:
        log.info(
            "each batch is compared with the latest %d images, its own among them%s",
            recipe.memory,
            "; so many are not there, so with earlier embeddings of the same too"
            if recipe.memory > len(chosen) - unused
            else "",
        )
    _log_validation(labels, split, why, recipe, every)


def _log_validation(
    labels: NDArray[np.int64], split: HeldOut, why: str, recipe: Recipe, every: int
) -> None:
    validation = recipe.validation
    if not validation.classes:
        return
    if not len(split.held_out):
        of_classes = f"{len(np.unique(labels))} classes are too few to hold some out"
        log.info(
            "no validation: %s (%s)%s",
            of_classes if split.of == "classes" else "no class has three different images",
            why,
            "; so the last epoch is kept" if validation.keeps_best else "",
        )
        return
    log.info(
        "held out: %s, by validation.seed %d: %s",
        "whole classes" if split.of == "classes" else "images of each class",
        validation.seed,
        why,
    )
    if len(split.companions):
        log.info(
            "they are looked for among %d %s",
            len(split.companions),
            "further images of their classes"
            if is_part(recipe.train_classes)
            else "of the images trained on",
        )
    if len(split.queries) < len(split.held_out):
        log.info(
            "scored are %d of them: not equal copies, and no more than a validation may take",
            len(split.queries),
        )
    if every > validation.every:
        log.info(
            "scored every %d epochs, so that no more images are embedded than trained on", every
        )


def _held_out(split: HeldOut, labels: NDArray[np.int64]) -> str:
    n = len(split.held_out)
    if split.of == "classes":
        return f"{n} images of held-out classes"
    return f"{n} held-out images of {len(np.unique(labels[split.held_out]))} classes"


def _uneven_draws(sizes: NDArray[np.int64], batch: Mapping[str, Value]) -> UnevenDraws | None:
    return uneven_draws(sizes, int(batch["classes"]), int(batch["images_per_class"]))
