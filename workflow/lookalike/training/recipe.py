"""A recipe: how one model is trained. Made once of the settings; imports nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lookalike.models.backbones.sources import with_known_weights
from lookalike.models.settings import ModelSettings
from lookalike.records import Chosen, Value
from lookalike.training.augmentations.table import AUGMENTATIONS
from lookalike.training.optimizers.table import ALIKE

# Fewer classes than these are no measure of what a network does with new ones.
_CLASSES_TO_HOLD_OUT = 20


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
    """

    of: str
    classes: float
    every: int
    seed: int
    keep: str
    patience: int

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
        views: changed views of each image whose features are kept, for a frozen backbone.
        loss: its name and settings.
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
    views: int
    loss: Chosen
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
            views=settings["views"],
            loss=Chosen.from_dict(settings["loss"]),
            batch=Chosen.from_dict(settings["batch"]),
            optimizer=OptimizerSettings.from_dict(settings["optimizer"]),
            epochs=None if settings["epochs"] == "auto" else settings["epochs"],
            steps=settings["steps"],
            augment=dict(settings["augment"]),
            precision=settings["precision"],
            gpus=settings["gpus"],
            validation=ValidationSettings(**settings["validation"]),
        )


@dataclass(frozen=True)
class DataFacts:
    """What of the data decides what is held out where `validation.of` is auto.

    Attributes:
        classes: training classes with two images or more.
        largest: images of the largest training class.
        closed_set: whether most queries are of classes that are trained on.
    """

    classes: int
    largest: int
    closed_set: bool

    @classmethod
    def from_report(cls, report: Mapping[str, Any]) -> DataFacts:
        """From data_report.json."""
        train = report["splits"]["train"]
        queries = report["splits"]["query"]["ok"]
        return cls(
            train["classes"] - report["classes_without_positive"]["count"],
            train["images_per_class"]["max"],
            # A mixture is what at least half of its queries are.
            bool(queries) and 2 * report["queries_of_training_classes"] >= queries,
        )


def held_out(validation: Mapping[str, Any], facts: DataFacts) -> tuple[str, str]:
    """What of the training images is held out to be scored: classes, or images of each.

    Whole classes tell how well a network does with classes that it never saw. Where the queries'
    classes are those that are trained on, that is not what is asked of it; and a few classes are
    no measure. Then images of each class are held out instead, where a class has three.

    Args:
        validation: a recipe's complete settings of that name.
        facts: of the data.

    Returns:
        `classes` or `images`; and why, in words.
    """
    asked, share = validation["of"], validation["classes"]
    if asked != "auto":
        return asked, f"validation.of is {asked}"
    n_held = round(facts.classes * share)
    if facts.largest < 3:
        return "classes", "no class has a third image to hold out"
    if facts.closed_set:
        return "images", "most queries are of classes that are trained on"
    if facts.classes < _CLASSES_TO_HOLD_OUT or n_held < 2 or facts.classes - n_held < 2:
        return "images", f"{facts.classes} classes of two images or more are few to hold some out"
    return "classes", "most queries are of classes that are not trained on"


def for_data(settings: Mapping[str, Any], facts: DataFacts) -> dict[str, Any]:
    """A complete mapping under `recipes` in which nothing of `validation` is left to the data."""
    validation = settings["validation"]
    return {**settings, "validation": {**validation, "of": held_out(validation, facts)[0]}}


def decisive(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What of a complete mapping under `recipes` decides the weights.

    Not how often held-out images are scored where the last epoch is kept, nor what is switched off,
    which so may be added. A file of weights counts by its content. The recipe's `image` decides
    together with the common one: both have a digest of their own.

    Raises:
        LookalikeError: a file of weights is not there.
    """
    train = TrainedParts.from_setting(settings["train"])
    model = with_known_weights(settings["model"])
    if not train.head:
        return {"model": _without_head(model), "train": settings["train"]}
    if model.get("head") == "none":
        model = _without_head(model)
    # A head sees random changes in the views that are kept, or not at all.
    views = settings["views"] if train.frozen_backbone else 0
    sees_changes = views or not train.frozen_backbone
    changes = AUGMENTATIONS.switched_on(settings["augment"]) if sees_changes else []
    values = [change.own(settings["augment"]) for change in changes]
    off = {
        "train": settings["train"] == "all",
        "views": not views,
        "steps": settings["epochs"] != "auto",
        "image": True,
    }
    decided = {key: value for key, value in settings.items() if not off.get(key)}
    return decided | {
        "model": model,
        "optimizer": _decisive_of_optimizer(settings["optimizer"]),
        "validation": _decisive_of_validation(settings["validation"]),
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
    by_steps = settings["epochs"] == "auto"
    length = f"{settings['steps']} steps" if by_steps else f"{settings['epochs']} epochs"
    return f"{what}, {settings['loss']['name']} loss, {length}"


def _decisive_of_optimizer(settings: Mapping[str, Any]) -> dict[str, Any]:
    off = {
        "decay_norms": settings["decay_norms"] or not settings["weight_decay"],
        "clip": not settings["clip"],
        "average": not settings["average"],
    }
    return {key: value for key, value in settings.items() if not off.get(key, False)}


def _decisive_of_validation(settings: Mapping[str, Any]) -> dict[str, Any]:
    decided: dict[str, Any] = {"classes": settings["classes"]}
    if settings["classes"]:
        decided |= {"of": settings["of"], "seed": settings["seed"]}
    if ValidationSettings(**settings).keeps_best:
        decided |= {
            "keep": "best",
            "every": settings["every"],
            "patience": settings["patience"],
        }
    return decided
