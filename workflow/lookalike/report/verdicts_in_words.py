"""Verdicts on recipes as sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lookalike.report.numbers import signed
from lookalike.report.results import Results
from lookalike.report.verdicts import LEVEL, NOT_TOLD_APART, Against
from lookalike.retrieval.power import Seen, seeds_to_tell, units_to_tell

FEW_UNITS = 30
"""Below so many units an interval is a rough guide."""

_NAMED_AT_MOST = 5
_FEWEST_SEEDS = 3
"""From so many on, intervals hold what they promise."""


def verdict_in_words(one: Against, key: str, by_class: bool, n_comparisons: int) -> str:
    """A plain sentence or two on a recipe beside the baseline; empty where nothing is judged.

    Args:
        one: the recipe beside it.
        key: the metric to speak of.
        by_class: whether classes are what intervals draw.
        n_comparisons: how many comparisons there are in all.
    """
    judged = one.judged[key]
    if judged.verdict is None:
        return ""
    first, second = one.names
    difference = judged.difference
    assert difference.low is not None and difference.high is not None
    corrected = " after correction" if n_comparisons > 1 else ""
    seen = (
        f"{key} {signed(key, difference.value)} ({signed(key, difference.low)} to "
        f"{signed(key, difference.high)}), p {_p_value(one.adjusted[key])}{corrected}"
    )
    if all(estimate.value == 0 for estimate in one.estimates.values()):
        return f"{first} and {second} gave the same numbers: is it one recipe under two names?"
    # What follows is no word on the recipes.
    networks = "" if one.of_recipes else "As trained networks, "
    if judged.verdict != NOT_TOLD_APART:
        return f"{networks}{first} is {judged.verdict} than {second}: {seen}."
    return (
        f"{networks}{first} and {second} are not told apart by these data: {seen}."
        + _would_tell(one, key, by_class)
    )


def says_what_it_takes(one: Against, key: str) -> bool:
    """Whether `verdict_in_words` says how many queries, classes or seeds it takes to tell it."""
    return (
        one.judged[key].verdict == NOT_TOLD_APART
        and one.p_values[key] > LEVEL
        and one.estimates[key].value != 0
    )


def _would_tell(one: Against, key: str, by_class: bool) -> str:
    """What would tell a difference of this size."""
    if one.p_values[key] <= LEVEL:
        return " By itself it would be told; among so many comparisons it may be chance."
    if not says_what_it_takes(one, key):
        return ""
    estimate = one.estimates[key]
    seen = Seen(
        value=float(estimate.value),
        of_units=float(estimate.of_units),
        of_seeds=float(estimate.of_seeds_unbiased),
        residual=float(estimate.residual),
        units_freedom=estimate.units_freedom,
        seeds_freedom=float(estimate.seeds_freedom),
        n_units=one.n_units,
        n_seeds=min(one.n_seeds),
    )
    units = "classes" if by_class else "queries"
    more_units = units_to_tell(seen)
    if not one.of_recipes:
        told = f"some {_rounded(more_units)}" if more_units else "no number of"
        return f" A difference of this size between two networks takes {told} {units} to be told."
    more_seeds = seeds_to_tell(seen)
    ways = [
        f"some {_rounded(more_units)} {units} with as many seeds" if more_units else "",
        f"some {_rounded(more_seeds)} seeds of each with as many {units}" if more_seeds else "",
    ]
    if not any(ways):
        return f" Neither more {units} alone nor more seeds alone would tell one of this size."
    without = (
        ""
        if all(ways)
        else f"; more {units} alone would not"
        if more_seeds
        else "; more seeds alone would not"
    )
    return f" One of this size takes {', or '.join(filter(None, ways))}{without}."


def few_units(units: Mapping[str, Any], no_interval: str | None) -> list[str]:
    """A warning of intervals over few units, if they are.

    Args:
        units: as in metrics.json.
        no_interval: why there are none, if there are not.
    """
    if no_interval is not None or units["n"] >= FEW_UNITS:
        return []
    drawn = "classes" if units["unit"] == "class" else "queries"
    return [
        f"All intervals and verdicts come from {units['n']} {drawn}: below {FEW_UNITS} they are a "
        "rough guide."
    ]


def on_seeds(recipes: Mapping[str, Sequence[Results]], by_class: bool, interval: bool) -> list[str]:
    """Of what the numbers tell, networks or recipes; a sentence or two for each item.

    Args:
        recipes: the runs of each, one a seed.
        by_class: whether classes are what intervals draw.
        interval: whether there are intervals.
    """
    sentences = []
    given = [recipe for recipe, group in recipes.items() if group[0].is_given]
    if given:
        sentences.append(
            f"The embeddings of {_listed(given)} came from elsewhere: no seed has a say in them."
        )
    fixed = [
        recipe
        for recipe, group in recipes.items()
        if not group[0].depends_on_seed and recipe not in given
    ]
    if fixed:
        sentences.append(
            f"In {_listed(fixed)} nothing is trained: every seed gives "
            f"{'this network' if len(fixed) == 1 else 'the same network'}."
        )
    by_chance = {
        recipe: group for recipe, group in recipes.items() if recipe not in [*fixed, *given]
    }
    single = {recipe: group for recipe, group in by_chance.items() if len(group) == 1}
    several = {recipe: group for recipe, group in by_chance.items() if len(group) > 1}
    if single:
        networks = _listed([group[0].name for group in single.values()])
        many = len(single) > 1
        sentences.append(
            f"{networks} {'are one trained network each' if many else 'is one trained network'}"
            + ", and a difference is one between these trained networks" * (len(recipes) > 1)
            + f". One seed tells nothing about the recipe{'s' * many} {_listed(list(single))}: "
            + (
                "another may turn the order round."
                if len(recipes) > 1
                else "another may end elsewhere."
            )
        )
    if several:
        counts = sorted({len(group) for group in several.values()})
        many = len(several) > 1
        units = "classes" if by_class else "queries"
        sentences.append(
            f"{_listed(list(several))} {'stand' if many else 'stands'} by the mean over "
            f"{'their' if many else 'its'} seeds ({' or '.join(map(str, counts))}), query by "
            "query, never by the best."
            + f" Intervals of {'these means' if many else 'this mean'} hold the noise of the seeds "
            f"and of the {units} together." * interval
        )
        if interval and counts[0] < _FEWEST_SEEDS:
            sentences.append(
                "Two seeds tell little of how much a seed matters: intervals hold what they "
                f"promise from {_FEWEST_SEEDS} on."
            )
    return sentences


def _listed(names: Sequence[str]) -> str:
    """Names in a sentence, the first few of many."""
    named, others = list(names[:_NAMED_AT_MOST]), len(names) - _NAMED_AT_MOST
    if others > 0:
        named.append(f"{others:,} {'other' if others == 1 else 'others'}")
    return " and ".join([", ".join(named[:-1]), named[-1]]) if len(named) > 1 else named[0]


def _rounded(count: int | None) -> str:
    """A count to two digits, upwards."""
    assert count is not None
    scale = 10 ** max(0, len(str(count)) - 2)
    return f"{-(-count // scale) * scale:,}"


def _p_value(value: float) -> str:
    return "below 0.001" if value < 0.001 else f"{value:.3f}"
