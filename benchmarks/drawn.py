"""Image files that are drawn, their manifest, and the settings that they are measured with."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch

from lookalike.config import resolve
from lookalike.data.manifest_table import SCHEMA
from lookalike.images.resizing import ImageSettings
from lookalike.storage.files import write_parquet
from lookalike.storage.yaml_files import read_yaml
from support.drawings import draw

CONFIG = Path(__file__).resolve().parents[1] / "workflow" / "schemas" / "config.schema.yaml"
CPU = torch.device("cpu")
DRAWN = 64  # distinct drawings; the files differ beyond that only in what no decoder reads
PER_CLASS = 4


def recipe_of(name: str, **changes: Any) -> tuple[dict[str, Any], ImageSettings]:
    """Settings of a recipe of one epoch without validation, and its image settings."""
    changes |= {"epochs": 1, "validation": {"classes": 0.0}}
    settings = resolve([{"recipes": {name: changes}}], read_yaml(CONFIG))
    image = settings["image"] | settings["recipes"][name]["image"]
    return settings["recipes"][name], ImageSettings.from_dict(image)


def write_jpegs(folder: Path, n_images: int) -> Path:
    """JPEG files of 640 x 480, all of distinct content; returns their manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    drawings = []
    for number in range(min(n_images, DRAWN)):
        stream = io.BytesIO()
        draw(number, 0, 640).resize((640, 480)).save(stream, "JPEG", quality=90)
        drawings.append(stream.getvalue())
    rows = []
    for number in range(n_images):
        content = drawings[number % len(drawings)] + number.to_bytes(8, "big")
        name, label = f"{number:07d}.jpg", str(number // PER_CLASS)
        (folder / name).write_bytes(content)
        sha256 = hashlib.sha256(content).hexdigest()
        known = {"image_id": name, "label": label, "sha256": sha256, "status": "ok"}
        rows.append(dict.fromkeys(SCHEMA.names) | known)
    manifest = folder.with_suffix(".parquet")
    write_parquet(manifest, pa.Table.from_pylist(rows, schema=SCHEMA))
    return manifest
