"""Pieces of two photographs that scikit-learn brings, as files of every kind."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import imagecodecs
import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_images

from support.pictures import Pixels, encoded


def photographs(n: int, largest: int = 400, seed: int = 0) -> Iterator[tuple[str, bytes]]:
    """Name and content of files, each of another piece, kind and shape; the kinds take turns."""
    random = np.random.default_rng(seed)
    whole = load_sample_images().images
    for number in range(n):
        photograph = whole[number % len(whole)]
        height, width = (int(random.integers(24, min(largest, side))) for side in (427, 640))
        top = int(random.integers(0, photograph.shape[0] - height + 1))
        left = int(random.integers(0, photograph.shape[1] - width + 1))
        piece = photograph[top : top + height, left : left + width]
        name = list(KINDS)[number % len(KINDS)]
        yield f"{number:03d} {name}", KINDS[name](np.ascontiguousarray(piece))


def _jpeg(piece: Pixels, orientation: int = 1, mode: str = "RGB", scale: int = 1) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = Image.fromarray(piece).convert(mode)
    image = image.resize((image.width * scale, image.height * scale))
    return encoded(image, "JPEG", exif=exif, quality=90)


def _with_alpha(piece: Pixels, file_format: str) -> bytes:
    alpha = np.linspace(0, 255, piece.shape[1]).astype(np.uint8)
    alphas = np.broadcast_to(alpha[:, None], (*piece.shape[:2], 1))
    return encoded(Image.fromarray(np.dstack([piece, alphas])), file_format)


def _of_16_bits(piece: Pixels) -> bytes:
    return bytes(imagecodecs.png_encode(piece.astype(np.uint16) * 257))


KINDS: dict[str, Callable[[Pixels], bytes]] = {
    "JPEG": _jpeg,
    "JPEG on its side": lambda piece: _jpeg(piece, 6),
    "JPEG mirrored": lambda piece: _jpeg(piece, 2),
    "JPEG of CMYK": lambda piece: _jpeg(piece, mode="CMYK"),
    "JPEG of grey": lambda piece: _jpeg(piece, 8, mode="L"),
    "large JPEG": lambda piece: _jpeg(piece, 5, scale=4),
    "PNG with alpha": lambda piece: _with_alpha(piece, "PNG"),
    "PNG of 16 bits": _of_16_bits,
    "PNG of 16 bits, grey": lambda piece: _of_16_bits(piece[:, :, 1]),
    "PNG with a palette": lambda piece: encoded(Image.fromarray(piece).quantize(64), "PNG"),
    "WebP with alpha": lambda piece: _with_alpha(piece, "WEBP"),
}
"""How a piece, uint8 [height, width, 3], becomes the content of a file."""
