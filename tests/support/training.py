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
from lookalike.storage.files import write_parquet
from lookalike.storage.yaml_files import read_yaml
from lookalike.training.distributed import fabric_for
from lookalike.training.job import TrainingJob
from support.drawings import write_images
from support.project import ROOT

SETTINGS_SCHEMA = read_yaml(ROOT / "workflow" / "schemas" / "config.schema.yaml")
CPU = torch.device("cpu")
ALONE = fabric_for(CPU, "32-true")
IMAGE = ImageSettings(16, "squash", "white", (0.5, 0.5, 0.5), (0.2, 0.2, 0.2), "fast")
CLASSES, EACH = 12, 4


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
