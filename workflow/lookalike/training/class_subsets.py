"""Training on a part of the classes: how many that is, which they are, and whether they suffice.

The parts of one seed are nested: a larger one holds the classes of each smaller one. Imports
nothing heavy: the Snakefile uses it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from math import floor
from typing import Any, NamedTuple

from lookalike.errors import LookalikeError

SETTING = "train_classes"
"""What a recipe calls it: a share of the classes up to 1, all of them, or from 2 up how many."""

TRAINED_ON = "trained_on"
"""Where model.json says of a part how many `classes` it is, `of` how many that are not held out."""


class ClassCounts(NamedTuple):
    """Classes by how many images they have.

    Attributes:
        pairs: classes of two images or more.
        alone: classes of one.
    """

    pairs: int
    alone: int

    @property
    def all(self) -> int:
        """How many there are."""
        return self.pairs + self.alone


def is_part(asked: float) -> bool:
    """Whether the setting asks for less than all classes, or may do so."""
    return asked != 1


def as_noted(settings: Mapping[str, Any]) -> dict[str, Any]:
    """A complete recipe as model.json has it: trained on all classes, it says nothing of a part.

    So the file is what it was before there was a choice.
    """
    return {key: value for key, value in settings.items() if key != SETTING or is_part(value)}


def taken_of(asked: float, there: ClassCounts) -> ClassCounts:
    """How many classes of each kind are trained on.

    So many as the setting says, to the nearest whole number, in both kinds alike.

    Args:
        asked: the setting: a share of the classes, or from 2 up how many, at most all of them.
        there: the classes that are not held out.
    """
    n = asked if asked > 1 else floor(asked * there.all + 0.5)
    n = min(int(n), there.all)
    # In whole numbers: of more classes there are never fewer of a kind.
    pairs = (2 * n * there.pairs + there.all) // (2 * there.all) if there.all else 0
    return ClassCounts(pairs, n - pairs)


def class_subset(
    pairs: Collection[str], alone: Collection[str], asked: float, seed: int
) -> set[str]:
    """The classes that are trained on.

    Each kind is put in order by a hash of the names, and the first are taken. So nothing depends on
    the order of the classes or, beyond their kind, on how many images they have; a larger part
    holds each smaller one of the same seed; and where a class is added or removed, a few others
    move at most.

    Args:
        pairs: names of the classes of two images or more that are not held out.
        alone: of those of one.
        asked: the setting.
        seed: of the hashes.

    Raises:
        LookalikeError: see `require_classes`.
    """
    there = ClassCounts(len(pairs), len(alone))
    require_classes(asked, there)
    taken = taken_of(asked, there)
    return {*_first(pairs, taken.pairs, seed), *_first(alone, taken.alone, seed)}


def _first(names: Collection[str], n: int, seed: int) -> list[str]:
    return sorted(names, key=lambda name: _place(name, seed))[:n]


def _place(name: str, seed: int) -> bytes:
    # Not the hashes of the folds, or a part would take more classes of one fold than of another.
    return hashlib.sha256(f"{SETTING} {seed} {name}".encode()).digest()


def require_classes(asked: float, there: ClassCounts, recipe: str = "") -> None:
    """See that a part of the classes can be trained on.

    Args:
        asked: the setting.
        there: the classes that are not held out.
        recipe: its name, for the message.

    Raises:
        LookalikeError: there are not so many classes, or fewer than two of the part have two
            images.
    """
    if not is_part(asked):
        return
    of_recipe = f"recipe {recipe}: " if recipe else ""
    if asked > there.all:
        raise LookalikeError(
            f"{of_recipe}{SETTING}: {asked} classes are more than the {there.all:,} that are not "
            f"held out. Set it to {there.all} or less, or to 1.0 for all"
        )
    taken = taken_of(asked, there)
    if taken.pairs < 2:
        raise LookalikeError(
            f"{of_recipe}{SETTING}: {asked} takes {taken.all:,} of {there.all:,} training classes, "
            f"{taken.pairs} of them with two usable images or more, and training needs two such. "
            f"{_enough(asked, there)}"
        )


def _enough(asked: float, there: ClassCounts) -> str:
    if there.pairs < 2:
        return "Add images, or hold out fewer classes"
    n = next(n for n in range(2, there.all + 1) if taken_of(n, there).pairs >= 2)
    if asked > 1:
        return f"Set it to {n} or more"
    # A little more than what rounds to it, in three digits.
    least = next(share / 1000 for share in range(1, 1001) if taken_of(share / 1000, there).all >= n)
    return f"Set it to {least:g} or more"


def require_train_classes(
    report: Mapping[str, Any], recipe: str, settings: Mapping[str, Any]
) -> None:
    """See that the part of the classes that a recipe trains on can be trained on.

    Args:
        report: data_report.json.
        recipe: its name, for the message.
        settings: complete, with nothing of `validation` left to the data.

    Raises:
        LookalikeError: see `require_classes`.
    """
    alone = report["classes_without_positive"]["count"]
    pairs = report["splits"]["train"]["classes"] - alone
    held_out = _n_held_out(pairs, settings["validation"])
    require_classes(settings[SETTING], ClassCounts(pairs - held_out, alone), recipe)


def _n_held_out(pairs: int, validation: Mapping[str, Any]) -> int:
    """How many classes are held out; of folds, in the largest one."""
    if validation["of"] != "classes":
        return 0
    folds = validation.get("folds")
    held_out = -(-pairs // folds) if folds else round(pairs * validation["classes"])
    return held_out if held_out >= 2 and pairs - held_out >= 2 else 0
