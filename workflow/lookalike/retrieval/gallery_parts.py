"""The part of the gallery that some queries are ranked among: the whole, or what shares attributes.

A part's items are counted from 0 in the order of the gallery, so whatever counts and places items
does so in a part as in the whole; only where scores are made are its rows picked out of a block.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from lookalike.retrieval.arrays import Int32s
from lookalike.retrieval.streams import Block, whole_tiles
from lookalike.retrieval.strips import strip_of


@dataclass(frozen=True)
class GalleryPart:
    """Some of the N gallery items.

    Attributes:
        ties: int32 [n], the place among equal scores of each of its items, from 0 below N.
        positions: int32 [n], ascending, where in the gallery they are; None of the whole.

    """

    ties: Int32s
    positions: Int32s | None = None

    def strip(self, block: Block, strip: int, strips: int) -> tuple[int, int, torch.Tensor]:
        """One of several strips of this part's items in a block.

        Returns:
            The first of its items, how many they are, and their vectors: at least as many rows,
            up to whole tiles.
        """
        begin, end = self._bounds(block)
        first, last = strip_of(end - begin, strip, strips)
        if self.positions is None:
            return begin + first, last - first, block.vectors[first:]
        chosen = self.rows(block, np.arange(begin + first, begin + last, dtype=np.int32))
        return begin + first, last - first, chosen

    def among(self, items: Int32s, block: Block) -> tuple[int, int]:
        """Which of some of its items, ascending, a block holds: the first, and the end."""
        begin, end = np.searchsorted(items, self._bounds(block)).tolist()
        return begin, end

    def rows(self, block: Block, items: Int32s) -> torch.Tensor:
        """The vectors of some of its items that a block holds, filled up to whole tiles by 0."""
        there = items if self.positions is None else self.positions[items]
        device = block.vectors.device
        chosen = torch.from_numpy(there - block.first).to(device)
        vectors = torch.zeros(whole_tiles(len(items)), block.vectors.shape[1], device=device)
        torch.index_select(block.vectors, 0, chosen, out=vectors[: len(items)])
        return vectors

    def in_gallery(self, items: Int32s) -> Int32s:
        """Where in the gallery some of its items are; -1, which is none, stays."""
        if self.positions is None:
            return items
        return np.append(self.positions, np.int32(-1))[items]

    def _bounds(self, block: Block) -> tuple[int, int]:
        """The first of its items in a block, and the end of them."""
        if self.positions is None:
            return block.first, block.first + block.n
        bounds = np.searchsorted(self.positions, [block.first, block.first + block.n])
        begin, end = bounds.tolist()
        return begin, end
