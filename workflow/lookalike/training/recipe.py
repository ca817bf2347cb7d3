"""A recipe: how one model is trained. Made once of the settings; imports nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lookalike.models.backbones.sources import with_known_weights
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
class TrainedParts:
    """What of a network is trained: a recipe's `train` setting.

    Attributes:
        head: whether what stands on the backbone is; of a network without one, all of it.
        layers: how many of the backbone's layers are beside it, counted from the last; None for
            all of them.
    """

    head: bool
    layers: int | None

    @classmethod
    def from_setting(cls, setting: str | Mapping[str, int]) -> TrainedParts:
        """From `all`, `head`, `none`, or a mapping with the number of layers to `unfreeze`."""
        if isinstance(setting, Mapping):
            return cls(True, setting["unfreeze"])
        return cls(setting != "none", None if setting == "all" else 0)

    @property
    def frozen_backbone(self) -> bool:
        """Whether the backbone stays as it came: then its features are computed once and kept."""
        return self.layers == 0


@dataclass(frozen=True)
class Recipe:
    """How one model is trained: a complete recipe of the settings.

    Attributes:
        model: the network.
        train: what of it is trained.
        views: changed views of each image whose features are kept, for a frozen backbone.
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
    train: TrainedParts
    views: int
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
            train=TrainedParts.from_setting(settings["train"]),
            views=settings["views"],
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

    Not how often held-out classes are scored, nor what is switched off, which so may be added. A
    file of weights counts by its content. The recipe's `image` decides together with the common
    one: both have a digest of their own.

    Raises:
        LookalikeError: a file of weights is not there.
    """
    train, model = (
        TrainedParts.from_setting(settings["train"]),
        with_known_weights(settings["model"]),
    )
    if not train.head:
        return {"model": _without_head(model), "train": settings["train"]}
    if model.get("head") == "none":
        model = _without_head(model)
    # A head sees random changes in the views that are kept, or not at all.
    views = settings["views"] if train.frozen_backbone else 0
    sees_changes = views or not train.frozen_backbone
    changes = AUGMENTATIONS.switched_on(settings["augment"]) if sees_changes else []
    values = [change.own(settings["augment"]) for change in changes]
    off = {"train": settings["train"] == "all", "views": not views, "image": True}
    decided = {key: value for key, value in settings.items() if not off.get(key)}
    return decided | {
        "model": model,
        "validation": {"classes": settings["validation"]["classes"]},
        "precision": "float32" if settings["precision"] == "auto" else settings["precision"],
        "augment": {name: value for change in values for name, value in change.items()},
    }


def _without_head(model: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a network whose features are its embeddings: as long as they happen to be."""
    return {key: value for key, value in model.items() if key != "embedding_dim"} | {"head": "none"}


def summary_of(settings: Mapping[str, Any]) -> str:
    """What is trained and how, in a few words: of a complete mapping under `recipes`."""
    parts, model = TrainedParts.from_setting(settings["train"]), settings["model"]
    name = f"{model['name']} {model['backbone']}" if "backbone" in model else model["name"]
    if not parts.head:
        return f"{name} as it came"
    what = {None: name, 0: f"a head on {name}"}.get(
        parts.layers, f"a head and {parts.layers} layers of {name}"
    )
    return f"{what}, {settings['loss']['name']} loss, {settings['epochs']} epochs"
