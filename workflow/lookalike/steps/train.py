"""The train step: from a manifest and pixels to a model's folder."""

from __future__ import annotations

import logging
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import torch
from lightning_fabric import Fabric
from torch import nn

from lookalike import __version__
from lookalike.data.manifest_table import read_manifest, usable
from lookalike.embedding.allocation import keep_freed_memory
from lookalike.embedding.filling import EmbedSettings, features_of
from lookalike.images.pixel_store import DecodedRows, training_pixels
from lookalike.images.resizing import ImageSettings
from lookalike.jobs.preflight import require_room
from lookalike.jobs.speed import Speeds
from lookalike.jobs.torch_devices import choose_device, repeatable
from lookalike.models.backbones.frozen import HeadPart, features_digest
from lookalike.models.backbones.networks import EmbeddingNetwork
from lookalike.models.building import (
    before_training,
    build_model,
    embedding_dim_of,
)
from lookalike.models.files import save_model
from lookalike.models.settings import ModelSettings
from lookalike.storage.digests import digest_of
from lookalike.storage.files import write_parquet
from lookalike.training.checkpoints import Checkpoint
from lookalike.training.class_subsets import TRAINED_ON, as_noted, is_part
from lookalike.training.decisive import decisive, for_data
from lookalike.training.distributed import fabric_for, first_alone, leave
from lookalike.training.features import training_features
from lookalike.training.feeds import FeatureData, TrainingData, TrainingSet
from lookalike.training.held_out import divided
from lookalike.training.job import TrainingJob
from lookalike.training.keeping import SCORE, SCORE_AT_R
from lookalike.training.loop import train
from lookalike.training.losses.building import build_loss
from lookalike.training.optimization import fabric_precision
from lookalike.training.probe import work_of_step
from lookalike.training.recipe import Recipe

log = logging.getLogger(__name__)

# Decoded and sent through a frozen backbone at a time.
_IMAGES_AT_ONCE = 128

HISTORY = pa.schema(
    {
        "epoch": pa.int64(),
        "steps": pa.int64(),
        "images": pa.int64(),
        "loss": pa.float64(),
        "active_negatives": pa.float64(),
        "spread": pa.float64(),
        "zero_loss": pa.float64(),
        "without_positives": pa.float64(),
        "without_negatives": pa.float64(),
        "lr": pa.float64(),
        SCORE: pa.float64(),
        SCORE_AT_R: pa.float64(),
        "kept": pa.bool_(),
        "images_per_second": pa.float64(),
        "seconds": pa.float64(),
    }
)


def train_run(job: TrainingJob) -> None:
    """Train one run, and keep its network from before the first step beside it.

    Raises:
        LookalikeError: see `lookalike.training.loop.train`.
        Interrupted: a signal asked to end; the state is kept.
    """
    torch.set_num_threads(job.threads_of_each)
    repeatable()
    keep_freed_memory()
    target = choose_device(job.device)
    recipe = Recipe.from_dict(job.recipe)
    precision = fabric_precision(recipe.precision)
    fabric = fabric_for(target, precision, job.processes)
    log.info(
        "run %s, seed %d, on %s; processes: %d, threads of each: %d",
        job.recipe_name,
        job.seed,
        target.type,
        job.processes,
        job.threads_of_each,
    )

    table = usable(read_manifest(Path(job.manifest)))
    image = ImageSettings.from_dict(dict(job.image))

    def fresh() -> nn.Module:
        torch.manual_seed(job.seed)
        return build_model(recipe.model, image.size)

    # Weights may be fetched.
    model = first_alone(fabric, fresh)
    settings = dict(job.recipe["model"]) | {"embedding_dim": embedding_dim_of(model, recipe.model)}
    recipe = replace(recipe, model=ModelSettings.from_dict(settings))
    frozen = (
        features_digest(cast(EmbeddingNetwork, model), settings, image.to_dict())
        if recipe.train.frozen_backbone
        else None
    )
    require_room(Path(job.trained), 2 * _n_bytes(model), "the weights", "results")
    before = before_training(model, settings, trains_head=recipe.train.head)
    if fabric.is_global_zero:
        _save(job, *before, Path(job.untrained), "untrained", target, frozen)
    if not recipe.train.head:
        if fabric.is_global_zero:
            _keep_as_it_came(job, *before, target, frozen)
        leave()
        return
    data = first_alone(
        fabric, lambda: _training_set(job, recipe, table, image, model, frozen, fabric)
    )
    part = model
    if frozen is not None:
        part = HeadPart.of(cast(EmbeddingNetwork, model))
    checkpoint = _checkpoint(job, recipe, table, part, data, fabric)
    epochs = train(part, data, recipe, job.seed, fabric, checkpoint)
    if fabric.is_global_zero:
        n_classes = divided(data, recipe)[0].n_classes(data.labels)
        on = n_classes if is_part(recipe.train_classes) else None
        digest = _save(job, model.cpu(), settings, Path(job.trained), "trained", target, frozen, on)
        write_parquet(Path(job.history), pa.Table.from_pylist(epochs, schema=HISTORY))
        checkpoint.finish(digest)
        if not _decodes(data):
            whole = epochs[checkpoint.epochs_before :]
            _keep_speed(job, image.size, target, whole, n_classes[0])
    leave()


def _keep_speed(
    job: TrainingJob,
    size: int,
    device: torch.device,
    epochs: Sequence[Mapping[str, Any]],
    classes: int,
) -> None:
    """Keep how long a step took: before the next such training, `lookalike check` tells by it.

    epochs: that this process did from their first step; without one, nothing is kept. classes: that
    were trained on.
    """
    if not epochs:
        return
    seconds = statistics.median(epoch["seconds"] / epoch["steps"] for epoch in epochs)
    threads, processes = job.threads_of_each, job.processes
    batch = epochs[0]["images"] / epochs[0]["steps"]
    work = work_of_step(
        job.recipe, size, device.type, threads, processes, batch=batch, classes=classes
    )
    Speeds(Path(job.cache)).keep(work, seconds)


def _decodes(data: TrainingSet) -> bool:
    """Whether images are decoded while they are trained on: then a step may wait for that."""
    return isinstance(data, TrainingData) and isinstance(data.pixels, DecodedRows)


def _keep_as_it_came(
    job: TrainingJob,
    model: nn.Module,
    settings: Mapping[str, Any],
    device: torch.device,
    features: str | None,
) -> None:
    """Write the files of a run in which nothing is trained."""
    log.info("nothing is trained: the embeddings are the backbone's features")
    _save(job, model, settings, Path(job.trained), "trained", device, features)
    write_parquet(Path(job.history), HISTORY.empty_table())


def _training_set(
    job: TrainingJob,
    recipe: Recipe,
    table: pa.Table,
    image: ImageSettings,
    model: nn.Module,
    features: str | None,
    fabric: Fabric,
) -> TrainingSet:
    """What a network is trained on, once the cache has what it lacks.

    That is pixels; and for the head on a frozen backbone, the features of that digest.
    """
    (classes, labels), (_, contents) = (
        np.unique(table[column].to_numpy(), return_inverse=True) for column in ("label", "sha256")
    )
    labels, contents = labels.astype(np.int64), contents.astype(np.int64)
    names = tuple(map(str, classes))
    folder, cache = Path(job.folder), Path(job.cache)
    if features is None:
        pixels = training_pixels(
            table, folder, image, cache, job.threads_of_each, job.pixel_store_gb
        )
        return TrainingData(pixels, labels, image, contents, job.closed_set, names)
    embedder = features_of(cast(EmbeddingNetwork, model), recipe.model, image, features)
    how = EmbedSettings(cache, fabric.device.type, _IMAGES_AT_ONCE, job.threads_of_each)
    views = training_features(
        table, folder, embedder, how, fabric.device, recipe.views, recipe.augment
    )
    return FeatureData(views, labels, contents, job.closed_set, names)


def _checkpoint(
    job: TrainingJob,
    recipe: Recipe,
    table: pa.Table,
    part: nn.Module,
    data: TrainingSet,
    fabric: Fabric,
) -> Checkpoint:
    """Where the state of this training is kept, once it is seen that there is room for it.

    Its name follows from all that decides the training, and how the work is done.
    """
    cache, hashes = Path(job.cache), table["sha256"].to_pylist()
    digest = ImageSettings.from_dict(dict(job.image)).digest
    decided = decisive(for_data(job.recipe, data.facts))
    decides = [decided, digest, job.seed, hashes, data.labels.tolist()]
    precision = fabric_precision(recipe.precision)
    kind = fabric.device.type
    works = [job.code, dict(job.software), kind, precision, job.threads_of_each, job.processes]
    checkpoint = Checkpoint(cache / "training", digest_of([*decides, *works], length=32))
    # A loss may have parameters for each class; some classes may be held out.
    n_classes, dimension = int(data.labels.max()) + 1, recipe.model.embedding_dim
    of_loss = _n_bytes(
        build_loss(recipe.loss, n_classes, dimension, miner=recipe.miner, memory=recipe.memory)
    )
    # A state is the weights and two moments of each, and what else is kept of the weights: their
    # mean, those of the best epoch. The last state goes when the next one is there.
    states = 1 if checkpoint.kept else 2
    others = bool(recipe.optimizer.average) + recipe.validation.keeps_best
    state = 3 * (_n_bytes(part) + of_loss) + others * _n_bytes(part)
    require_room(cache, states * state, "the state of the training", "cache")
    return checkpoint


def _n_bytes(module: nn.Module) -> int:
    return sum(value.numel() * value.element_size() for value in module.state_dict().values())


def processes_for(device: str, gpus: int) -> int:
    """How many processes train on a job's GPUs: one each, and one alone on anything else."""
    return max(1, gpus) if choose_device(device).type == "cuda" else 1


def _save(
    job: TrainingJob,
    model: nn.Module,
    settings: Mapping[str, Any],
    folder: Path,
    state: str,
    device: torch.device,
    features: str | None,
    trained_on: tuple[int, int] | None = None,
) -> str:
    """Write a model's two files; returns its digest.

    trained_on: as from `HeldOut.n_classes`, where it is a part of the classes.
    """
    weights = getattr(model, "weights", None)
    further = {
        "backbone_weights": weights,
        "features": features,
        TRAINED_ON: trained_on and dict(zip(("classes", "of"), trained_on, strict=True)),
    }
    digest = save_model(
        model,
        folder / "model.safetensors",
        folder / "model.json",
        settings=settings,
        image=ImageSettings.from_dict(dict(job.image)).to_dict(),
        facts={
            "recipe": job.recipe_name,
            "settings": as_noted(job.recipe),
            "seed": job.seed,
            "version": __version__,
            "state": state,
            "device": device.type,
            **{key: value for key, value in further.items() if value is not None},
        },
    )
    as_it_came = state == "trained" and job.recipe["train"] == "none"
    log.info("%s model %s: %s", "unchanged" if as_it_came else state, digest[:12], folder)
    return digest
