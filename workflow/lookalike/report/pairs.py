"""Which runs are laid beside each other query by query, and which pairs have a page of their own.

Imports nothing heavy: every job parses the rules again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from lookalike.report.runs import run_name

FEWEST_WITH_PAGES = 2
"""Recipes beside the baseline from which on each has a page: one is shown by report.html."""
MOST_PAGES = 100
"""A page a recipe, for the first ones in `runs`: nobody opens a thousand."""


class Pair(NamedTuple):
    """The names of two runs: of the baseline, and of another recipe."""

    baseline: str
    run: str


def pairs_with_baseline(runs: Sequence[tuple[str, int]], baseline: str = "") -> dict[str, Pair]:
    """What each other recipe is laid beside, by its name.

    Of a recipe with several seeds the first, which the page would show; of the baseline the same
    one. Where that has no such seed, since its embeddings come from elsewhere, its first.

    Args:
        runs: recipe and seed of each.
        baseline: name of a recipe; empty for that of the first run.
    """
    seeds: dict[str, list[int]] = {}
    for recipe, seed in runs:
        seeds.setdefault(recipe, []).append(seed)
    baseline = baseline or runs[0][0]
    if baseline not in seeds:
        return {}
    of_baseline = seeds[baseline]
    return {
        recipe: Pair(
            run_name(baseline, first if (first := of_recipe[0]) in of_baseline else of_baseline[0]),
            run_name(recipe, first),
        )
        for recipe, of_recipe in seeds.items()
        if recipe != baseline
    }


def runs_with_page(runs: Sequence[tuple[str, int]], baseline: str = "") -> list[str]:
    """Names of the runs whose changes from the baseline have a page beside report.html.

    Args:
        runs: recipe and seed of each.
        baseline: as `pairs_with_baseline` takes it.
    """
    pairs = pairs_with_baseline(runs, baseline)
    if len(pairs) < FEWEST_WITH_PAGES:
        return []
    return [pair.run for pair in pairs.values()][:MOST_PAGES]
