"""What the runs tell of their recipes: means over seeds, and each recipe against the baseline.

A recipe of several seeds stands by its mean over them, and intervals hold the noise of seeds and of
queries (or classes) together. Of a recipe with one seed that network stands for itself alone: one
seed tells nothing about a recipe.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lookalike.errors import LookalikeError
from lookalike.report.differences import (
    NO_DIFFERENCE,
    RESAMPLES,
    Judged,
    differences_of,
    side_name,
    verdict_of,
)
from lookalike.report.recipe_scores import Gathered, RecipeScores, on_same_queries, scored_queries
from lookalike.report.results import Results
from lookalike.report.runs import MAIN, State
from lookalike.retrieval.metrics import in_ranks, less_is_better
from lookalike.retrieval.multiple_comparisons import holm
from lookalike.retrieval.statistics import Difference, Interval, paired_differences
from lookalike.retrieval.variance_components import Estimate, crossed_difference, crossed_mean
from lookalike.text import did_you_mean

NOT_TOLD_APART = "not told apart"
LEVEL = 0.05
"""Share of wrong verdicts, of all comparisons with the baseline together."""


@dataclass(frozen=True)
class RecipeMean:
    """A recipe's means over its seeds.

    Attributes:
        recipe: its name.
        n_seeds: how many there are.
        mean: by metric.
        low: that of the lowest seed, by metric.
        high: that of the highest.
        interval: 95 %, of other seeds and other queries (or classes), by metric; None where there
            is one seed, or no interval is stated.
    """

    recipe: str
    n_seeds: int
    mean: Mapping[str, float]
    low: Mapping[str, float]
    high: Mapping[str, float]
    interval: Mapping[str, Interval | None]


@dataclass(frozen=True)
class Against:
    """A recipe, or the network that stands for one, minus the baseline.

    Attributes:
        recipe: its name.
        names: of the two that are compared, as the report calls them.
        n_seeds: of each.
        n_units: queries, or classes, that both have.
        of_recipes: whether it tells of recipes, and not of trained networks alone.
        judged: difference and verdict by metric; the verdict holds for all comparisons together.
        p_values: by metric, by themselves; none where no interval is stated.
        adjusted: by metric, Holm's, over all comparisons.
        estimates: what the p values are from, by metric.
    """

    recipe: str
    names: tuple[str, str]
    n_seeds: tuple[int, int]
    n_units: int
    of_recipes: bool
    judged: Mapping[str, Judged]
    p_values: Mapping[str, float]
    adjusted: Mapping[str, float]
    estimates: Mapping[str, Estimate]

    @property
    def name(self) -> str:
        """What is compared, as the report calls it."""
        return " − ".join(self.names)


@dataclass(frozen=True)
class Verdicts:
    """What the page says of recipes.

    Attributes:
        baseline: name of the recipe that the others are compared with.
        means: of each recipe, in the order of the runs.
        against: every other recipe minus the baseline, the highest first by the ranking metric.
    """

    baseline: str
    means: list[RecipeMean]
    against: list[Against]


def compare_recipes(
    recipes: Mapping[str, Sequence[Results]],
    baseline: str,
    key: str,
    keys: Sequence[str],
    protocol: Mapping[str, Any],
) -> Verdicts:
    """Each recipe's mean, and every other recipe minus the baseline.

    Args:
        recipes: the runs of each, one a seed.
        baseline: name of one of them; empty for the first.
        key: the metric that orders them, one of `keys`.
        keys: the metrics.
        protocol: see `StateResults.protocol`.

    Raises:
        LookalikeError: there is no such recipe, or two have no scored query in common.
    """
    baseline = baseline or next(iter(recipes))
    if baseline not in recipes:
        raise LookalikeError(
            f"report.baseline: there is no run of a recipe {baseline!r}"
            f"{did_you_mean(baseline, recipes)}"
        )
    reference = _side_of(baseline, recipes[baseline], keys)
    means, compared = [], []
    for recipe, group in recipes.items():
        # One of them at a time, beside the baseline.
        side = reference if recipe == baseline else _side_of(recipe, group, keys)
        means.append(_mean_of(recipe, side, keys, protocol))
        if recipe != baseline:
            compared.append(_against(recipe, side, reference, keys, protocol))
    sign = 1 if less_is_better(key) else -1
    return Verdicts(
        baseline,
        means,
        sorted(_corrected(compared, keys), key=lambda one: sign * one.judged[key].difference.value),
    )


def compare_two(
    recipes: Mapping[str, Sequence[Results]], keys: Sequence[str], protocol: Mapping[str, Any]
) -> Against:
    """The first of two recipes minus the second, by themselves: nothing is corrected for others.

    Args:
        recipes: the runs of both, one a seed.
        keys: the metrics.
        protocol: see `StateResults.protocol`.

    Raises:
        LookalikeError: they have no scored query in common.
    """
    (first, one), (second, other) = recipes.items()
    sides = _side_of(first, one, keys), _side_of(second, other, keys)
    return _corrected([_against(first, *sides, keys, protocol)], keys)[0]


def mean_in_state(
    recipe: str,
    group: Sequence[Results],
    state: State,
    keys: Sequence[str],
    protocol: Mapping[str, Any],
) -> RecipeMean:
    """A recipe's means over its seeds in another state than the one that it stands for."""
    return _mean_of(recipe, _side_of(recipe, group, keys, state), keys, protocol)


def _side_of(
    recipe: str, group: Sequence[Results], keys: Sequence[str], state: State = MAIN
) -> RecipeScores:
    gathered = Gathered()
    for run in group:
        gathered.add(scored_queries(run.states[state.name], keys))
    return gathered.scores(side_name(recipe, group), group[0].depends_on_seed)


def _mean_of(
    recipe: str, side: RecipeScores, keys: Sequence[str], protocol: Mapping[str, Any]
) -> RecipeMean:
    intervals: list[Interval | None] = [None] * len(keys)
    if side.n_seeds > 1 and side.has_intervals(protocol):
        estimate = crossed_mean(*side.totals(protocol))
        ends = zip(keys, estimate.value.tolist(), estimate.half_width().tolist(), strict=True)
        intervals = [_in_range(key, mean - half, mean + half) for key, mean, half in ends]
    of_seeds = side.of_seeds
    mean, low, high = (
        dict(zip(keys, column.tolist(), strict=True))
        for column in (of_seeds.mean(axis=1), of_seeds.min(axis=1), of_seeds.max(axis=1))
    )
    return RecipeMean(
        recipe, side.n_seeds, mean, low, high, dict(zip(keys, intervals, strict=True))
    )


def _in_range(key: str, low: float, high: float) -> Interval:
    """Of two bounds that a few seeds put far apart, what a metric can be."""
    return (max(low, 1), high) if in_ranks(key) else (max(low, 0), min(high, 1))


def _against(
    recipe: str,
    side: RecipeScores,
    baseline: RecipeScores,
    keys: Sequence[str],
    protocol: Mapping[str, Any],
) -> Against:
    """Without verdicts, which all comparisons have a say in."""
    sides = on_same_queries(side, baseline)
    of_recipes = sides[0].is_recipe and sides[1].is_recipe
    first, second = (each.of_seeds.mean(axis=-1) for each in sides)
    found = [Difference(value, None, None) for value in (first - second).tolist()]
    estimates: list[Estimate] = []
    if sides[0].has_intervals(protocol):
        (one, sizes), (other, _) = (each.totals(protocol) for each in sides)
        seeded = (side.seeded, baseline.seeded) if of_recipes else (False, False)
        together = crossed_difference(one, other, sizes, seeded=seeded)
        found = differences_of(together, keys) if any(seeded) else _bootstrapped(*sides, protocol)
        estimates = together.each()
    return Against(
        recipe,
        (side.name, baseline.name),
        (side.n_seeds, baseline.n_seeds),
        sides[0].n_units(protocol),
        of_recipes,
        {key: Judged(each, None) for key, each in zip(keys, found, strict=True)},
        {key: float(each.p_value) for key, each in zip(keys, estimates, strict=False)},
        {},
        dict(zip(keys, estimates, strict=False)),
    )


def _bootstrapped(
    first: RecipeScores, second: RecipeScores, protocol: Mapping[str, Any]
) -> list[Difference]:
    """Of these very networks, with the noise of queries (or classes) alone."""
    columns = [dict(enumerate(side.values.mean(axis=1))) for side in (first, second)]
    paired = paired_differences(
        {str(place): column for place, column in columns[0].items()},
        {str(place): column for place, column in columns[1].items()},
        resamples=min(protocol["bootstrap"], RESAMPLES),
        seed=protocol["seed"],
        units=first.units(protocol),
    )
    return list(paired.values())


def _corrected(compared: Sequence[Against], keys: Sequence[str]) -> list[Against]:
    """With verdicts that hold for all comparisons together, of each metric by itself."""
    judged: list[dict[str, Judged]] = [dict(one.judged) for one in compared]
    adjusted: list[dict[str, float]] = [{} for _ in compared]
    for key in keys:
        places = [place for place, one in enumerate(compared) if one.p_values]
        corrected = holm([compared[place].p_values[key] for place in places]).tolist()
        for place, p_value in zip(places, corrected, strict=True):
            difference = judged[place][key].difference
            # A bootstrap's interval may hold 0 where the p value says otherwise, or the reverse.
            verdict = verdict_of(key, difference) if p_value <= LEVEL else NOT_TOLD_APART
            judged[place][key] = Judged(
                difference, NOT_TOLD_APART if verdict == NO_DIFFERENCE else verdict
            )
            adjusted[place][key] = p_value
    return [
        replace(one, judged=verdicts, adjusted=p_values)
        for one, verdicts, p_values in zip(compared, judged, adjusted, strict=True)
    ]
