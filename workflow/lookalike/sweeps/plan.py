"""Which recipes a sweep is expanded into, and which of them are trained when."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

from lookalike.sweeps.merging import Settings
from lookalike.training.course import epochs_of_steps
from lookalike.training.recipe import ValidationSettings

ALL = "all"
"""The group of every candidate, where a selection is made of all."""


@dataclass(frozen=True)
class Contender:
    """A point of a sweep from which a winner is chosen.

    Attributes:
        name: of its recipe, as it is at full length, without its fold.
        point: the values that the sweep gave it, by dotted path.
        group: those of one group compete with each other.
    """

    name: str
    point: Mapping[str, Any]
    group: str = ALL


@dataclass(frozen=True)
class Selection:
    """How a sweep's winners are chosen, and what is made of them.

    With successive halving, training goes in rungs: in the first all candidates are trained for a
    short time, and in each further one the best of the last are trained anew, `eta` times as long,
    the last rung at full length. Each training is whole in itself, with a learning rate that runs
    its course. A group of few candidates has fewer rungs, the last ones.

    Attributes:
        sweep: name of the recipe.
        by: the metric of held-out images, as `mAP@R`.
        per: the setting that tells the groups apart; None: there is one.
        candidates: in the order of their points.
        folds: parts into which the training classes are divided, each held out once; 0: one choice
            of held-out images.
        eta: of the candidates of a rung, one in so many goes on; 0: all are trained at full length.
        shortest: epochs or steps of the shortest full training, of which a rung has whole ones.
        finals: recipe that each group's winner is trained again by, on all training images.
    """

    sweep: str
    by: str
    per: str | None
    candidates: tuple[Contender, ...]
    folds: int
    eta: int
    shortest: int
    finals: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Selection:
        """From what `to_dict` gave."""
        candidates = tuple(Contender(**candidate) for candidate in values["candidates"])
        return cls(**{**values, "candidates": candidates})

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for a job."""
        return asdict(self)

    @cached_property
    def sizes(self) -> dict[str, int]:
        """How many candidates each group has, in the order of their first ones."""
        return dict(Counter(candidate.group for candidate in self.candidates))

    @cached_property
    def rungs(self) -> int:
        """How often candidates are trained before a winner is known: 1 without halving."""
        return max(map(self.rungs_of, self.sizes))

    def rungs_of(self, group: str) -> int:
        """So many that a candidate at least is in the last, and an epoch or step in the first."""
        if not self.eta:
            return 1
        few, rungs = min(self.sizes[group], self.shortest), 1
        while few >= self.eta:
            few, rungs = few // self.eta, rungs + 1
        return rungs

    def share(self, rung: int) -> int:
        """The part of the full length that is trained in a rung: one in so many."""
        return int(self.eta ** (self.rungs - 1 - rung)) if self.eta else 1

    def places(self, group: str, rung: int) -> int:
        """How many of a group's candidates are trained in a rung, none where it begins later."""
        begins = self.rungs - self.rungs_of(group)
        if rung < begins:
            return 0
        passed = int(self.eta ** (rung - begins))
        return self.sizes[group] // passed

    def recipes(self, candidate: str, rung: int) -> list[str]:
        """The recipes by which a candidate is trained in a rung: one for each fold."""
        return [
            name_of_part(candidate, self.share(rung), fold)
            for fold in (range(self.folds) if self.folds else [None])
        ]

    def runs(self, candidate: str, rung: int, seeds: Sequence[int]) -> list[str]:
        """The runs of a candidate in a rung: one for each fold and seed."""
        return [f"{recipe}.{seed}" for recipe in self.recipes(candidate, rung) for seed in seeds]

    def entrants(self, rung: int, survivors: Sequence[str]) -> list[str]:
        """The candidates that are trained in a rung, in order.

        Args:
            rung: which, from 0.
            survivors: those that the last rung let go on; of the first, none.
        """
        going_on = {*survivors}
        return [
            one.name
            for one in self.candidates
            if one.name in going_on or self.rungs - self.rungs_of(one.group) == rung
        ]


def name_of_part(recipe: str, share: int = 1, fold: int | None = None) -> str:
    """The name of a recipe that is a part of another: a part of its length, one of its folds."""
    length = "" if share == 1 else f"-1of{share}"
    return f"{recipe}{length}" + ("" if fold is None else f"-fold{fold}")


def of_fold(settings: Mapping[str, Any], fold: int, folds: int) -> Settings:
    """A complete recipe that holds out one fold of the training classes.

    Args:
        settings: of the whole recipe.
        fold: which, from 0.
        folds: how many there are.
    """
    held_out = {"of": "classes", "classes": 1 / folds, "fold": fold, "folds": folds}
    return {**settings, "validation": {**settings["validation"], **held_out}}


def of_first_fold(settings: Mapping[str, Any], folds: int) -> Settings:
    """As a complete recipe is run in its first fold: what is asked of one holds for each of them.

    Args:
        settings: of the whole recipe.
        folds: how many there are; with 0 it is run as it stands.
    """
    return of_fold(settings, 0, folds) if folds else dict(settings)


def shortened(settings: Mapping[str, Any], share: int) -> Settings:
    """A complete recipe that takes one in `share` of its epochs, or of its steps."""
    if share == 1:
        return dict(settings)
    key = "steps" if settings["epochs"] == "auto" else "epochs"
    return {**settings, key: max(1, settings[key] // share)}


def on_all_classes(settings: Mapping[str, Any]) -> Settings:
    """A complete recipe from which nothing is held out: it trains on all, or its part of them."""
    validation = {k: v for k, v in settings["validation"].items() if k not in ("fold", "folds")}
    return {**settings, "validation": {**validation, "classes": 0.0}}


def length_of(settings: Mapping[str, Any]) -> int:
    """Epochs of a complete recipe, or steps, whichever says how long it is."""
    return int(settings["steps" if settings["epochs"] == "auto" else "epochs"])


def is_scored(settings: Mapping[str, Any]) -> bool:
    """Whether held-out images are scored in some epoch of a complete recipe that trains.

    A short training may end before the first; where the best epoch is kept, the last is scored.
    """
    validation = ValidationSettings(**settings["validation"])
    return validation.keeps_best or validation.every <= epochs_of(settings)


def epochs_of(settings: Mapping[str, Any]) -> int:
    """How many epochs a complete recipe has, whichever way it says how long it is."""
    length = length_of(settings)
    return epochs_of_steps(length) if settings["epochs"] == "auto" else length


def eta_of(budget: Any) -> int:
    """How many candidates compete for one place: of a recipe's `budget` setting; 0: all go on."""
    if isinstance(budget, Mapping):
        return int(budget["halving"])
    return 3 if budget == "halving" else 0


def parts_of_selection(
    selection: Selection, settings: Mapping[str, Settings]
) -> Iterator[tuple[str, Settings]]:
    """Every recipe that a candidate of a selection may be trained by, with its name.

    Args:
        selection: of a sweep.
        settings: complete, of each candidate by name.
    """
    for candidate in selection.candidates:
        for rung in range(selection.rungs - selection.rungs_of(candidate.group), selection.rungs):
            share = selection.share(rung)
            whole = shortened(settings[candidate.name], share)
            if not selection.folds:
                yield name_of_part(candidate.name, share), whole
            for fold in range(selection.folds):
                name = name_of_part(candidate.name, share, fold)
                yield name, of_fold(whole, fold, selection.folds)
