"""What of a recipe decides the weights, with the data at hand. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lookalike.models.backbones.sources import with_known_weights
from lookalike.training.class_subsets import is_part
from lookalike.training.losses.table import LOSSES
from lookalike.training.miners.table import OWN
from lookalike.training.optimizers.table import OF_BACKBONE
from lookalike.training.recipe import TrainedParts, ValidationSettings, changes_seen

# Fewer classes than these are no measure of what a network does with new ones.
_CLASSES_TO_HOLD_OUT = 20


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
    if validation.get("fold") is not None:
        return "classes", f"fold {validation['fold']}, from 0, of {validation['folds']}"
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
    which so may be added, nor the settings of a loss's own miner beside another. A file of weights
    counts by its content. The recipe's `image` decides together with the common one: both have a
    digest of their own.

    Raises:
        LookalikeError: a file of weights is not there.
    """
    train = TrainedParts.from_setting(settings["train"])
    model = with_known_weights(settings["model"])
    if not train.head:
        return {"model": _without_head(model), "train": settings["train"]}
    if model.get("head") == "none":
        model = _without_head(model)
    changes = changes_seen(settings)
    values = [change.own(settings["augment"]) for change in changes]
    off = {
        "image": True,
        "train_classes": not is_part(settings["train_classes"]),
        "train": settings["train"] == "all",
        "views": not (train.frozen_backbone and changes),
        "miner": settings["miner"]["name"] == OWN,
        "memory": not settings["memory"],
        "steps": settings["epochs"] != "auto",
    }
    decided = {key: value for key, value in settings.items() if not off.get(key)}
    return decided | {
        "model": model,
        "loss": _decisive_of_loss(settings),
        "optimizer": _decisive_of_optimizer(settings["optimizer"]),
        "validation": _decisive_of_validation(settings),
        "precision": "float32" if settings["precision"] == "auto" else settings["precision"],
        "augment": {name: value for change in values for name, value in change.items()},
    }


def _without_head(model: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a network whose features are its embeddings: as long as they happen to be."""
    return {key: value for key, value in model.items() if key != "embedding_dim"} | {"head": "none"}


def _decisive_of_loss(settings: Mapping[str, Any]) -> dict[str, Any]:
    loss = settings["loss"]
    if settings["miner"]["name"] == OWN:
        return dict(loss)
    used = {"name", *(setting.name for setting in LOSSES[loss["name"]].settings)}
    return {key: value for key, value in loss.items() if key in used}


def _decisive_of_optimizer(settings: Mapping[str, Any]) -> dict[str, Any]:
    off = {
        "decay_norms": settings["decay_norms"] or not settings["weight_decay"],
        "clip": not settings["clip"],
        "average": not settings["average"],
        **{key: settings[key] == plain for key, plain in OF_BACKBONE.items()},
    }
    return {key: value for key, value in settings.items() if not off.get(key, False)}


def _decisive_of_validation(recipe: Mapping[str, Any]) -> dict[str, Any]:
    settings = recipe["validation"]
    decided: dict[str, Any] = {"classes": settings["classes"]}
    if is_part(recipe["train_classes"]):
        decided["seed"] = settings["seed"]
    if settings["classes"]:
        decided |= {"of": settings["of"], "seed": settings["seed"]}
        decided |= {key: settings[key] for key in ("fold", "folds") if key in settings}
    if ValidationSettings(**settings).keeps_best:
        decided |= {
            "keep": "best",
            "every": settings["every"],
            "patience": settings["patience"],
        }
    return decided
