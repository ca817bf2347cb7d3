"""How long the epochs of a training took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

UNLIKE = 2.0
"""Beyond so many times, epochs differ by more than their work does."""


@dataclass(frozen=True)
class TrainingTime:
    """What epochs took, their steps alone.

    Attributes:
        total: seconds of all.
        epoch: median seconds of one.
        images_per_second: the median of the epochs.
        shortest, longest: seconds of an epoch.
        differ: whether one took more than `UNLIKE` times as long as another for as many images.
        first_alone: whether the first is slow and they would not differ so without it.
    """

    total: float
    epoch: float
    images_per_second: float
    shortest: float
    longest: float
    differ: bool
    first_alone: bool


def training_time(history: pd.DataFrame, settings: Mapping[str, Any]) -> TrainingTime:
    """The times of a training.

    Args:
        history: history.parquet, a row an epoch, one at the least: `images` and `seconds`.
        settings: of its recipe. Where a backbone thaws after `optimizer.thaw_epochs`, later epochs
            do more work than those before, and are compared among themselves.
    """
    seconds = history["seconds"].to_numpy(float)
    images = np.maximum(history["images"].to_numpy(float), 1)
    an_image = np.maximum(seconds, 1e-9) / images
    thaw = float(settings.get("optimizer", {}).get("thaw_epochs", 0.0))
    epochs = np.arange(len(seconds))
    # One that it thaws in is of both kinds, and of neither.
    kinds = [epochs + 1 <= thaw, epochs >= thaw]
    differ = any(_differ(an_image[kind]) for kind in kinds)
    differ_without_first = any(_differ(an_image[kind & (epochs > 0)]) for kind in kinds)
    return TrainingTime(
        total=float(seconds.sum()),
        epoch=float(np.median(seconds)),
        images_per_second=float(np.median(1 / an_image)),
        shortest=float(seconds.min()),
        longest=float(seconds.max()),
        differ=differ,
        first_alone=differ and not differ_without_first and bool(an_image[0] > an_image[1:].min()),
    )


def that_differ(times: Mapping[str, TrainingTime]) -> dict[bool, list[str]]:
    """The runs whose epochs differ, by whether the first alone is to blame."""
    found: dict[bool, list[str]] = {}
    for name, took in times.items():
        if took.differ:
            found.setdefault(took.first_alone, []).append(name)
    return found


def whose_seeds_differ(recipes: Mapping[str, Sequence[TrainingTime]]) -> list[str]:
    """The recipes of which one seed took more than `UNLIKE` times as long as another for an image.

    Args:
        recipes: the times of each, one a seed.
    """
    return [
        recipe
        for recipe, times in recipes.items()
        if _differ(np.array([1 / took.images_per_second for took in times]))
    ]


def _differ(times: np.ndarray[Any, np.dtype[np.float64]]) -> bool:
    return len(times) > 1 and float(times.max()) > UNLIKE * float(times.min())
