"""Recipes as points: how good each is by its estimate, what it costs, and which of them lead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from lookalike.report.differences import recipes_of
from lookalike.report.results import ComparisonRows, Results, flat
from lookalike.report.runs import MAIN
from lookalike.retrieval.statistics import Interval

# Of the images, that must have been embedded anew for a speed: else it is the start that was timed.
_EMBEDDED_SHARE = 0.5


@dataclass(frozen=True)
class RecipePoint:
    """A recipe by one metric, of which more is better, and by what it costs.

    Attributes:
        recipe: its name.
        place: of its first run, counted from 0: the colour that it has elsewhere.
        n_seeds: how many runs it has.
        value: the metric, the mean over its seeds.
        interval: 95 %, or None.
        settings: by their dotted names.
        seconds: of training, the mean over its seeds; 0 where nothing is trained, None where it is
            not known.
        parameters: of the network, or None.
        images_per_second: of embedding, or None.
    """

    recipe: str
    place: int
    n_seeds: int
    value: float
    interval: Interval | None
    settings: Mapping[str, Any]
    seconds: float | None
    parameters: int | None
    images_per_second: float | None


def recipe_points(
    runs: Sequence[Results],
    rows: ComparisonRows,
    key: str,
    intervals: Mapping[str, Interval | None],
) -> list[RecipePoint]:
    """Every recipe, the highest first.

    Args:
        runs: all of them.
        rows: of the comparison.
        key: the metric.
        intervals: of means over several seeds, by the recipe's name. That of a recipe with one seed
            is its network's.
    """
    points = []
    for recipe, group in recipes_of(runs).items():
        first, of_first = group[0], rows[group[0].name, MAIN.name]
        low, high = of_first[f"{key}_low"], of_first[f"{key}_high"]
        own = None if low is None or high is None else (low, high)
        points.append(
            RecipePoint(
                recipe,
                first.place,
                len(group),
                fmean(rows[run.name, MAIN.name][key] for run in group),
                own if len(group) == 1 else intervals.get(recipe),
                flat(first.settings),
                _seconds(group),
                first.model.get("parameters"),
                _images_per_second(group),
            )
        )
    return sorted(points, key=lambda point: -point.value)


def highest_runs(
    runs: Sequence[Results], rows: ComparisonRows, key: str, count: int, first: Results
) -> list[Results]:
    """So many runs with the highest metric, `first` among them, in their order in `runs`."""
    ranked = sorted(runs, key=lambda run: (run is not first, -rows[run.name, MAIN.name][key]))
    leading = {run.name for run in ranked[:count]}
    return [run for run in runs if run.name in leading]


def on_front(costs: Sequence[float], values: Sequence[float]) -> list[bool]:
    """Which points no other one surpasses: none is as cheap and as good, and better in one of them.

    Args:
        costs: n, of which less is better.
        values: n, of which more is better.
    """
    front = [False] * len(costs)
    best_before, best_here, here = float("-inf"), float("-inf"), None
    for place in sorted(range(len(costs)), key=lambda place: (costs[place], -values[place])):
        if costs[place] != here:
            best_before, best_here, here = max(best_before, best_here), values[place], costs[place]
        front[place] = values[place] == best_here and values[place] > best_before
    return front


def _seconds(group: Sequence[Results]) -> float | None:
    if any(run.is_given for run in group):
        return None
    return fmean(float(run.history["seconds"].sum()) if run.is_trained else 0.0 for run in group)


def _images_per_second(group: Sequence[Results]) -> float | None:
    speeds = [
        run.embedded["embedded"] / run.embedded["seconds"]
        for run in group
        if run.embedded is not None
        and run.embedded["seconds"] > 0
        and run.embedded["embedded"] >= _EMBEDDED_SHARE * run.embedded["images"]
        and run.embedded["embedded"]
    ]
    return fmean(speeds) if speeds else None
