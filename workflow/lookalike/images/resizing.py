"""Images as pixels of one size: the settings, and reading a file by them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from lookalike.errors import LookalikeError
from lookalike.images.decoding import DecodedImage, Size, open_reduced, rgb_of
from lookalike.storage.digests import digest_of

RESIZES = ("squash", "crop", "pad")
DECODES = ("fast", "exact")

# The quality rule of `decode: fast`: no side is decoded at less than this many times the size that
# it is resized to. On photographs, twice keeps the mean difference from the full decode below one
# grey level; once makes it two to four times as large (docs/data.md).
MARGIN = 2


@dataclass(frozen=True)
class ImageSettings:
    """How an image becomes network input.

    size: side of the square in pixels; resize: `squash` (to the square, whatever the shape), `crop`
    (shorter side to size, centre square) or `pad` (longer side to size, the rest background);
    background: any colour name or `#rrggbb`, seen through transparent pixels and in the padding;
    mean, std: per channel, on the 0 to 1 scale; decode: `fast` (a large JPEG at a reduced scale,
    never below twice the size that it is resized to) or `exact` (every pixel). Raises
    LookalikeError for values that cannot be.
    """

    size: int
    resize: str
    background: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    decode: str

    def __post_init__(self) -> None:
        if self.size < 1:
            raise LookalikeError(f"image.size is {self.size}; it must be 1 or more.")
        if self.resize not in RESIZES:
            raise LookalikeError(
                f"image.resize is {self.resize!r}; it must be one of {', '.join(RESIZES)}."
            )
        if self.decode not in DECODES:
            raise LookalikeError(
                f"image.decode is {self.decode!r}; it must be one of {', '.join(DECODES)}."
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
        return digest_of([self.size, self.resize, rgb_of(self.background), self.decode])

    @property
    def digest(self) -> str:
        """16 hexadecimal digits over all that decides the network's input."""
        return digest_of([self.pixel_digest, self.mean, self.std])

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ImageSettings:
        """Settings from config.yaml's `image` mapping, as recipes see it, or from model.json.

        A model.json without `decode` was written when every image was decoded whole.
        """
        red, green, blue = (float(value) for value in values["mean"])
        std_red, std_green, std_blue = (float(value) for value in values["std"])
        return cls(
            size=values["size"],
            resize=values["resize"],
            background=values["background"],
            mean=(red, green, blue),
            std=(std_red, std_green, std_blue),
            decode=values.get("decode", "exact"),
        )

    def to_dict(self) -> dict[str, Any]:
        """The `image` mapping again, as JSON types."""
        return asdict(self) | {"mean": list(self.mean), "std": list(self.std)}


def load_pixels(source: str | Path | bytes, settings: ImageSettings) -> npt.NDArray[np.uint8]:
    """Read an image file, or its bytes, as uint8 [size, size, 3], RGB. Raises BadImageError."""
    least = partial(_least, settings=settings) if settings.decode == "fast" else None
    decoded = open_reduced(source, settings.background, least)
    if settings.resize == "squash":
        return np.array(_resize(decoded, (settings.size, settings.size)))
    if settings.resize == "crop":
        return np.array(_crop(decoded, settings.size))
    return np.array(_pad(decoded, settings.size, settings.background))


def _least(size: Size, settings: ImageSettings) -> Size:
    """The least width and height at which `decode: fast` decodes an image of `size`."""
    if settings.resize == "squash":
        width = height = settings.size
    else:
        width, height = (_size_to_crop if settings.resize == "crop" else _size_to_pad)(
            size, settings.size
        )
    return MARGIN * width, MARGIN * height


def _resize(decoded: DecodedImage, size: Size) -> Image.Image:
    """Resize as torchvision does a PIL image: bilinear, averaging where it shrinks."""
    return decoded.image.resize(size, Image.Resampling.BILINEAR, decoded.box)


def _size_to_crop(size: Size, side: int) -> Size:
    """The size that an image of `size` has when its shorter side is `side`."""
    width, height = size
    if width <= height:
        return side, int(side * height / width)
    return int(side * width / height), side


def _size_to_pad(size: Size, side: int) -> Size:
    """The size that an image of `size` has when its longer side is `side`."""
    scale = side / max(size)
    width, height = (max(1, math.floor(length * scale + 0.5)) for length in size)
    return width, height


def _crop(decoded: DecodedImage, side: int) -> Image.Image:
    """torchvision's Resize(side) and CenterCrop(side): shorter side to `side`, then the centre."""
    # A strip of extreme shape would grow beyond memory before being cut to its centre.
    decoded = _centre(decoded, longest=16 * min(decoded.size))
    image = _resize(decoded, _size_to_crop(decoded.size, side))
    left, top = round((image.width - side) / 2), round((image.height - side) / 2)
    return image.crop((left, top, left + side, top + side))


def _centre(decoded: DecodedImage, longest: int) -> DecodedImage:
    """The middle part, if a side is longer than `longest`."""
    (width, height), (left, top, right, bottom) = decoded.size, decoded.box
    if max(width, height) <= longest:
        return decoded
    across, down = (right - left) / width, (bottom - top) / height
    left += max(0, width - longest) // 2 * across
    top += max(0, height - longest) // 2 * down
    width, height = min(width, longest), min(height, longest)
    box = (left, top, left + width * across, top + height * down)
    return DecodedImage(decoded.image, (width, height), box)


def _pad(decoded: DecodedImage, side: int, background: str) -> Image.Image:
    """Longer side to `side`, in the middle of a square of the background colour."""
    width, height = size = _size_to_pad(decoded.size, side)
    canvas = Image.new("RGB", (side, side), rgb_of(background))
    canvas.paste(_resize(decoded, size), ((side - width) // 2, (side - height) // 2))
    return canvas
