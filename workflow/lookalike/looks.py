"""How alike two images look: a perceptual hash of their shapes, and their colours in broad strokes.

A copy that was resized, saved again or given another format keeps its look; its bytes tell nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageStat

from lookalike.compilation import compiled

BITS = 64
"""Of a perceptual hash: two unrelated images differ in some 32 of them."""
N_BYTES = BITS // 8 + 12
"""Of a look."""

# Grey levels: a mean that differs by more is another colour, and a picture whose greys spread less
# is as good as blank; its hash would be noise.
_SAME_COLOUR, _BLANK = 20, 2.0


class Looks(NamedTuple):
    """Looks of n images, `N_BYTES` each, and int64 [n], a number for the bytes of each image."""

    looks: Sequence[bytes]
    contents: NDArray[np.int64]


def look_of(image: Image.Image) -> bytes | None:
    """The look of an RGB image: its pHash and the mean colours of its quarters; None if blank.

    pHash: which of the 64 lowest frequencies of the cosine transform of its greys lie above their
    median (imagehash.phash). It does not know red from blue, the 12 colour values do.
    """
    across, down = (max(1, side // 64) for side in image.size)
    small = image.reduce((across, down))
    if ImageStat.Stat(small.convert("L")).stddev[0] < _BLANK:
        return None
    shape = np.packbits(imagehash.phash(small).hash.ravel()).tobytes()
    return shape + small.resize((2, 2), Image.Resampling.BOX).tobytes()


def nearest(images: Looks, others: Looks, bits: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """For each image the nearest of the others that looks the same: its place, and how far it is.

    The same are looks whose hashes differ in `bits` of `BITS` or fewer and whose colours are alike,
    of images that are not equal byte for byte. Of several as near, the first.

    Returns:
        int64 [n], an index into the others, -1 where there is none; int64 [n], bits that differ.
    """
    found = np.full(len(images.looks), -1, np.int64)
    far = np.full(len(images.looks), BITS + 1, np.int64)
    if not len(images.looks) or not len(others.looks):
        return found, far
    hashes, colours = _parts(images.looks)
    other_hashes, other_colours = _parts(others.looks)
    # Hashes that differ in no more than `bits` places agree in one of `bits` + 1 bands at least.
    edges = np.linspace(0, BITS, bits + 2).astype(np.int64)
    for low, high in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        band, other_band = (
            (values >> np.uint64(low)) & np.uint64((1 << (high - low)) - 1)
            for values in (hashes, other_hashes)
        )
        order = np.argsort(other_band, kind="stable")
        ordered = other_band[order]
        first = np.searchsorted(ordered, band, "left")
        last = np.searchsorted(ordered, band, "right")
        _search(
            hashes, colours, images.contents, other_hashes, other_colours, others.contents,
            order, first, last, bits, found, far,
        )  # fmt: skip
    return found, far


def _parts(looks: Sequence[bytes]) -> tuple[NDArray[np.uint64], NDArray[np.int16]]:
    values = np.frombuffer(b"".join(looks), np.uint8).reshape(-1, N_BYTES)
    hashes = np.ascontiguousarray(values[:, : BITS // 8]).view("<u8")[:, 0].astype(np.uint64)
    return hashes, values[:, BITS // 8 :].astype(np.int16)


@compiled
def _search(
    hashes: NDArray[np.uint64],
    colours: NDArray[np.int16],
    contents: NDArray[np.int64],
    other_hashes: NDArray[np.uint64],
    other_colours: NDArray[np.int16],
    other_contents: NDArray[np.int64],
    order: NDArray[np.int64],
    first: NDArray[np.int64],
    last: NDArray[np.int64],
    bits: int,
    found: NDArray[np.int64],
    far: NDArray[np.int64],
) -> None:
    """Compare each look with order[first:last] of the others; keep the nearest in found and far."""
    for one in range(len(hashes)):
        for place in range(first[one], last[one]):
            if far[one] == 0:  # the first that is as near: `order` keeps the order
                break
            other = order[place]
            differing = hashes[one] ^ other_hashes[other]
            distance = 0
            while differing and distance <= bits:
                differing &= differing - np.uint64(1)
                distance += 1
            if distance > bits or distance > far[one]:
                continue
            if distance == far[one] and other >= found[one]:
                continue
            if contents[one] == other_contents[other]:
                continue
            if np.abs(colours[one] - other_colours[other]).max() <= _SAME_COLOUR:
                found[one], far[one] = other, distance
