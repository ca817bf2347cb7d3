"""An epoch of each recipe that ships, with all it does, against the same steps on one batch."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import nn

from drawn import CPU, PER_CLASS, recipe_of, write_jpegs
from lookalike.data.manifest_table import read_manifest
from lookalike.embedding.allocation import keep_freed_memory
from lookalike.images.pixel_store import training_pixels
from lookalike.images.resizing import ImageSettings
from lookalike.models.backbones.frozen import HeadPart
from lookalike.models.backbones.networks import EmbeddingNetwork
from lookalike.models.building import build_model
from lookalike.training.augmentations.table import AUGMENTATIONS
from lookalike.training.averaging import Average
from lookalike.training.checkpoints import Checkpoint
from lookalike.training.distributed import fabric_for
from lookalike.training.feeds import FeatureData, TrainingData, TrainingSet
from lookalike.training.loop import train
from lookalike.training.losses.building import build_loss
from lookalike.training.optimization import build_optimizer, fabric_precision
from lookalike.training.recipe import Recipe
from lookalike.training.sampling import epoch_batches
from timing import Result, alternately

REPEATS = 3


def epoch(folder: Path, name: str, n_images: int, **changes: Any) -> list[Result]:
    """One epoch of a recipe, everything it does included, and its steps alone.

    Args:
        folder: for files.
        name: of the recipe.
        n_images: as many JPEG files are trained on, four a class.
        changes: of the recipe's settings.
    """
    settings, image = recipe_of(name, **changes)
    folder, recipe = folder / f"{name}-{image.size}", Recipe.from_dict(settings)
    keep_freed_memory()
    model = build_model(recipe.model, image.size)
    trained, data = what_is_trained(folder, model, recipe, image, n_images)
    batches = epoch_batches(data.labels, recipe.batch, 0, 1)
    trained = trained.to(memory_format=torch.channels_last)
    optimizer = build_optimizer(trained, recipe.optimizer)
    average = Average(trained, recipe.optimizer.average)
    loss_of = build_loss(
        recipe.loss,
        int(data.labels.max()) + 1,
        recipe.model.embedding_dim,
        miner=recipe.miner,
        memory=recipe.memory,
    )
    labels = torch.from_numpy(data.labels[batches[0]])
    unchanged = {
        setting.name: cast(float, setting.off)
        for change in AUGMENTATIONS
        for setting in change.settings
    }

    def steps(augmented: bool) -> None:
        feed = data.feed(recipe.augment if augmented else unchanged, CPU)
        loaded = feed.load(batches[0])
        trained.train()
        for step, _ in enumerate(batches):
            embeddings = trained(feed.inputs(loaded, step, slice(0, len(loaded)), len(loaded)))
            optimizer.zero_grad()
            loss_of(embeddings, labels).loss.backward()
            if recipe.optimizer.clip:
                nn.utils.clip_grad_norm_(trained.parameters(), recipe.optimizer.clip)
            optimizer.step()
            if recipe.optimizer.average:
                average.update(trained, step)

    took = alternately(
        {
            "epoch": lambda: train_once(folder, trained, data, recipe),
            "steps": lambda: steps(True),
            "bare": lambda: steps(False),
        },
        REPEATS,
    )
    what = f"{name}: an epoch of {n_images:,} images at {image.size}"
    return [
        Result(what, took["epoch"], "its steps on one batch in memory", took["steps"]),
        Result(what, took["epoch"], "the same without augmentation", took["bare"]),
    ]


def what_is_trained(
    folder: Path, model: nn.Module, recipe: Recipe, image: ImageSettings, n_images: int
) -> tuple[nn.Module, TrainingSet]:
    """The part of a network that a recipe trains, and images to train it on, or any features."""
    if not recipe.train.frozen_backbone:
        return model, training_data(folder, image, n_images)
    network = cast(EmbeddingNetwork, model)
    features = np.random.default_rng(0).standard_normal((n_images, 1, network.n_features))
    labels = np.arange(n_images, dtype=np.int64) // PER_CLASS
    return HeadPart.of(network), FeatureData(features.astype(np.float32), labels)


def training_data(folder: Path, image: ImageSettings, n_images: int) -> TrainingData:
    """JPEG files as a training sees them."""
    manifest = read_manifest(write_jpegs(folder / "jpegs", n_images))
    pixels = training_pixels(
        manifest, folder / "jpegs", image, folder / "cache", torch.get_num_threads(), 1.0
    )
    return TrainingData(pixels, labels_of(manifest), image)


def labels_of(manifest: pa.Table) -> NDArray[np.int64]:
    """The class of each image as a number: int64 [n]."""
    return np.unique(manifest["label"].to_numpy(), return_inverse=True)[1].astype(np.int64)


def train_once(folder: Path, model: nn.Module, data: TrainingSet, recipe: Recipe) -> None:
    """Train a copy of a network by a recipe, and keep nothing of it."""
    checkpoint = Checkpoint(folder / "training", "run")
    fabric = fabric_for(CPU, fabric_precision(recipe.precision))
    train(copy.deepcopy(model), data, recipe, 0, fabric, checkpoint)
    checkpoint.path.unlink()


def measure(folder: Path) -> list[Result]:
    """Each recipe that ships."""
    return [
        *epoch(folder, "default", 512, image={"size": 64}),
        *epoch(folder, "default", 72),
        *epoch(folder, "original", 128),
        *epoch(folder, "strong", 9600),
        *epoch(folder, "finetune", 256, image={"size": 64}),
    ]
