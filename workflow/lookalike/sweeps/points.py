"""The points of a sweep: the grid of its lists, or draws from these and from ranges."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import count, islice, product
from typing import Any

from lookalike.storage.digests import digest_of
from lookalike.sweeps.paths import Rules, is_range_of_counts, is_whole, takes_numbers
from lookalike.text import did_you_mean

Point = dict[str, Any]
"""Values by dotted path."""

MOST_POINTS = 10_000
"""Points of a sweep."""

_DIGITS = 4  # that a drawn number has, so that its name is all of it
_TRIES = 20  # draws for each point that is asked for, where several may be alike


def mistakes_of_paths(recipe: Mapping[str, Any], rules: Rules) -> list[str]:
    """A line for each path of a recipe's `sweep` that is no setting; see `mistakes_of_sweep`."""
    sweep = recipe.get("sweep")
    return [
        f"sweep.{path}: a recipe has no such setting{did_you_mean(path, rules, list_known=False)}"
        for path in (sweep if isinstance(sweep, Mapping) else ())
        if path not in rules
    ]


def mistakes_of_sweep(recipe: Mapping[str, Any], rules: Rules) -> list[str]:
    """What cannot be done of a recipe's `sweep`, which the schema has nothing against.

    Args:
        recipe: its settings.
        rules: of `rules_of_recipe`.

    Returns:
        A line each, which begins with the key.
    """
    sweep: Mapping[str, Any] = recipe.get("sweep", {})
    mistakes = mistakes_of_paths(recipe, rules)
    ranges = {path: values for path, values in sweep.items() if isinstance(values, Mapping)}
    for path, values in ranges.items():
        if path in rules:
            mistakes += [f"sweep.{path}: {fault}" for fault in _faults(values, rules[path])]
            if "sample" not in recipe:
                mistakes.append(
                    f"sweep.{path}: of a range, so many values are drawn as the recipe's `sample` "
                    "says; set sample: 20, say, or give a list of values"
                )
    for key, needed in (("sample", "sweep"), ("sample_seed", "sample")):
        if key in recipe and needed not in recipe:
            mistakes.append(f"{key}: there is no `{needed}` that it could speak of")
    grid = math.prod(len(values) for values in sweep.values())
    if sweep and not ranges and recipe.get("sample", 0) > grid:
        mistakes.append(f"sample: is {recipe['sample']}, and the lists of `sweep` make {grid}")
    if not ranges and "sample" not in recipe and grid > MOST_POINTS:
        mistakes.append(
            f"sweep: its lists make {grid:,} recipes, and at most {MOST_POINTS:,} can be handled; "
            "set sample: 100, say, to draw some of them"
        )
    return mistakes


def usable_part(recipe: Mapping[str, Any], rules: Rules) -> dict[str, list[Any]]:
    """Of a sweep with mistakes, the lists of values of known settings, unless they are too long."""
    sweep: Mapping[str, Any] = recipe.get("sweep", {})
    lists = {
        path: values for path, values in sweep.items() if path in rules and isinstance(values, list)
    }
    return lists if math.prod(map(len, lists.values())) <= MOST_POINTS else {}


def _faults(values: Mapping[str, Any], rules: list[Mapping[str, Any]]) -> Iterator[str]:
    low, high = values["from"], values["to"]
    if not takes_numbers(rules):
        yield "is no number, so it has no range; give a list of values"
    if low >= high:
        yield f"from must be less than to, and {low} is not less than {high}"
    if values.get("scale") == "log" and low <= 0:
        yield f"on a logarithmic scale from must be more than 0, and it is {low}"
    if is_whole(rules) and not (isinstance(low, int) and isinstance(high, int)):
        yield f"is a whole number, so from and to must be, too; they are {low} and {high}"


def points_of(recipe: Mapping[str, Any], rules: Rules) -> list[Point]:
    """All points of a recipe's `sweep`, one without any values where it has none.

    Without `sample` they are the grid of its lists, the last setting changing first. With it, so
    many draws of a Halton sequence, whose digits are permuted by `sample_seed`: they fill the space
    evenly, and the first ones stay what they are when more are asked for. Of equal draws the first
    counts. A number is rounded to four digits, a whole one to the next; within its range.

    Args:
        recipe: its settings, in which `mistakes_of_sweep` finds nothing.
        rules: of `rules_of_recipe`.
    """
    sweep: Mapping[str, Any] = recipe.get("sweep", {})
    if "sample" not in recipe:
        return [dict(zip(sweep, values, strict=True)) for values in product(*sweep.values())]
    wanted, seed = recipe["sample"], recipe.get("sample_seed", 0)
    whole = {
        path: is_whole(rules[path]) or is_range_of_counts(rules[path], values)
        for path, values in sweep.items()
    }
    drawn: dict[str, Point] = {}
    for place in islice(halton(len(sweep), seed), wanted * _TRIES):
        point = {
            path: _value(values, share, whole[path])
            for (path, values), share in zip(sweep.items(), place, strict=True)
        }
        drawn.setdefault(digest_of(point), point)
        if len(drawn) == wanted:
            break
    return list(drawn.values())


def _value(values: list[Any] | Mapping[str, Any], share: float, whole: bool) -> Any:
    """What lies at a share, 0 to 1, of a list or a range."""
    if isinstance(values, list):
        return values[int(share * len(values))]
    low, high = values["from"], values["to"]
    logarithmic = values.get("scale") == "log"
    if whole:
        # Each whole number has a stretch of its own around it.
        below, above = low - 0.5, high + 0.5
    else:
        below, above = low, high
    if logarithmic:
        value = math.exp(math.log(below) + share * (math.log(above) - math.log(below)))
    else:
        value = below + share * (above - below)
    if whole:
        return min(max(round(value), low), high)
    return min(max(float(f"{value:.{_DIGITS}g}"), float(low)), float(high))


def halton(dimensions: int, seed: int) -> Iterator[tuple[float, ...]]:
    """Points that fill the unit cube ever more evenly: the scrambled Halton sequence.

    The k-th coordinate is the point's number, from 0, in the base of the k-th prime, its digits
    mirrored at the point (Halton 1960) and permuted, each place by a permutation of its own, which
    follows from the seed (as Owen 2017). Written here so that a later library draws no others.

    Args:
        dimensions: coordinates of a point.
        seed: of the permutations.

    Yields:
        Coordinates of at least 0 and below 1.
    """
    bases = list(islice(_primes(), dimensions))
    for number in count():
        yield tuple(_mirrored(number, base, seed) for base in bases)


def _mirrored(number: int, base: int, seed: int) -> float:
    share, weight, place = 0.0, 1.0, 0
    # The zeros that every number begins with are permuted, too: so many as a float can tell.
    while weight * base < 2**40:
        weight *= base
        number, digit = divmod(number, base)
        share += _permutation(base, place, seed)[digit] / weight
        place += 1
    return share


@cache
def _permutation(base: int, place: int, seed: int) -> list[int]:
    text = f"{base} {place} {seed} "
    return sorted(range(base), key=lambda digit: hashlib.sha256(f"{text}{digit}".encode()).digest())


def _primes() -> Iterator[int]:
    found: list[int] = []
    for number in count(2):
        if all(number % prime for prime in found):
            found.append(number)
            yield number
