"""A recipe: how one model is trained. Made once of the settings; imports nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lookalike.models.settings import ModelSettings
from lookalike.records import Chosen, Value, Variant
from lookalike.training.augmentations.table import AUGMENTATIONS
from lookalike.training.class_subsets import is_part
from lookalike.training.optimizers.table import ALIKE


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
        decay_norms: whether weight decay pulls the network's parameters of one dimension, too.
        clip: longest gradient of the network's parameters together; 0: any.
        average: share of the running mean of the weights that stays in a step; 0: no mean.
        backbone_lr: share of `lr` that a backbone's last layer has.
        layer_decay: share of the next layer's rate that each layer of a backbone has.
        thaw_epochs: epochs until a backbone's first layer is trained.
    """

    name: str
    lr: float
    weight_decay: float
    warmup_epochs: float
    schedule: str
    own: Mapping[str, Value]
    decay_norms: bool = True
    clip: float = 0.0
    average: float = 0.0
    backbone_lr: float = 1.0
    layer_decay: float = 1.0
    thaw_epochs: float = 0.0

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> OptimizerSettings:
        """From the complete `optimizer` mapping of a recipe."""
        common = ("name", "weight_decay", *ALIKE)
        own = {key: value for key, value in settings.items() if key not in common}
        return cls(**{key: settings[key] for key in common}, own=own)


@dataclass(frozen=True)
class ValidationSettings:
    """A recipe's `validation` settings.

    Attributes:
        of: auto, classes or images; see `held_out`.
        classes: share of the training classes that is held out, or of each class's images.
        every: epochs between two scores.
        seed: of the choice; that of a run has no say in it.
        keep: last or best: the epoch whose weights are the model.
        patience: scores without a better one after which training stops; 0: never.
        fold: the part of the classes that is held out, from 0; None: as `classes` says.
        folds: how many parts there are; None where there are none.
    """

    of: str
    classes: float
    every: int
    seed: int
    keep: str
    patience: int
    fold: int | None = None
    folds: int | None = None

    @property
    def keeps_best(self) -> bool:
        """Whether the best epoch's weights are the model, which patience asks for, too."""
        return bool(self.classes) and (self.keep == "best" or self.patience > 0)


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
        train_classes: how many of the classes that are not held out it is trained on: a share up
            to 1, all of them, or from 2 up a number.
        views: changed views of each image whose features are kept, for a frozen backbone.
        loss: its name and settings.
        miner: which chooses among a batch's pairs or triplets, its name and settings.
        memory: embeddings of past images that each batch is compared with.
        batch: the sampler of batches, its name and settings.
        optimizer: with the learning rate.
        epochs: passes over the training images; None: as many as `steps` take.
        steps: of the whole training, where `epochs` is None.
        augment: settings of the random changes to an image, see
            `lookalike.training.augmentations.table`.
        precision: auto, float32 or bfloat16.
        gpus: that share each batch.
        validation: on held-out images.
    """

    model: ModelSettings
    train: TrainedParts
    train_classes: float
    views: int
    loss: Chosen
    miner: Chosen
    memory: int
    batch: Chosen
    optimizer: OptimizerSettings
    epochs: int | None
    steps: int
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
            train_classes=settings["train_classes"],
            views=settings["views"],
            loss=Chosen.from_dict(settings["loss"]),
            miner=Chosen.from_dict(settings["miner"]),
            memory=settings["memory"],
            batch=Chosen.from_dict(settings["batch"]),
            optimizer=OptimizerSettings.from_dict(settings["optimizer"]),
            epochs=None if settings["epochs"] == "auto" else settings["epochs"],
            steps=settings["steps"],
            augment=dict(settings["augment"]),
            precision=settings["precision"],
            gpus=settings["gpus"],
            validation=ValidationSettings(**settings["validation"]),
        )


def changes_seen(settings: Mapping[str, Any]) -> list[Variant]:
    """The random changes of images that a recipe's training sees, in order.

    A head on a frozen backbone sees them in the views that are kept, or not at all.
    """
    parts = TrainedParts.from_setting(settings["train"])
    if not parts.head or (parts.frozen_backbone and not settings["views"]):
        return []
    return AUGMENTATIONS.switched_on(settings["augment"])


def network_in_words(model: Mapping[str, Any]) -> str:
    """A network by its name and that of its backbone: of a recipe's `model` settings."""
    return f"{model['name']} {model['backbone']}" if "backbone" in model else str(model["name"])


def summary_of(settings: Mapping[str, Any]) -> str:
    """What is trained and how, in a few words: of a complete mapping under `recipes`."""
    parts = TrainedParts.from_setting(settings["train"])
    name = network_in_words(settings["model"])
    if not parts.head:
        return f"{name} as it came"
    what = {None: name, 0: f"a head on {name}"}.get(
        parts.layers, f"a head and {parts.layers} layers of {name}"
    )
    by_steps = settings["epochs"] == "auto"
    length = f"{settings['steps']} steps" if by_steps else f"{settings['epochs']} epochs"
    of_classes = settings["train_classes"]
    part = f", train_classes: {of_classes:g}" if is_part(of_classes) else ""
    return f"{what}, {settings['loss']['name']} loss, {length}{part}"
