"""What in a recipe does not go together: asked of settings, before any work.

Imports nothing heavy.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lookalike.models.backbones.images import image_of_backbone, names_of_backbones
from lookalike.models.table import MODELS
from lookalike.text import did_you_mean
from lookalike.training.augmentations.table import AUGMENTATIONS
from lookalike.training.class_subsets import is_part
from lookalike.training.losses.record import Loss
from lookalike.training.losses.table import LOSSES
from lookalike.training.miners.table import MINERS, NONE, OWN
from lookalike.training.optimizers.table import OF_BACKBONE
from lookalike.training.recipe import TrainedParts
from lookalike.training.samplers.table import SAMPLERS


def misfits(recipe: Mapping[str, Any]) -> Iterator[str]:
    """A sentence on each two settings of a complete recipe that exclude each other."""
    loss = LOSSES[recipe["loss"]["name"]]
    if loss.angles and not recipe["model"]["normalize"]:
        # What angles train has no meaning for distances.
        yield (
            f"the loss {loss.name} trains the angles between embeddings, but with model.normalize: "
            "false they are compared by Euclidean distance; set model.normalize: true, or take the "
            f"loss {_names(one.name for one in LOSSES if not one.angles)}"
        )
    if loss.equal_counts and recipe["batch"]["name"] != "balanced":
        yield (
            f"the loss {loss.name} needs equally many images of each class in a batch, which "
            f"batch.name: {recipe['batch']['name']} does not give; set batch: {{name: balanced}}"
        )
    yield from _misfits_of_network(recipe)
    yield from _misfits_of_views(recipe)
    if is_part(recipe["train_classes"]) and not TrainedParts.from_setting(recipe["train"]).head:
        yield (
            f"train_classes: {recipe['train_classes']:g} says on how many classes to train, and "
            "with train: none nothing is trained; set train_classes: 1.0"
        )
    yield from _misfits_of_validation(recipe["validation"])
    yield from _misfits_of_miner(loss, recipe)
    if recipe["memory"]:
        yield from _misfits_of_memory(loss, recipe)


def _misfits_of_network(recipe: Mapping[str, Any]) -> Iterator[str]:
    parts, model = TrainedParts.from_setting(recipe["train"]), recipe["model"]
    network = MODELS[model["name"]]
    if parts.layers is not None and not network.is_backbone:
        yield (
            f"train: {recipe['train']} speaks of a network with a backbone and a head, and "
            f"{network.name} has none; set train: all, or take the model "
            f"{_names(one.name for one in MODELS if one.is_backbone)}"
        )
    given = [key for key, plain in OF_BACKBONE.items() if recipe["optimizer"][key] != plain]
    if given and (parts.frozen_backbone or not network.is_backbone):
        yield (
            f"optimizer.{given[0]} speaks of the layers of a backbone that is trained, and there "
            "is none; leave it out, or set train: all with a model that has a backbone"
        )
    if parts.head and parts.frozen_backbone and network.is_backbone and model["head"] == "none":
        yield "with train: head and model.head: none there is nothing to train; set train: none"
    # A later version of timm has others than are known here, and can say itself whether it has one.
    may_be_later = network.name == "timm" and {"size", "mean", "std"} <= recipe["image"].keys()
    if image_of_backbone(model) is None and not may_be_later:
        yield (
            f"model.backbone: no backbone {model['backbone']!r} of {network.name} is known"
            f"{_nearest_backbone(model)}"
        )


def _misfits_of_views(recipe: Mapping[str, Any]) -> Iterator[str]:
    views, parts = recipe["views"], TrainedParts.from_setting(recipe["train"])
    if not views:
        return
    if not (parts.head and parts.frozen_backbone):
        yield (
            f"views: {views} are of images whose features are kept to train a head on, which "
            f"train: {recipe['train']} does not do; set views: 0, or train: head with a model that "
            "has a backbone"
        )
    elif not AUGMENTATIONS.switched_on(recipe["augment"]):
        yield (
            f"views: {views} are images changed at random, and in augment every change is switched "
            "off; set views: 0, or switch one on, such as augment: {flip: 0.5}"
        )


def _misfits_of_validation(validation: Mapping[str, Any]) -> Iterator[str]:
    if validation["classes"]:
        return
    for key, off in (("keep", "last"), ("patience", 0)):
        if validation[key] != off:
            yield (
                f"validation.{key}: {validation[key]} goes by the scores of held-out images, and "
                "with validation.classes: 0 none are held out; set validation.classes: 0.1, or "
                f"validation.{key}: {off}"
            )


def _nearest_backbone(model: Mapping[str, Any]) -> str:
    """The end of a message about a backbone that is not known."""
    names = names_of_backbones(model["name"])
    nearest = did_you_mean(model["backbone"], names, list_known=False)
    if model["name"] != "timm":
        return nearest
    return (
        f"{nearest or '.'} If your version of timm has it, say in the recipe which images it "
        "takes: image: {size: ..., mean: [...], std: [...]}"
    )


def _misfits_of_miner(loss: Loss, recipe: Mapping[str, Any]) -> Iterator[str]:
    chosen = recipe["miner"]
    name = chosen["name"]
    if name in (OWN, NONE):
        return
    if not loss.takes_miner:
        yield (
            f"the loss {loss.name} is none of pairs or triplets, among which the miner {name} "
            f"could choose; set miner: {{name: {OWN}}}, or take the loss "
            f"{_names(one.name for one in LOSSES if one.takes_miner)}"
        )
    if MINERS[name].angles and not recipe["model"]["normalize"]:
        yield (
            f"the miner {name} chooses by the angles between embeddings, but with model.normalize: "
            "false they are compared by Euclidean distance; set model.normalize: true, or take the "
            f"miner {_names(one.name for one in MINERS if not one.angles)}"
        )
    if name == "batch_easy_hard":
        both = {chosen["positives"], chosen["negatives"]}
        if both in ({"semihard"}, {"semihard", "all"}):
            yield (
                "miner.positives and miner.negatives: semihard is by the one image chosen of the "
                "other kind, which there is none of beside semihard or all; set one of them to "
                "hard or easy"
            )


def _misfits_of_memory(loss: Loss, recipe: Mapping[str, Any]) -> Iterator[str]:
    memory, batch, miner = recipe["memory"], recipe["batch"], recipe["miner"]
    if not loss.takes_memory:
        yield (
            f"memory: the loss {loss.name} cannot compare a batch with {memory} past images; set "
            f"memory: 0, or take the loss {_names(one.name for one in LOSSES if one.takes_memory)}"
        )
    # A shuffled batch may take in one image that would be left over.
    least = SAMPLERS[batch["name"]].batch_size(batch) + (batch["name"] == "shuffled")
    if memory < least:
        yield (
            f"memory: {memory} embeddings hold no batch of {least} images, and the memory holds "
            "the batch and images before it; set it to more, or to 0 for none"
        )
    if miner["name"] == "batch_easy_hard" and miner["positives"] == "easy":
        yield (
            "memory: an image's nearest positive in the memory is itself, so miner.positives: easy "
            "finds no other; set miner.positives to another, or memory: 0"
        )


def _names(names: Iterator[str]) -> str:
    return " or ".join(names)
