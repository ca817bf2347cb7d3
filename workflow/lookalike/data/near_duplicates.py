"""How alike two images look: a perceptual hash of their shapes, and their colours in broad strokes.

A copy that was resized, saved again or given another format keeps its appearance; its bytes tell
nothing.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any, NamedTuple

import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageStat

from lookalike.compilation import compiled
from lookalike.jobs.progress import Progress

log = logging.getLogger(__name__)

BITS = 64
"""Of a perceptual hash: two unrelated images differ in some 32 of them."""
APPEARANCE_BYTES = BITS // 8 + 12
"""Of an appearance."""

# Grey levels: a mean that differs by more is another colour, and a picture whose greys spread less
# is as good as blank; its hash would be noise.
_SAME_COLOUR, _BLANK = 20, 2.0

# Pairs of images: those that a thread compares before it says so, those that take long enough to be
# told before, and what one core compares in a minute.
_PAIRS_AT_ONCE, _MANY_PAIRS, _PAIRS_A_MINUTE = 500_000_000, 30_000_000_000, 60_000_000_000


class Appearances(NamedTuple):
    """Of n images: `APPEARANCE_BYTES` each, and int64 [n], a number for the bytes of each image."""

    each: Sequence[bytes]
    contents: NDArray[np.int64]


def appearance_of(image: Image.Image) -> bytes | None:
    """Of an RGB image, its pHash and the mean colours of its quarters; None if it is blank.

    pHash: which of the 64 lowest frequencies of the cosine transform of its greys lie above their
    median (imagehash.phash). It does not know red from blue, the 12 colour values do.
    """
    across, down = (max(1, side // 64) for side in image.size)
    small = image.reduce((across, down))
    if ImageStat.Stat(small.convert("L")).stddev[0] < _BLANK:
        return None
    shape = np.packbits(imagehash.phash(small).hash.ravel()).tobytes()
    return shape + small.resize((2, 2), Image.Resampling.BOX).tobytes()


def nearest_by_appearance(
    images: Appearances, others: Appearances, bits: int, *, threads: int = 1, what: str = "two sets"
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """For each image the nearest of the others that looks the same: its place, and how far it is.

    The same are those whose hashes differ in `bits` of `BITS` or fewer and whose colours are alike,
    of images that are not equal byte for byte. Of several as near, the first.

    Pairs that agree in a part of their hashes are compared one by one: of unrelated pictures few,
    of pictures that all look alike every pair, which is said where it takes long.

    Args:
        images: those that a nearest one is looked for.
        others: where it is looked for.
        bits: see above.
        threads: that compare side by side.
        what: the two sets, for progress.

    Returns:
        int64 [n], an index into the others, -1 where there is none; int64 [n], bits that differ.
    """
    found = np.full(len(images.each), -1, np.int64)
    far = np.full(len(images.each), BITS + 1, np.int64)
    if not len(images.each) or not len(others.each):
        return found, far
    hashes, colours = _parts(images.each)
    other_hashes, other_colours = _parts(others.each)
    # Hashes that differ in no more than `bits` places agree in one of `bits` + 1 bands at least.
    edges = np.linspace(0, BITS, bits + 2).astype(np.int64)
    bands = list(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True))

    banded = [[_band(values, *edge) for values in (hashes, other_hashes)] for edge in bands]
    pairs = sum(int(np.subtract(*_agreeing(*both)[::-1]).sum()) for both in banded)
    if pairs > _MANY_PAIRS:
        log.info(
            "near-duplicates of %s: many pictures look alike, up to %.2g pairs are compared, which "
            "may take some %d minutes; data.near_duplicates: false leaves that out",
            what,
            pairs,
            math.ceil(pairs / _PAIRS_A_MINUTE / threads),
        )
    with (
        Progress(f"near-duplicates of {what}", pairs, "pairs") as progress,
        ThreadPoolExecutor(max(1, threads)) as pool,
    ):
        for band, other_band in banded:
            order = np.argsort(other_band, kind="stable")
            ordered = other_hashes[order]
            first, last = _agreeing(band, other_band)

            def compare(
                rows: slice,
                order: NDArray[np.int64] = order,
                ordered: NDArray[np.uint64] = ordered,
                first: NDArray[np.int64] = first,
                last: NDArray[np.int64] = last,
            ) -> None:
                _search(
                    hashes[rows], colours[rows], images.contents[rows],
                    ordered, other_colours, others.contents,
                    order, first[rows], last[rows], bits, found[rows], far[rows],
                )  # fmt: skip

            done = np.concatenate([[0], np.cumsum(last - first)])
            # Parts of equal work, each a second's or less, but for a single image's.
            wanted = np.arange(_PAIRS_AT_ONCE, done[-1], _PAIRS_AT_ONCE)
            cuts = np.unique([0, *np.searchsorted(done, wanted), len(first)]).tolist()
            parts = [slice(*cut) for cut in pairwise(cuts)]
            for rows, _ in zip(parts, pool.map(compare, parts), strict=True):
                progress.update(int(done[rows.stop] - done[rows.start]))
    return found, far


def _parts(each: Sequence[bytes]) -> tuple[NDArray[np.uint64], NDArray[np.int16]]:
    values = np.frombuffer(b"".join(each), np.uint8).reshape(-1, APPEARANCE_BYTES)
    hashes = np.ascontiguousarray(values[:, : BITS // 8]).view("<u8")[:, 0].astype(np.uint64)
    return hashes, values[:, BITS // 8 :].astype(np.int16)


def _band(hashes: NDArray[np.uint64], low: int, high: int) -> NDArray[np.unsignedinteger[Any]]:
    """Some bits of each hash, as numbers of a type that numpy sorts quickly where they are few."""
    bits = (hashes >> np.uint64(low)) & np.uint64((1 << (high - low)) - 1)
    return bits.astype(np.uint16) if high - low <= 16 else bits


def _agreeing(
    band: NDArray[np.unsignedinteger[Any]], other_band: NDArray[np.unsignedinteger[Any]]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where in the sorted other band the values that equal each of a band begin and end."""
    if band.dtype != np.uint16:
        ordered = np.sort(other_band)
        return np.searchsorted(ordered, band, "left"), np.searchsorted(ordered, band, "right")
    ends = np.cumsum(np.bincount(other_band, minlength=2**16))
    return np.concatenate([[0], ends])[band], ends[band]


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
    """Compare each image with order[first:last] of the others; keep the nearest in found and far.

    other_hashes is in that order, which memory is read in; the rest is not.
    """
    for one in range(len(hashes)):
        for place in range(first[one], last[one]):
            if far[one] == 0:  # the first that is as near: `order` keeps the order
                break
            # How many bits are set: in pairs of bits, in groups of four, of eight, in all.
            x = hashes[one] ^ other_hashes[place]
            x -= (x >> np.uint64(1)) & np.uint64(0x5555555555555555)
            x = (x & np.uint64(0x3333333333333333)) + (
                (x >> np.uint64(2)) & np.uint64(0x3333333333333333)
            )
            x = (x + (x >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
            distance = np.int64((x * np.uint64(0x0101010101010101)) >> np.uint64(56))
            if distance > bits or distance > far[one]:
                continue
            other = order[place]
            if distance == far[one] and other >= found[one]:
                continue
            if contents[one] == other_contents[other]:
                continue
            is_alike = True
            for value in range(colours.shape[1]):
                if abs(colours[one, value] - other_colours[other, value]) > _SAME_COLOUR:
                    is_alike = False
                    break
            if is_alike:
                found[one], far[one] = other, distance
