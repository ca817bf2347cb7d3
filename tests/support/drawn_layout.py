"""A folder of images with their labels, read back."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def labels(root: Path, file: str) -> dict[str, str]:
    content: dict[str, str] = json.loads((root / file).read_text(encoding="utf-8"))
    return content


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def pixels(png: bytes | Path) -> NDArray[np.uint8]:
    """Height x width x RGBA."""
    source = io.BytesIO(png) if isinstance(png, bytes) else png
    with Image.open(source) as image:
        return np.asarray(image.convert("RGBA"))
