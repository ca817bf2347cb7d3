"""The variants that a recipe's settings name, for digests of what a job depends on.

Imports no variant and nothing heavy: rules use it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lookalike.models.heads.table import HEADS
from lookalike.models.table import MODELS
from lookalike.records import Variant
from lookalike.training.augmentations.table import CHAIN
from lookalike.training.losses.table import LOSSES, MEMORY
from lookalike.training.optimizers.table import OPTIMIZERS
from lookalike.training.recipe import ValidationSettings, changes_seen
from lookalike.training.samplers.table import SAMPLERS
from lookalike.training.schedules.table import SCHEDULES

SCORED_BY = ["lookalike.training.validation"]
"""Dotted names of the modules that score held-out images."""


def variants_of(recipe: Mapping[str, Any]) -> Iterator[Variant]:
    """The network, loss, miner, memory, sampler, optimizer, schedule and augmentations of a recipe.

    Args:
        recipe: a complete recipe from the settings.

    Raises:
        LookalikeError: a name is none of those known.
    """
    yield from _of_network(recipe["model"])
    loss = LOSSES[recipe["loss"]["name"]]
    yield loss
    if miner := loss.miner_of(recipe["miner"]["name"]):
        yield miner
    if recipe["memory"]:
        yield MEMORY
    yield SAMPLERS[recipe["batch"]["name"]]
    yield OPTIMIZERS[recipe["optimizer"]["name"]]
    yield SCHEDULES[recipe["optimizer"]["schedule"]]
    changes = changes_seen(recipe)
    yield from [*changes, CHAIN] if changes else []


def modules_of(recipe: Mapping[str, Any]) -> list[str]:
    """Dotted names of the modules that hold the variants of a recipe, sorted."""
    return sorted({variant.module for variant in variants_of(recipe)})


def built_by(recipe: Mapping[str, Any]) -> list[Any]:
    """What the records say of how a recipe's variants are built, in order, as JSON values.

    Their tables are not followed (see `lookalike.provenance`): so this is counted beside the
    modules.
    """
    loss = LOSSES[recipe["loss"]["name"]]
    return [*(variant.built_by for variant in variants_of(recipe)), loss.miner, loss.own_lr]


def scored_by(recipe: Mapping[str, Any]) -> list[str]:
    """Dotted names of the modules whose scores decide a recipe's weights: none, most often."""
    keeps_best = ValidationSettings(**recipe["validation"]).keeps_best
    return SCORED_BY if keeps_best else []


def modules_of_network(model: Mapping[str, Any]) -> list[str]:
    """Dotted names of the modules that a recipe's `model` settings name."""
    return [variant.module for variant in _of_network(model)]


def network_built_by(model: Mapping[str, Any]) -> list[list[str]]:
    """As `built_by`, of a network alone."""
    return [variant.built_by for variant in _of_network(model)]


def _of_network(model: Mapping[str, Any]) -> Iterator[Variant]:
    network = MODELS[model["name"]]
    yield network
    if network.is_backbone:
        yield HEADS[model["head"]]
