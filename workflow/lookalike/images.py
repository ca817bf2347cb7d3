"""Images as pixels of one size: the settings, and reading a file by them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from lookalike.decoding import open_rgb, rgb_of
from lookalike.digests import digest_of
from lookalike.errors import LookalikeError

RESIZES = ("squash", "crop", "pad")


@dataclass(frozen=True)
class ImageSettings:
    """How an image becomes network input.

    size: side of the square in pixels; resize: `squash` (to the square, whatever the shape), `crop`
    (shorter side to size, centre square) or `pad` (longer side to size, the rest background);
    background: any colour name or `#rrggbb`, seen through transparent pixels and in the padding;
    mean, std: per channel, on the 0 to 1 scale. Raises LookalikeError for values that cannot be.
    """

    size: int
    resize: str
    background: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def __post_init__(self) -> None:
        if self.size < 1:
            raise LookalikeError(f"image.size is {self.size}; it must be 1 or more.")
        if self.resize not in RESIZES:
            raise LookalikeError(
                f"image.resize is {self.resize!r}; it must be one of {', '.join(RESIZES)}."
            )
        rgb_of(self.background)
        if len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0:
            raise LookalikeError(
                "image.mean and image.std must be three numbers each, std above 0; "
                f"they are {list(self.mean)} and {list(self.std)}."
            )

    @property
    def pixel_digest(self) -> str:
        """16 hexadecimal digits over all that decides the uint8 pixels."""
        return digest_of([self.size, self.resize, rgb_of(self.background)])

    @property
    def digest(self) -> str:
        """16 hexadecimal digits over all that decides the network's input."""
        return digest_of([self.pixel_digest, self.mean, self.std])

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ImageSettings:
        """Settings from config.yaml's `image` mapping."""
        red, green, blue = (float(value) for value in values["mean"])
        std_red, std_green, std_blue = (float(value) for value in values["std"])
        return cls(
            size=values["size"],
            resize=values["resize"],
            background=values["background"],
            mean=(red, green, blue),
            std=(std_red, std_green, std_blue),
        )

    def to_dict(self) -> dict[str, Any]:
        """The `image` mapping again, as JSON types."""
        return asdict(self) | {"mean": list(self.mean), "std": list(self.std)}


def load_pixels(source: str | Path | bytes, settings: ImageSettings) -> npt.NDArray[np.uint8]:
    """Read an image file, or its bytes, as uint8 [size, size, 3], RGB. Raises BadImageError."""
    image = open_rgb(source, settings.background)
    if settings.resize == "crop":
        return np.array(_crop(image, settings.size))
    if settings.resize == "pad":
        return np.array(_pad(image, settings.size, settings.background))
    return np.array(_resize(image, settings.size, settings.size))


def _resize(image: Image.Image, width: int, height: int) -> Image.Image:
    """Resize as torchvision does a PIL image: bilinear, averaging where it shrinks."""
    return image.resize((width, height), Image.Resampling.BILINEAR)


def _crop(image: Image.Image, size: int) -> Image.Image:
    """torchvision's Resize(size) and CenterCrop(size): shorter side to size, then the centre."""
    width, height = image.size
    # A strip of extreme shape would grow beyond memory before being cut to its centre.
    longest = 16 * min(width, height)
    if max(width, height) > longest:
        left, top = max(0, width - longest) // 2, max(0, height - longest) // 2
        width, height = min(width, longest), min(height, longest)
        image = image.crop((left, top, left + width, top + height))
    if width <= height:
        image = _resize(image, size, int(size * height / width))
    else:
        image = _resize(image, int(size * width / height), size)
    left, top = round((image.width - size) / 2), round((image.height - size) / 2)
    return image.crop((left, top, left + size, top + size))


def _pad(image: Image.Image, size: int, background: str) -> Image.Image:
    """Longer side to size, in the middle of a square of the background colour."""
    scale = size / max(image.size)
    width, height = (max(1, math.floor(side * scale + 0.5)) for side in image.size)
    canvas = Image.new("RGB", (size, size), rgb_of(background))
    canvas.paste(_resize(image, width, height), ((size - width) // 2, (size - height) // 2))
    return canvas
