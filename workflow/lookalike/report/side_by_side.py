"""What the page shows of many recipes at once: estimates, settings, and costs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from lookalike.report.charts_of_many import (
    NAMED_ROWS,
    CostPoints,
    costs_chart,
    dependence_chart,
    estimates_chart,
)
from lookalike.report.dependence import Dependence, dependences
from lookalike.report.figures import Figure
from lookalike.report.numbers import number
from lookalike.report.recipe_points import RecipePoint, on_front

FEWEST = 3
"""Recipes below which the other sections show all that can be seen."""

_SETTINGS = 9
_NAMED_ON_FRONT = 6
_LISTED = 30


@dataclass(frozen=True)
class OnFront:
    """A recipe that no other surpasses, by the costs that are named."""

    point: RecipePoint
    by: tuple[str, ...]


@dataclass(frozen=True)
class SideBySide:
    """What is shown of all recipes.

    Attributes:
        estimates: every recipe with its interval; None where another chart shows just that.
        settings: the metric by the settings that differ, those that explain most first.
        costs: the metric by what recipes cost.
        front: the recipes on a front, the best first; at most `_LISTED`.
        n_front: how many there are.
        n_recipes: of all.
    """

    estimates: Figure | None
    settings: list[Figure]
    costs: list[Figure]
    front: list[OnFront]
    n_front: int
    n_recipes: int


@dataclass(frozen=True)
class _Kind:
    """A kind of cost: what it is called, whether less of it is better, and of which recipe."""

    called: str
    less: bool
    of: Callable[[RecipePoint], float | None]


_KINDS = (
    _Kind("training, seconds", True, lambda point: point.seconds),
    _Kind("parameters of the network", True, lambda point: point.parameters),
    _Kind("images embedded a second", False, lambda point: point.images_per_second),
)


def side_by_side(
    points: Sequence[RecipePoint], key: str, *, runs_are_drawn: bool = False
) -> SideBySide | None:
    """The figures of all recipes; None of fewer than `FEWEST`.

    Args:
        points: as from `recipe_points`, the highest first.
        key: their metric.
        runs_are_drawn: whether another chart has every run: that shows recipes of one run each.
    """
    if len(points) < FEWEST:
        return None
    costs = [(kind, found) for kind in _KINDS if (found := _costs(points, kind)) is not None]
    by: dict[str, list[str]] = {}
    for kind, found in costs:
        for name, surpassed_by_none in zip(found.names, found.front, strict=True):
            if surpassed_by_none:
                by.setdefault(name, []).append(kind.called)
    front = [OnFront(point, tuple(by[point.recipe])) for point in points if point.recipe in by]
    return SideBySide(
        None if runs_are_drawn and of_one_run_each(points) else _estimates(points, key),
        [
            _by_setting(found, key, place, len(points))
            for place, found in enumerate(dependences(points, _SETTINGS))
        ],
        [_by_cost(kind, found, key, place) for place, (kind, found) in enumerate(costs)],
        front[:_LISTED],
        len(front),
        len(points),
    )


def of_one_run_each(points: Sequence[RecipePoint]) -> bool:
    """Whether recipes are but runs: none has several seeds."""
    return all(point.n_seeds == 1 for point in points)


def _estimates(points: Sequence[RecipePoint], key: str) -> Figure:
    told = ", ".join(f"{point.recipe} {number(key, point.value)}" for point in points[:5])
    last = points[-1]
    label = (
        f"{key} of {len(points)} recipes, the highest first: {told}"
        + (", ..." if len(points) > 6 else "")
        + (f", {last.recipe} {number(key, last.value)}." if len(points) > 5 else ".")
    )
    lacking = [point.recipe for point in points if point.interval is None]
    sentence = (
        "A point a recipe, the mean over its seeds; lines span 95 % intervals, each by itself. "
        "The order is by these very queries: it describes them, and chooses nothing."
    )
    if lacking and len(lacking) < len(points):
        sentence += f" {len(lacking):,} have no interval."
    if len(points) > NAMED_ROWS:
        sentence += " comparison.csv names each."
    return Figure(
        f"{key} of every recipe", sentence, estimates_chart("recipes", label, points, key)
    )


def _by_setting(found: Dependence, key: str, place: int, n_recipes: int) -> Figure:
    share = f"{found.explained:.0%}".replace("%", " %")
    of = "" if len(found.x) == n_recipes else f" the {len(found.x):,} recipes that have it"
    sentence = (
        f"It explains {share} of the variance between"
        f"{of or f' the {n_recipes:,} recipes'}; a line is a mean of "
        + ("neighbours." if found.kinds is None else "one kind.")
    )
    if found.alike:
        sentence += f" Not to be told from {_listed(found.alike)}, which change with it."
    words = [
        f"{found.kinds[round(at)] if found.kinds else f'{at:.3g}'} {number(key, mean)}"
        for at, mean, _ in found.groups
    ]
    label = f"Mean {key} by {found.name}: {', '.join(words)}."
    return Figure(found.name, sentence, dependence_chart(f"setting{place}", label, found, key))


def _costs(points: Sequence[RecipePoint], kind: _Kind) -> CostPoints | None:
    """The recipes whose cost is known; None where fewer than three are, or all cost the same."""
    known = [(cost, point) for point in points if (cost := kind.of(point)) is not None]
    amounts = np.array([cost for cost, _ in known], np.float64)
    if len(known) < FEWEST or amounts.min() == amounts.max():
        return None
    values = np.array([point.value for _, point in known])
    front = on_front((amounts if kind.less else -amounts).tolist(), values.tolist())
    # Of a long front both ends, and some between.
    along = sorted(np.flatnonzero(front).tolist(), key=lambda place: amounts[place])
    told = np.linspace(0, len(along) - 1, min(len(along), _NAMED_ON_FRONT)).round().astype(int)
    names = [point.recipe for _, point in known]
    named = [names[along[place]] for place in told.tolist()]
    return CostPoints(kind.called, amounts, values, front, names, named)


def _by_cost(kind: _Kind, found: CostPoints, key: str, place: int) -> Figure:
    of_names = dict(zip(found.names, zip(found.costs, found.values, strict=True), strict=True))
    told = [
        f"{name} {number(key, value)} at {cost:.4g}"
        for name, (cost, value) in ((name, of_names[name]) for name in found.named)
    ]
    label = f"{key} by {kind.called}. On the front of {sum(found.front)}: {', '.join(told)}."
    sentence = (
        "The line joins the recipes that none surpasses: "
        f"{'as little' if kind.less else 'as much'} and as good, and better in one of them "
        "(Pareto front)."
    )
    chart = costs_chart(f"cost{place}", label, found, key)
    return Figure(f"{key} by {kind.called}", sentence, chart)


def _listed(names: Sequence[str]) -> str:
    told = ", ".join(names[:4])
    return f"{told} and {len(names) - 4} more" if len(names) > 4 else told
