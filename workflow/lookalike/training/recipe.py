"""A recipe: how one model is trained. Made once of the settings; imports nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lookalike.models.settings import ModelSettings
from lookalike.records import Chosen, Value
from lookalike.training.augmentations.table import AUGMENTATIONS


@dataclass(frozen=True)
class OptimizerSettings:
    """A recipe's `optimizer` settings.

    Attributes:
        name: see `lookalike.training.optimizers.table`.
        lr: highest learning rate of the network.
        weight_decay: pull of the weights towards 0.
        warmup_epochs: epochs in which the learning rate rises from 0.
        schedule: how it runs from there, see `lookalike.training.schedules.table`.
        own: the optimizer's other settings.
    """

    name: str
    lr: float
    weight_decay: float
    warmup_epochs: float
    schedule: str
    own: Mapping[str, Value]

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> OptimizerSettings:
        """From the complete `optimizer` mapping of a recipe."""
        common = ("name", "lr", "weight_decay", "warmup_epochs", "schedule")
        own = {key: value for key, value in settings.items() if key not in common}
        return cls(**{key: settings[key] for key in common}, own=own)


@dataclass(frozen=True)
class ValidationSettings:
    """A recipe's `validation` settings.

    Attributes:
        classes: share of the training classes that are held out.
        every: epochs between two scores.
    """

    classes: float
    every: int


@dataclass(frozen=True)
class Recipe:
    """How one model is trained: a complete recipe of the settings.

    Attributes:
        model: the network.
        loss: its name and settings.
        batch: the sampler of batches, its name and settings.
        optimizer: with the learning rate.
        epochs: passes over the training images.
        augment: settings of the random changes to an image, see
            `lookalike.training.augmentations.table`.
        precision: auto, float32 or bfloat16.
        gpus: that share each batch.
        validation: on held-out classes.
    """

    model: ModelSettings
    loss: Chosen
    batch: Chosen
    optimizer: OptimizerSettings
    epochs: int
    augment: Mapping[str, float]
    precision: str
    gpus: int
    validation: ValidationSettings

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> Recipe:
        """From a complete mapping under `recipes`; its `image` is no matter of training alone."""
        return cls(
            model=ModelSettings.from_dict(settings["model"]),
            loss=Chosen.from_dict(settings["loss"]),
            batch=Chosen.from_dict(settings["batch"]),
            optimizer=OptimizerSettings.from_dict(settings["optimizer"]),
            epochs=settings["epochs"],
            augment=dict(settings["augment"]),
            precision=settings["precision"],
            gpus=settings["gpus"],
            validation=ValidationSettings(**settings["validation"]),
        )


def decisive(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What of a complete mapping under `recipes` decides the weights.

    Not how often held-out classes are scored, nor a random change that is switched off, which so
    may be added. Its `image` decides together with the common one: both have a digest of their own.
    """
    augment = settings["augment"]
    is_on = [change.own(augment) for change in AUGMENTATIONS if change.is_on(augment)]
    decided = {key: value for key, value in settings.items() if key != "image"}
    return decided | {
        "validation": {"classes": settings["validation"]["classes"]},
        "precision": "float32" if settings["precision"] == "auto" else settings["precision"],
        "augment": {name: value for change in is_on for name, value in change.items()},
    }
