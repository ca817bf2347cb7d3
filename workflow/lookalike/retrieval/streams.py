"""Embeddings as streams: queries in groups that fit in memory, the gallery block by block."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from lookalike.errors import LookalikeError
from lookalike.retrieval.arrays import Float32s, Int64s
from lookalike.retrieval.counting import divide, lengths
from lookalike.retrieval.relevance import Names, Relevance, Texts
from lookalike.retrieval.scores import GALLERY_TILE
from lookalike.text import shown

# As many queries as fit here are ranked in one go, in two passes over the gallery.
_GROUP_BYTES = 128 * 2**20
_BYTES_PER_RELEVANT = 72

_BLOCK_ROWS, _BLOCK_BYTES = 32_768, 32 * 2**20
_KEPT_BYTES = 128 * 2**20


@dataclass(frozen=True)
class Items(Names):
    """All queries, or the whole gallery: names in memory, vectors as a stream.

    Attributes:
        vectors: called for each pass; yields float32 [m, d] in order, n rows in all.
        name: what messages call these items.

    """

    vectors: Callable[[], Iterable[Float32s]] = list
    name: str = "the embeddings"

    @classmethod
    def of(cls, ids: Texts, labels: Texts, vectors: Float32s, keys: Texts | None = None) -> Items:
        """Items whose vectors are in memory, float32 [n, d]."""
        return cls(ids, labels, keys, lambda: [vectors])


def require_finite_lengths(norms: NDArray[np.float64], items: Items) -> None:
    """Raise a LookalikeError that names the images with NaN or infinity, if these have any.

    Args:
        norms: float64 [n], the lengths of some of the embeddings.
        items: all of them, to be counted.

    """
    if np.isfinite(norms).all():
        return
    bad = np.concatenate([~np.isfinite(lengths(vectors)) for vectors in items.vectors()])
    names = [shown(str(items.ids[row])) for row in np.flatnonzero(bad)[:5].tolist()]
    raise LookalikeError(
        f"{items.name}: the embeddings of {bad.sum()} image(s) hold NaN or infinity and cannot be "
        f"ranked: {', '.join(names)}{', ...' if bad.sum() > 5 else ''}. The model that made "
        "them has diverged, or an image's values overflow"
    )


def groups(
    queries: Items, relevance: Relevance, depth: int, score: str
) -> Iterator[tuple[Int64s, Float32s]]:
    """Cut the queries into groups that fit in memory: which they are, and their vectors."""
    done = 0
    held: list[Float32s] = []
    apart = relevance.n_relevant + relevance.n_left_out
    # As they come, joined, and in tiles, where `euclidean` needs twice the precision.
    copies = 4 if score == "euclidean" else 3
    for first, vectors in _arrays(queries):
        require_finite_lengths(lengths(vectors), queries)
        fixed = vectors.shape[1] * 4 * copies + depth * 24
        costs = fixed + _BYTES_PER_RELEVANT * apart[done : first + len(vectors)]
        # Where a group ends, counted from the first query that is in none yet.
        start = first - done
        while start < len(costs):
            fitting = int(np.searchsorted(np.cumsum(costs), _GROUP_BYTES, "right"))
            end = min(max(fitting, start, 1), len(costs))
            held.append(vectors[done + start - first : done + end - first])
            if end == len(costs):
                break
            group = np.concatenate(held)
            held = []
            yield np.arange(done, done + end), group
            done, costs, start = done + end, costs[end:], 0
    if held:
        group = np.concatenate(held)
        held = []
        yield np.arange(done, done + len(group)), group


@dataclass(frozen=True)
class Block:
    """The gallery items from `first` on: float32 [n filled up to a multiple of a tile, d]."""

    first: int
    n: int
    vectors: torch.Tensor


class Gallery:
    """The gallery in blocks of some ten megabytes, ready for the product, as often as needed."""

    def __init__(
        self,
        items: Items,
        score: str,
        pool: ThreadPoolExecutor,
        device: torch.device,
    ) -> None:
        self.items, self.score, self.pool, self.device = items, score, pool, device
        self._kept: list[Block] | None = None
        self._buffer = torch.empty(0, 0)

    def blocks(self) -> Iterator[Block]:
        """One pass; a small gallery is kept ready for the next."""
        if self._kept is not None:
            yield from self._kept
            return
        kept = []
        for first, vectors in _arrays(self.items):
            width = vectors.shape[1]
            keep = len(self.items.ids) * width * 4 <= _KEPT_BYTES
            rows = max(GALLERY_TILE, min(_BLOCK_ROWS, _BLOCK_BYTES // (4 * width)))
            for start in range(0, len(vectors), rows):
                some = vectors[start : start + rows]
                height = whole_tiles(len(some))
                # One buffer for all that is not kept: the C library would hold on to many.
                if keep or self._buffer.shape[0] < height:
                    self._buffer = torch.empty(height, width)
                block = self._ready(some, first + start, self._buffer[:height])
                if keep:
                    kept.append(block)
                yield block
        if kept:
            self._kept = kept

    def _ready(self, vectors: Float32s, first: int, ready: torch.Tensor) -> Block:
        ready[len(vectors) :] = 0

        def prepare(start: int) -> None:
            rows = slice(start, start + 4 * GALLERY_TILE)
            norms = lengths(vectors[rows])
            require_finite_lengths(norms, self.items)
            if self.score == "cosine":
                divide(vectors[rows], norms, ready.numpy()[: len(vectors)][rows])
            else:
                ready.numpy()[: len(vectors)][rows] = vectors[rows]

        list(self.pool.map(prepare, range(0, len(vectors), 4 * GALLERY_TILE)))
        return Block(first, len(vectors), ready.to(self.device))


def _arrays(items: Items) -> Iterator[tuple[int, Float32s]]:
    """The vectors in order, with the position of the first of each array."""
    first = 0
    for vectors in items.vectors():
        # Sums are made in vector instructions: their last digits follow from the layout.
        yield first, np.ascontiguousarray(vectors, np.float32)
        first += len(vectors)


def whole_tiles(rows: int) -> int:
    """Rows that fill whole tiles: the next multiple of GALLERY_TILE."""
    return -(-rows // GALLERY_TILE) * GALLERY_TILE
