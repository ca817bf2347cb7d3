"""Recipes whose embeddings come from elsewhere: nothing of them is trained, or made here.

Imports nothing heavy.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from lookalike.errors import LookalikeError
from lookalike.text import shown_path

GIVEN_BY = "embeddings"
"""The setting of a recipe that names the tables."""

SEED = 0
"""What the only run of such a recipe is called by: no seed has a say in it."""


def is_given(recipe: Any) -> bool:
    """Whether a mapping under `recipes` names embeddings from elsewhere."""
    return isinstance(recipe, Mapping) and GIVEN_BY in recipe


def given_files(recipe: Mapping[str, Any]) -> dict[str, Path]:
    """The table of each split; relative to the folder that Snakemake is started in."""
    return {split: Path(path).expanduser() for split, path in recipe[GIVEN_BY].items()}


def runs_of(recipe: str, settings: Mapping[str, Any]) -> list[tuple[str, int]]:
    """A recipe's runs, by its name and seed: one for each of `seeds`, one alone where it is given.

    Args:
        recipe: its name.
        settings: all settings.
    """
    seeds = [SEED] if is_given(settings["recipes"][recipe]) else settings["seeds"]
    return [(recipe, seed) for seed in seeds]


def misfits_of_given(
    recipe: Mapping[str, Any], known: Collection[str], *, ships: bool
) -> Iterator[str]:
    """A sentence on settings that have no meaning beside embeddings.

    Args:
        recipe: as it was written, one of which `is_given` holds.
        known: the settings of a recipe that embeds.
        ships: whether a recipe of this name comes with the project.
    """
    others = [key for key in recipe if key in known]
    if ships:
        yield (
            "comes with Lookalike and trains, but embeddings are given here; give them in a recipe "
            "of another name"
        )
    elif others:
        say, them = ("says", "it") if len(others) == 1 else ("say", "them")
        yield (
            f"{', '.join(others)} {say} how to embed or to train, but embeddings are given here; "
            f"leave {them} out, or take embeddings out"
        )


def require_files(name: str, recipe: Mapping[str, Any]) -> None:
    """See that the tables of a recipe are there, before any work; nothing is read.

    Args:
        name: of the recipe.
        recipe: one of which `is_given` holds.

    Raises:
        LookalikeError: one is not there, or is no file.
    """
    for split, path in given_files(recipe).items():
        try:
            if path.is_file():
                continue
            what = "is no file" if path.exists() else "there is no such file"
        except (OSError, ValueError) as error:  # no permission; a name that no file can have
            what = f"cannot be read: {getattr(error, 'strerror', None) or error}"
        raise LookalikeError(
            f"{shown_path(path.absolute())}: {what}, and recipes.{name}.{GIVEN_BY}.{split} names "
            "it for a parquet table. Put it there, or mend the setting; a relative path begins in "
            "the folder that Snakemake is started in"
        )
