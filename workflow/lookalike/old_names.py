"""Names that settings had in earlier versions, which are understood.

Imports nothing heavy: the Snakefile uses it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lookalike.sweeps.merging import Settings, merge

OLD_NAMES = {"seed": "original"}
"""Recipes by what they were called."""


def notes_on_old_names(layers: Sequence[Mapping[str, Any]]) -> list[str]:
    """A sentence on each name in these settings that has another one now and is understood."""
    return [
        f"the recipe {old} is called {new} now (seeds are something else): it is understood, and "
        f"its runs are {new}.0 and so on; write {new} in your settings"
        for old, new in OLD_NAMES.items()
        if any(_names(layer, old) for layer in layers)
    ]


def _names(layer: Mapping[str, Any], recipe: str) -> bool:
    """Whether a layer of settings names a recipe, under `runs` or `recipes`."""
    runs, recipes = layer.get("runs"), layer.get("recipes")
    return (isinstance(runs, list) and recipe in runs) or (
        isinstance(recipes, Mapping) and recipe in recipes
    )


def with_new_names(layer: Mapping[str, Any]) -> Settings:
    """A layer of settings with the names that recipes have now."""
    renamed, runs, recipes = dict(layer), layer.get("runs"), layer.get("recipes")
    for old, new in OLD_NAMES.items():
        if not _names(layer, old):
            continue
        if isinstance(runs, list) and old in runs:
            # A run that is named by both names is one.
            runs = [new if run == old else run for run in runs if run != old or new not in runs]
            renamed["runs"] = runs
        if isinstance(recipes, Mapping) and old in recipes:
            both = [recipes[old], recipes[new]] if new in recipes else [recipes[old]]
            mappings = all(isinstance(recipe, Mapping) for recipe in both)
            recipes = {name: recipe for name, recipe in recipes.items() if name != old}
            recipes[new] = merge(*both) if mappings and len(both) > 1 else both[0]
            renamed["recipes"] = recipes
    return renamed
