"""The train step: from a manifest and pixels to a model's folder."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from torch import nn

from lookalike import __version__
from lookalike.data.manifest_table import read_manifest, usable
from lookalike.embedding.allocation import keep_freed_memory
from lookalike.images.pixel_store import training_pixels
from lookalike.images.resizing import ImageSettings
from lookalike.jobs.preflight import require_room
from lookalike.jobs.torch_devices import choose_device, repeatable
from lookalike.models.building import build_model
from lookalike.models.files import save_model
from lookalike.storage.digests import digest_of
from lookalike.storage.files import write_parquet
from lookalike.training.checkpoints import Checkpoint
from lookalike.training.distributed import fabric_for, leave
from lookalike.training.feeds import TrainingData
from lookalike.training.job import TrainingJob
from lookalike.training.loop import VALIDATION_K, train
from lookalike.training.losses.building import build_loss
from lookalike.training.optimization import fabric_precision
from lookalike.training.recipe import Recipe, decisive

log = logging.getLogger(__name__)

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
        f"validation_mAP@{VALIDATION_K}": pa.float64(),
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
    threads = max(1, job.threads // job.processes)
    torch.set_num_threads(threads)
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
        threads,
    )

    table = usable(read_manifest(Path(job.manifest)))
    labels = np.unique(table["label"].to_numpy(), return_inverse=True)[1].astype(np.int64)
    hashes = table["sha256"].to_pylist()
    image, cache = ImageSettings.from_dict(dict(job.image)), Path(job.cache)
    for first in (True, False):
        # One process decodes what the cache lacks; the others find it there.
        if fabric.is_global_zero == first:
            pixels = training_pixels(
                table, Path(job.folder), image, cache, threads, job.pixel_store_gb
            )
        fabric.barrier()
    data = TrainingData(pixels, labels, image)

    torch.manual_seed(job.seed)
    model = build_model(recipe.model, image.size)
    decides = [decisive(job.recipe), image.digest, job.seed, hashes, labels.tolist()]
    works = [job.code, dict(job.software), target.type, precision, threads, job.processes]
    checkpoint = Checkpoint(cache / "training", digest_of([*decides, *works], length=32))
    weights = _n_bytes(model)
    # A loss may have parameters for each class; some classes may be held out.
    of_loss = _n_bytes(build_loss(recipe.loss, int(labels.max()) + 1, recipe.model.embedding_dim))
    # A state is the weights and two moments of each; the last one goes when the next one is there.
    states = 1 if checkpoint.kept else 2
    require_room(cache, 3 * states * (weights + of_loss), "the state of the training", "cache")
    require_room(Path(job.trained), 2 * weights, "the weights", "results")
    if fabric.is_global_zero:
        _save(job, model, Path(job.untrained), "untrained", target)
    epochs = train(model, data, recipe, job.seed, fabric, checkpoint)
    if fabric.is_global_zero:
        digest = _save(job, model, Path(job.trained), "trained", target)
        write_parquet(Path(job.history), pa.Table.from_pylist(epochs, schema=HISTORY))
        checkpoint.finish(digest)
    leave()


def _n_bytes(module: nn.Module) -> int:
    return sum(value.numel() * value.element_size() for value in module.state_dict().values())


def processes_for(device: str, gpus: int) -> int:
    """How many processes train on a job's GPUs: one each, and one alone on anything else."""
    return max(1, gpus) if choose_device(device).type == "cuda" else 1


def _save(
    job: TrainingJob, model: nn.Module, folder: Path, state: str, device: torch.device
) -> str:
    """Write a model's two files; returns its digest."""
    digest = save_model(
        model,
        folder / "model.safetensors",
        folder / "model.json",
        settings=job.recipe["model"],
        image=ImageSettings.from_dict(dict(job.image)).to_dict(),
        facts={
            "recipe": job.recipe_name,
            "settings": dict(job.recipe),
            "seed": job.seed,
            "version": __version__,
            "state": state,
            "device": device.type,
        },
    )
    log.info("%s model %s: %s", state, digest[:12], folder)
    return digest
