"""The gallery cut into strips, so that all threads count for one tile of queries.

Many relevant items fill the memory of a group with a few queries, which are one tile. Each strip
has counts of its own; their sum, and the best of all their places, are those of the whole gallery.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lookalike.retrieval.arrays import Float32s, Int32s, Int64s
from lookalike.retrieval.counting import Levels, Places
from lookalike.retrieval.scores import GALLERY_TILE, rising

# Twelve bytes a relevant item and strip: with so many, a group takes twice its memory.
_MOST_STRIPS = 8


def strips_for(tiles: int, threads: int) -> int:
    """Into how many strips to cut the gallery, so that tiles of queries keep all threads busy."""

    def share_at_work(strips: int) -> float:
        return tiles * strips / threads / -(-tiles * strips // threads)

    choices = range(1, _MOST_STRIPS + 1)
    return next((some for some in choices if share_at_work(some) > 0.9), _MOST_STRIPS)


def strip_of(n_items: int, strip: int, strips: int) -> tuple[int, int]:
    """First item of one of several strips of whole tiles, and the end of it."""
    tiles = -(-n_items // GALLERY_TILE)
    first, end = (tiles * one // strips * GALLERY_TILE for one in (strip, strip + 1))
    return min(first, n_items), min(end, n_items)


def to_count_anew(levels: Levels) -> Levels:
    """The same levels, with counts of their own."""
    between, equal, before = (np.zeros_like(counts) for counts in _counts(levels))
    return levels._replace(between=between, equal=equal, before=before)


def add_counts(levels: Levels, more: Levels) -> None:
    """Add what another strip counted against the same levels."""
    for total, counts in zip(_counts(levels), _counts(more), strict=True):
        total += counts


def _counts(levels: Levels) -> tuple[Int32s, Int32s, Int32s]:
    return levels.between, levels.equal, levels.before


def joined(parts: Sequence[Places], n_gallery: int) -> Places:
    """The best items of several strips, as one count of them all would have left them."""
    score, tie, item = (
        np.concatenate([getattr(part, name) for part in parts], axis=1)
        for name in ("score", "tie", "item")
    )
    total = score.shape[1]
    depth = total // len(parts)
    filled = np.concatenate([np.arange(depth) < part.size[:, None] for part in parts], axis=1)
    keys = np.where(filled, ordered(score, tie, n_gallery), np.iinfo(np.int64).min)
    size = np.minimum(filled.sum(1), depth)
    # The worst of them first is a heap with the worst at its root.
    at = np.minimum(total - size[:, None] + np.arange(depth), total - 1)
    at = np.take_along_axis(np.argsort(keys, axis=1), at, 1)
    score, tie, item = (np.take_along_axis(values, at, 1) for values in (score, tie, item))
    return Places(score, tie, item, size)


def ordered(score: Float32s, tie: Int32s, n_gallery: int) -> Int64s:
    """One number whose order is that of the score, which is not -0, and of equals last to first."""
    return (rising(score.view(np.int32)).astype(np.int64) << 32) | (n_gallery - 1 - tie)
