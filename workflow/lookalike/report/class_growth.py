"""What the report shows of how metrics change with the number of training classes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lookalike.report.class_growth_chart import ClassLine, ClassPoint, by_classes
from lookalike.report.differences import recipes_of
from lookalike.report.figures import Figure, telling_keys
from lookalike.report.numbers import number, signed
from lookalike.report.results import ComparisonRows, Results, flat
from lookalike.report.runs import BASELINE, MAIN, State
from lookalike.report.svg import Measured
from lookalike.report.verdicts import (
    NOT_TOLD_APART,
    Against,
    RecipeMean,
    compare_two,
    mean_in_state,
)
from lookalike.training.class_subsets import SETTING, TRAINED_ON

CURVES_DRAWN = 6
"""Curves drawn: more cannot be told apart."""

_TWICE = (1.95, 2.05)
# A sweep's part of a point's name, which all points of a curve have in common but for the value.
_IN_NAME = re.compile(rf"-{SETTING}[\d.]+")


@dataclass(frozen=True)
class OnCurve:
    """Recipes that were trained on so many classes: none, before training.

    Attributes:
        classes: how many.
        recipe: its name; what the state before training is called.
        n_seeds: how many runs it has.
        measured: mean and interval by metric.
    """

    classes: int
    recipe: str
    n_seeds: int
    measured: Mapping[str, Measured]


@dataclass(frozen=True)
class ClassCurve:
    """Recipes that differ in nothing but the number of training classes.

    Attributes:
        name: what they are called together.
        place: among the curves, from 0: its colour.
        points: by the number of classes, the fewest first; none at all, if it was scored.
        gain: the last two compared, the larger minus the other.
        by_epochs: whether more classes also meant more steps.
    """

    name: str
    place: int
    points: Sequence[OnCurve]
    gain: Against
    by_epochs: bool


@dataclass(frozen=True)
class ClassGrowth:
    """What is shown of all curves.

    Attributes:
        figures: a chart for each metric.
        sentences: what the last step of each curve gave, by one metric.
        curves: those that are drawn.
        n_curves: how many there are.
        by_epochs: whether in any more classes also meant more steps.
        several_seeds: whether any point is a mean over several.
    """

    figures: Sequence[Figure]
    sentences: Sequence[str]
    curves: Sequence[ClassCurve]
    n_curves: int
    by_epochs: bool
    several_seeds: bool


def class_growth(
    runs: Sequence[Results],
    rows: ComparisonRows,
    means: Sequence[RecipeMean],
    key: str,
    keys: Sequence[str],
    protocol: Mapping[str, Any],
) -> ClassGrowth | None:
    """The curves over the number of training classes; None where there are none.

    Args:
        runs: all of them.
        rows: of the comparison.
        means: of each recipe.
        key: the metric to speak of, one of `keys`.
        keys: the metrics.
        protocol: see `StateResults.protocol`.
    """
    groups = groups_by_classes(runs)
    if not groups:
        return None
    of_recipe = {mean.recipe: mean for mean in means}
    curves = [
        _curve(place, group, rows, of_recipe, keys, protocol)
        for place, group in enumerate(list(groups.values())[:CURVES_DRAWN])
    ]
    return ClassGrowth(
        [_figure(place, one, curves) for place, one in enumerate(telling_keys(keys, key))],
        [gain_in_words(curve, key) for curve in curves],
        curves,
        len(groups),
        any(curve.by_epochs for curve in curves),
        any(point.n_seeds > 1 for curve in curves for point in curve.points),
    )


def groups_by_classes(runs: Sequence[Results]) -> dict[str, dict[int, list[Results]]]:
    """Recipes that differ in the number of training classes alone, by what they have in common.

    Args:
        runs: all of them; those count that were trained.

    Returns:
        For each such group the runs of a recipe by its number of classes, the fewest first; of two
        recipes with equally many, which are the same classes, the first.
    """
    alike: dict[str, list[list[Results]]] = {}
    for group in recipes_of(runs).values():
        if group[0].is_trained:
            settings = flat(group[0].settings)
            settings.pop(SETTING)
            alike.setdefault(repr(sorted(settings.items())), []).append(group)
    groups = {}
    for common, recipes in alike.items():
        # All that are not held out, which are as many for each: a part says so, all classes do not.
        known = [group[0].model.get(TRAINED_ON) for group in recipes]
        n_all = next((each["of"] for each in known if each), None)
        found: dict[int, list[Results]] = {}
        for group, of_group in zip(recipes, known, strict=True):
            n = of_group["classes"] if of_group else n_all
            if n is not None:
                found.setdefault(n, group)
        if len(found) > 1:
            groups[common] = dict(sorted(found.items()))
    return groups


def _curve(
    place: int,
    group: Mapping[int, list[Results]],
    rows: ComparisonRows,
    means: Mapping[str, RecipeMean],
    keys: Sequence[str],
    protocol: Mapping[str, Any],
) -> ClassCurve:
    *_, (_, before), (_, largest) = group.items()
    first = largest[0]
    points = []
    # The network before its first step is the same whatever it is then trained on.
    if all(BASELINE.name in run.states for run in largest):
        mean = mean_in_state(first.recipe, largest, BASELINE, keys, protocol)
        measured = _measured(mean, rows, largest, BASELINE)
        points.append(OnCurve(0, first.called(BASELINE), len(largest), measured))
    points += [
        OnCurve(
            classes,
            runs[0].recipe,
            len(runs),
            _measured(means[runs[0].recipe], rows, runs, MAIN, keys),
        )
        for classes, runs in group.items()
    ]
    return ClassCurve(
        _IN_NAME.sub("", first.recipe),
        place,
        points,
        compare_two({first.recipe: largest, before[0].recipe: before}, keys, protocol),
        first.settings.get("epochs") != "auto",
    )


def _measured(
    mean: RecipeMean,
    rows: ComparisonRows,
    runs: Sequence[Results],
    state: State,
    keys: Sequence[str] = (),
) -> dict[str, Measured]:
    """Means with intervals of other seeds and queries; of one seed, that of its network."""
    row = rows[runs[0].name, state.name]
    found = {}
    for key in keys or mean.mean:
        low, high = mean.interval[key] or (None, None)
        if len(runs) == 1:
            low, high = row[f"{key}_low"], row[f"{key}_high"]
        found[key] = Measured(mean.mean[key], low, high)
    return found


def gain_in_words(curve: ClassCurve, key: str) -> str:
    """What the last step of a curve gave, by a metric: from the second largest number on."""
    *_, before, largest = curve.points
    judged = curve.gain.judged[key]
    difference = judged.difference
    times = largest.classes / before.classes
    more = "twice" if _TWICE[0] <= times <= _TWICE[1] else f"{times:.3g} times"
    networks = "" if curve.gain.of_recipes else ", between these trained networks,"
    told = (
        f"{curve.name}: {more} as many classes, {largest.classes:,} in place of "
        f"{before.classes:,}, changed {key}{networks} by {signed(key, difference.value)}"
    )
    if difference.low is None or difference.high is None:
        return f"{told}; without an interval, that may be chance."
    told += f" (95 % interval {signed(key, difference.low)} to {signed(key, difference.high)})"
    if judged.verdict in (None, NOT_TOLD_APART):
        return f"{told}: these data do not tell whether more classes helped."
    return f"{told}: {judged.verdict} with more classes."


def _figure(place: int, key: str, curves: Sequence[ClassCurve]) -> Figure:
    lines, said = [], []
    for curve in curves:
        points = [ClassPoint(point.classes, point.measured[key]) for point in curve.points]
        lines.append(ClassLine(curve.name, curve.place, points))
        words = [f"{number(key, point.value.value)} of {point.classes:,}" for point in points]
        said.append(f"{curve.name}: {', '.join(words)}.")
    label = f"{key} by the number of training classes. {' '.join(said)}"
    svg = by_classes(f"classes{place}", label, lines)
    return Figure(
        key.replace("_", " "), "Means over seeds with 95 % intervals; 0 is before training.", svg
    )
