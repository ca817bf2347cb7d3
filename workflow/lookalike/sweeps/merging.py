"""Laying settings over each other."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

Settings = dict[str, Any]
"""A mapping of settings, by name."""


def merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> Settings:
    """Lay `above` over `below`: mappings merge, everything else replaces.

    Where `above` changes a mapping's `name` (of a loss, a model, an optimizer), the other keys
    below belong to another kind of thing, so they are dropped and that name's defaults apply.
    """
    name = above.get("name")  # a mapping is no such name, but a recipe that is called name
    renamed = isinstance(name, str) and name != below.get("name", name)
    merged: Settings = {} if renamed else dict(below)
    for key, value in above.items():
        if isinstance(value, Mapping) and isinstance(merged.get(key), Mapping):
            merged[key] = merge(merged[key], value)
        else:
            merged[key] = copy.deepcopy(value)
    return merged


def with_length(recipe: Mapping[str, Any]) -> Settings:
    """Settings laid over a recipe, which is as long as `steps` take where they name these alone.

    Below them there always is a number of epochs, a default at least, which would overrule them.
    """
    return {"epochs": "auto", **recipe} if "steps" in recipe else dict(recipe)
