"""Small trainings: images, a recipe, a job."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from lookalike.config import resolve
from lookalike.data.manifest_table import SCHEMA
from lookalike.images.resizing import ImageSettings, load_pixels
from lookalike.models.building import build_model
from lookalike.storage.files import write_parquet
from lookalike.storage.yaml_files import read_yaml
from lookalike.training.checkpoints import Checkpoint
from lookalike.training.distributed import fabric_for
from lookalike.training.feeds import TrainingData
from lookalike.training.job import TrainingJob
from lookalike.training.loop import train
from lookalike.training.recipe import Recipe
from support.drawings import write_images
from support.project import ROOT

SETTINGS_SCHEMA = read_yaml(ROOT / "workflow" / "schemas" / "config.schema.yaml")
CPU = torch.device("cpu")
ALONE = fabric_for(CPU, "32-true")
IMAGE = ImageSettings(16, "squash", "white", (0.5, 0.5, 0.5), (0.2, 0.2, 0.2), "fast")
CLASSES, EACH = 12, 4
PATTERNS = ImageSettings(
    16, "squash", "white", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), "fast"
)
# What a training remembers of past batches, and chance in what it takes of them.
REMEMBERING: dict[str, Any] = {
    "loss": {"name": "triplet"},
    "miner": {"name": "distance_weighted"},
    "memory": 40,
}


@dataclass(frozen=True)
class Data:
    """Training images: their folder and manifest, and their pixels decoded one by one."""

    folder: Path
    manifest: Path
    pixels: np.ndarray


def make_data(here: Path) -> Data:
    """Images of 12 classes, the last of which is the first one's content again."""
    folder = here / "train"
    labels = write_images(folder, list(range(CLASSES)), list(range(EACH)), size=24)
    names = sorted(labels)
    (folder / names[-1]).write_bytes((folder / names[0]).read_bytes())
    rows = [
        dict.fromkeys(SCHEMA.names)
        | {
            "image_id": name,
            "label": str(labels[name]),
            "sha256": hashlib.sha256((folder / name).read_bytes()).hexdigest(),
            "status": "ok",
        }
        for name in names
    ]
    write_parquet(here / "train.parquet", pa.Table.from_pylist(rows, schema=SCHEMA))
    pixels = np.stack([load_pixels(folder / name, IMAGE) for name in names])
    return Data(folder, here / "train.parquet", pixels)


def recipe(**changes: Any) -> dict[str, Any]:
    small = {"model": {"embedding_dim": 8}, "batch": {"classes": 6}, "epochs": 3}
    settings = resolve([{"recipes": {"small": small | changes}}], SETTINGS_SCHEMA)
    return settings["recipes"]["small"]  # type: ignore[no-any-return]


def job(made: Data, here: Path, **changes: Any) -> TrainingJob:
    """A short training of these images, with all that it makes in `here`."""
    told: dict[str, Any] = {
        "manifest": str(made.manifest),
        "folder": str(made.folder),
        "trained": str(here / "trained"),
        "untrained": str(here / "untrained"),
        "history": str(here / "history.parquet"),
        "recipe_name": "small",
        "recipe": recipe(validation={"classes": 0.25}),
        "image": IMAGE.to_dict(),
        "seed": 0,
        "device": "cpu",
        "cache": str(here / "cache"),
        "pixel_store_gb": 1.0,
        "code": "",
        "software": {},
        "threads": torch.get_num_threads(),
    }
    return TrainingJob(**(told | changes))


def blobs(classes: int = 12, each: int = 4) -> TrainingData:
    """Images whose class is a colour pattern, under heavy noise."""
    rng = np.random.default_rng(0)
    patterns = rng.integers(0, 256, (classes, 4, 4, 3))
    labels = np.repeat(np.arange(classes), each)
    clean = patterns[labels].repeat(4, axis=1).repeat(4, axis=2)
    noisy = clean + rng.normal(0, 60, clean.shape)
    return TrainingData(noisy.clip(0, 255).astype(np.uint8), labels, PATTERNS)


def run(
    folder: Path, settings: dict[str, Any], seed: int = 0, data: TrainingData | None = None
) -> tuple[dict[str, torch.Tensor], list[dict[str, Any]]]:
    """Train a network on `blobs`, or on `data`: its weights, and its history."""
    torch.manual_seed(seed)
    made = Recipe.from_dict(settings)
    model = build_model(made.model, PATTERNS.size)
    checkpoint = Checkpoint(folder, "run")
    history = train(model, data or blobs(), made, seed, ALONE, checkpoint)
    return model.state_dict(), history


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    """Whether weights are equal bit by bit."""
    return all(torch.equal(value, b[name]) for name, value in a.items())


def without_times(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A history but for the columns that no two trainings have alike."""
    times = {"seconds", "images_per_second"}
    return [{key: epoch[key] for key in epoch.keys() - times} for epoch in history]
