"""How a metric goes with each setting that differs between recipes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lookalike.report.recipe_points import RecipePoint
from lookalike.retrieval.arrays import Int64s, Values

FEWEST_RECIPES = 4
"""That must have a setting for it to be looked at."""

_MOST_GROUPS, _MOST_VALUES = 5, 8
_MOST_KINDS = 12
_LOG_FROM = 20  # times the least value that the greatest is


@dataclass(frozen=True)
class Dependence:
    """A metric by one setting.

    Attributes:
        name: of the setting, dotted.
        alike: other settings that divide the recipes in the same way: which of them matters
            cannot be told.
        x: where each recipe stands, float64 [n]: its value, or the number of its kind.
        values: the metric of each, float64 [n].
        kinds: what the numbers stand for, in words; None where the setting is a number itself.
        groups: recipes of one value, or of neighbouring ones: their mean x, their mean metric, and
            how many they are.
        explained: share of the variance between the recipes that the groups explain, adjusted for
            their number; from 0 to 1.
    """

    name: str
    alike: tuple[str, ...]
    x: Values
    values: Values
    kinds: tuple[str, ...] | None
    groups: tuple[tuple[float, float, int], ...]
    explained: float

    @property
    def by_magnitude(self) -> bool:
        """Whether the numbers are of different magnitudes, so that powers of ten lay them out."""
        return (
            self.kinds is None
            and bool(self.x.min() > 0)
            and bool(self.x.max() >= _LOG_FROM * self.x.min())
        )


def dependences(points: Sequence[RecipePoint], at_most: int) -> list[Dependence]:
    """The settings that differ between recipes, those that explain most first.

    A setting counts where `FEWEST_RECIPES` have it. One of words with a word for each recipe, a
    file say, tells nothing, and is left out.
    """
    found: dict[tuple[Any, ...], Dependence] = {}
    for name in dict.fromkeys(name for point in points for name in point.settings):
        having = [place for place, point in enumerate(points) if name in point.settings]
        if len(having) < FEWEST_RECIPES:
            continue
        settings = [points[place].settings[name] for place in having]
        values = np.array([points[place].value for place in having])
        one = _dependence(name, settings, values)
        if one is None:
            continue
        dependence, groups = one
        division = (tuple(having), tuple(_in_order_of_coming(groups)))
        if division in found:
            first = found[division]
            found[division] = replace(first, alike=(*first.alike, name))
        else:
            found[division] = dependence
    # Stable: of equals the first in the settings comes first.
    return sorted(found.values(), key=lambda one: -one.explained)[:at_most]


def _dependence(
    name: str, settings: Sequence[Any], values: Values
) -> tuple[Dependence, Int64s] | None:
    """A dependence, and the group of each recipe; None where the setting tells nothing."""
    if all(isinstance(each, int | float) and not isinstance(each, bool) for each in settings):
        x, kinds = np.array(settings, np.float64), None
        groups = _groups_of_numbers(x)
    else:
        words = [each if isinstance(each, str) else json.dumps(each) for each in settings]
        kinds = tuple(dict.fromkeys(words))
        if len(kinds) > min(_MOST_KINDS, len(words) - 1):
            return None
        groups = np.array([kinds.index(word) for word in words], np.int64)
        x = groups.astype(np.float64)
    n_groups = len(np.unique(groups))
    if n_groups < 2:
        return None
    means = [
        (float(x[groups == group].mean()), float(values[groups == group].mean()), int(count))
        for group, count in zip(*np.unique(groups, return_counts=True), strict=True)
    ]
    explained = _explained(groups, values, n_groups)
    return Dependence(name, (), x, values, kinds, tuple(means), explained), groups


def _groups_of_numbers(x: Values) -> Int64s:
    """Equal numbers where each comes often; else neighbours, as many in each group as can be."""
    distinct, of_each = np.unique(x, return_inverse=True)
    n_groups = min(_MOST_GROUPS, len(x) // 2)
    if len(distinct) <= max(n_groups, min(_MOST_VALUES, len(x) // 4)):
        return of_each.astype(np.int64)
    before = np.concatenate([[0], np.cumsum(np.bincount(of_each))[:-1]])  # smaller numbers
    return (before[of_each] * n_groups // len(x)).astype(np.int64)


def _explained(groups: Int64s, values: Values, n_groups: int) -> float:
    """One minus the ratio of the variances within groups and in all."""
    n = len(values)
    within = sum(
        float(((values[groups == group] - values[groups == group].mean()) ** 2).sum())
        for group in np.unique(groups)
    )
    total = float(((values - values.mean()) ** 2).sum())
    if total == 0 or n == n_groups:
        return 0.0
    return max(0.0, 1 - within / (n - n_groups) * (n - 1) / total)


def _in_order_of_coming(groups: Int64s) -> list[int]:
    """Groups by the order in which they come, so that equal divisions are equal lists."""
    numbers: dict[int, int] = {}
    return [numbers.setdefault(group, len(numbers)) for group in groups.tolist()]
