"""The settings of a page's recipes, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lookalike.report.results import Results, flat


def settings_table(
    runs: Sequence[Results], shown_runs: Sequence[Results]
) -> list[tuple[str, dict[str, Any], bool]]:
    """(setting, {recipe: value or None}, whether the recipes differ); those that do come first.

    Recipes are those of `shown_runs`, but whether they differ is said of all that embed, and of all
    whose embeddings come from elsewhere.
    """
    by_recipe = {run.recipe: flat(run.settings) for run in runs}
    # Embeddings from elsewhere have no setting in common with what embeds.
    kinds = [{run.recipe for run in runs if run.is_given == given} for given in (False, True)]
    names = dict.fromkeys(name for values in by_recipe.values() for name in values)
    table = []
    for name in names:
        values = {recipe: settings.get(name) for recipe, settings in by_recipe.items()}
        of_kinds = ([values[recipe] for recipe in kind] for kind in kinds if kind)
        differs = any(other != first for first, *others in of_kinds for other in others)
        table.append((name, {run.recipe: values[run.recipe] for run in shown_runs}, differs))
    return sorted(table, key=lambda row: not row[2])
