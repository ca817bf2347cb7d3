"""Recipes that extend another one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lookalike.sweeps.merging import Settings, merge
from lookalike.text import did_you_mean

EXTENDS = "extends"
"""The key of a recipe that names the one it extends."""

SWEEP_KEYS = ("sweep", "sample", "sample_seed", "folds", "select", "budget")
"""The keys of a recipe that make several of it: its own, whoever extends it has none of them."""


def extended(
    recipes: Mapping[str, Any], shipped: Mapping[str, Mapping[str, Any]]
) -> tuple[Settings, list[str]]:
    """Lay every recipe over the one that it extends, and that over its own.

    Args:
        recipes: as given, by name; what is no mapping stays for the schema to refuse.
        shipped: what the recipes that ship are where nothing is given of them.

    Returns:
        The recipes without the key `extends`; and a line for each mistake in one.
    """
    mistakes: list[str] = []
    known = {**shipped, **recipes}

    def settings_of(name: str, below: tuple[str, ...]) -> Settings:
        """A recipe's settings with all that it extends. `below`: who asks, the first one first."""
        given: Any = recipes.get(name, {})
        if below and isinstance(given, Mapping):  # of its own, the schema lays what ships below
            given = merge(shipped.get(name, {}), given)
        if not isinstance(given, Mapping) or not isinstance(given.get(EXTENDS), str):
            return given  # type: ignore[no-any-return]
        other, own = given[EXTENDS], {k: value for k, value in given.items() if k != EXTENDS}
        chain = (*below, name)
        if other not in known:
            # Told once, where it is written.
            if not below:
                nearest = did_you_mean(other, [k for k in known if k != name])
                mistakes.append(f"recipes.{name}.{EXTENDS}: no recipe is named {other!r}{nearest}")
            return own
        if other in chain:
            # Told of each recipe in the circle, and of none that leads into it.
            if other == chain[0]:
                circle = " extends ".join([*chain, other])
                mistakes.append(f"recipes.{other}.{EXTENDS}: goes round in a circle: {circle}")
            return own
        base: Any = settings_of(other, chain)
        if not isinstance(base, Mapping):
            return own
        return merge({k: value for k, value in base.items() if k not in SWEEP_KEYS}, own)

    return {name: settings_of(name, ()) for name in recipes}, mistakes
