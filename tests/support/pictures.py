"""Pictures of noise, their files, and the settings to read them with."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from lookalike.images.resizing import ImageSettings

Pixels = npt.NDArray[Any]
SETTINGS = ImageSettings(
    size=24,
    resize="squash",
    background="white",
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
    decode="exact",
)


def noise(width: int, height: int, channels: int = 3, seed: int = 0) -> Pixels:
    shape = (height, width, channels) if channels > 1 else (height, width)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def encoded(image: Image.Image, file_format: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, file_format, **options)
    return stream.getvalue()
