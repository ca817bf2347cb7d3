"""Grey of 16 or 32 bits, signed or of floats, as the 8 bits that a viewer shows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from lookalike.images.tiff import BITS_PER_SAMPLE, PHOTOMETRIC, SAMPLE_FORMAT

_WHITE_IS_ZERO, _UNSIGNED, _SIGNED = 0, 1, 2

_BAND = 2**20  # values of an image that are computed at a time: what is computed of them is wider


def to_8_bit(image: Image.Image, opened: Image.Image) -> Image.Image:
    """Turn grey that is not of 0 to 255 into 8 bits; leave other images alone.

    `opened` is the image as opened, with the file's own tags.
    """
    tags: Mapping[int, Any] = getattr(opened, "tag_v2", {})
    # One of each for every sample; extra samples count too.
    bits, sample_format = set(tags.get(BITS_PER_SAMPLE, ())), set(tags.get(SAMPLE_FORMAT, (1,)))
    signed_bytes = image.mode == "L" and sample_format == {_SIGNED}
    if not (image.mode == "F" or image.mode.startswith("I") or signed_bytes):
        return image
    values = np.asarray(image)
    # PPM says its span as PNG does, but Pillow hands its values over as 32-bit integers.
    if image.mode.startswith("I;16") or (image.mode == "I" and opened.format in {"PPM", "PNG"}):
        pixels = _scaled(values, white=4095 if bits == {12} else 65535)
    elif signed_bytes:
        pixels = _stretched(values.view(np.int8))
    elif bits == {32} and sample_format == {_UNSIGNED} and image.mode == "I":
        pixels = _stretched(values.view(np.uint32))
    else:
        pixels = _stretched(values)
    if tags.get(PHOTOMETRIC) == _WHITE_IS_ZERO:
        pixels = 255 - pixels
    grey = Image.fromarray(pixels)
    transparent = opened.info.get("transparency")
    if isinstance(transparent, int):
        alpha = np.where(values == transparent, np.uint8(0), np.uint8(255))
        grey.putalpha(Image.fromarray(alpha))
    return grey


def _scaled(values: npt.NDArray[Any], white: int) -> npt.NDArray[np.uint8]:
    """Grey of 0 to `white` (65535 at most) as 0 to 255, rounded to the nearest."""
    steps = np.arange(white + 1, dtype=np.int64)
    table = ((steps * 255 + white // 2) // white).astype(np.uint8)
    scaled = np.empty(values.shape, np.uint8)
    for band, out in _bands(values, scaled):
        out[:] = np.take(table, band, mode="clip")
    return scaled


def _stretched(values: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Grey that says nothing of its span, from its least value (0) to its greatest (255).

    Floats within 0 to 1 are taken to mean just that. NaN is black.
    """
    low, high = math.inf, -math.inf
    stretched = np.empty(values.shape, np.uint8)
    for band, _ in _bands(values, stretched):
        finite = band[np.isfinite(band)]
        if finite.size:
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))
    if low > high or (values.dtype.kind == "f" and low >= 0 and high <= 1):
        low, high = 0.0, 1.0
    for band, out in _bands(values, stretched):
        unit = (band.astype(np.float64) - low) / max(high - low, 1e-300)
        unit = np.nan_to_num(unit, nan=0, posinf=1, neginf=0)
        out[:] = np.floor(unit * 255 + 0.5)
    return stretched


def _bands(
    values: npt.NDArray[Any], out: npt.NDArray[np.uint8]
) -> Iterator[tuple[npt.NDArray[Any], npt.NDArray[np.uint8]]]:
    """Both arrays side by side, `_BAND` values at a time: a row may be as long as an image."""
    flat, flat_out = values.reshape(-1), out.reshape(-1)
    for start in range(0, flat.size, _BAND):
        yield flat[start : start + _BAND], flat_out[start : start + _BAND]
