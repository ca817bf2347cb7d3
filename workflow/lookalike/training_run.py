"""The train step: from a manifest and pixels to a model's folder."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from lookalike import __version__
from lookalike.allocation import keep_freed_memory
from lookalike.checkpoints import Checkpoint
from lookalike.digests import digest_of
from lookalike.files import write_parquet
from lookalike.images import ImageSettings
from lookalike.manifest_table import read_manifest, usable
from lookalike.models import build_model, choose_device, save_model
from lookalike.pixels import training_pixels
from lookalike.training import VALIDATION_K, TrainingData, fabric_precision, train

log = logging.getLogger(__name__)

HISTORY = pa.schema(
    {
        "epoch": pa.int64(),
        "steps": pa.int64(),
        "images": pa.int64(),
        "loss": pa.float64(),
        "active_negatives": pa.float64(),
        "spread": pa.float64(),
        "lr": pa.float64(),
        f"validation_mAP@{VALIDATION_K}": pa.float64(),
        "images_per_second": pa.float64(),
        "seconds": pa.float64(),
    }
)


@dataclass(frozen=True)
class ModelFiles:
    """The two files from which a model can be rebuilt; they are in one folder."""

    weights: Path
    description: Path


def train_run(
    manifest: Path,
    folder: Path,
    trained: ModelFiles,
    untrained: ModelFiles,
    history: Path,
    *,
    recipe_name: str,
    recipe: Mapping[str, Any],
    image: Mapping[str, Any],
    seed: int,
    device: str,
    cache: Path,
    pixel_store_gb: float,
    code: str,
    software: Mapping[str, str],
    threads: int,
) -> None:
    """Train one run, and keep its network from before the first step beside it.

    Args:
        manifest: manifest/train.parquet.
        folder: of the training images; opened only where their pixels are not in the cache.
        trained: where the model goes.
        untrained: where the same network before its first step goes.
        history: history.parquet, a row an epoch.
        recipe_name: name under `recipes`.
        recipe: its settings, complete.
        image: the image settings it uses.
        seed: of weights, batches and augmentation.
        device: as in the settings.
        cache: the cache folder; the state of an unfinished training is kept there.
        pixel_store_gb: the largest store of decoded images; where they would take more, each batch
            is decoded as it is needed.
        code: digest of the code that trains.
        software: versions of the libraries it uses.
        threads: of the CPU.
    """
    torch.set_num_threads(threads)
    repeatable()
    keep_freed_memory()
    target = choose_device(device)
    log.info("run %s, seed %d, on %s with %d threads", recipe_name, seed, target.type, threads)

    table = usable(read_manifest(manifest))
    labels = np.unique(table["label"].to_numpy(), return_inverse=True)[1].astype(np.int64)
    hashes = table["sha256"].to_pylist()
    settings = ImageSettings.from_dict(dict(image))
    pixels = training_pixels(table, folder, settings, cache, threads, pixel_store_gb)
    data = TrainingData(pixels, labels, settings)

    torch.manual_seed(seed)
    model = build_model(recipe["model"], settings.size)
    facts = {"recipe": recipe_name, "settings": dict(recipe), "seed": seed, "version": __version__}

    def save(files: ModelFiles, state: str) -> None:
        digest = save_model(
            model,
            files.weights,
            files.description,
            settings=recipe["model"],
            image=settings.to_dict(),
            facts={**facts, "state": state, "device": target.type},
        )
        log.info("%s model %s: %s", state, digest[:12], files.weights)

    save(untrained, "untrained")
    decides = [dict(recipe), settings.digest, seed, hashes, labels.tolist()]
    works = [code, dict(software), target.type, fabric_precision(recipe, target), threads]
    checkpoint = Checkpoint(cache / "training", digest_of([*decides, *works], length=32))
    epochs = train(model, data, recipe, seed, target, checkpoint)
    save(trained, "trained")
    write_parquet(history, pa.Table.from_pylist(epochs, schema=HISTORY))
    checkpoint.remove()


def repeatable() -> None:
    """Ask torch for the same bytes from the same work on the same machine."""
    # cuBLAS needs a fixed workspace for that, and reads this when it is first used.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cudnn.benchmark = False
