"""How near a query and a gallery item are: products of fixed shape, on one thread each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from lookalike.retrieval.arrays import Float32s
from lookalike.retrieval.counting import distances, divide, lengths

Bits = TypeVar("Bits", "NDArray[Any]", torch.Tensor)

SCORES = ("cosine", "euclidean")

# Every product has one shape, filled up with zero rows, and is made by one thread: a matrix
# product may choose another order of summation for another shape or number of threads, and then
# equal items would differ by where they stand. 256 x 1024 floats fit a processor's own cache.
GALLERY_TILE = 1024


@dataclass
class Scorer:
    """Scores of up to `height` queries against any gallery items, higher is nearer.

    `cosine` is the product of vectors of length 1, summed in float32: a score is within 1e-6 of
    the exact one, mostly within 1e-7. `euclidean` is the negative distance, summed in float64 and
    rounded once to float32. Of equal vectors, the scores are equal.

    Attributes:
        vectors: the queries, [height, d], filled up with zero rows; float64 for `euclidean`.
        score: "cosine" or "euclidean".

    """

    vectors: torch.Tensor
    score: str

    @classmethod
    def of(cls, vectors: Float32s, height: int, score: str) -> Scorer:
        """Take n <= height queries, float32 [n, d], prepared for the score."""
        rows = with_zero_rows(vectors, height)
        return cls(rows.double() if score == "euclidean" else rows, score)

    def tiles(self, gallery: torch.Tensor, n_items: int) -> Iterator[tuple[int, Float32s]]:
        """Score gallery items, a tile at a time.

        Args:
            gallery: float32 [m, d], prepared, and filled up with zero rows to a multiple of
                GALLERY_TILE.
            n_items: how many rows are items.

        Yields:
            The first item of the tile, and its scores: float32 [height, GALLERY_TILE], to be used
            before the next tile is asked for.
        """
        height = len(self.vectors)
        out = torch.empty(height, GALLERY_TILE)
        product = torch.empty_like(out, dtype=self.vectors.dtype)
        for start in range(0, n_items, GALLERY_TILE):
            items = gallery[start : start + GALLERY_TILE]
            if self.score == "cosine":
                torch.mm(self.vectors, items.T, out=out)
            else:
                wide = items.double()
                torch.mm(self.vectors, wide.T, out=product)
                distances(product.numpy(), self.vectors.numpy(), wide.numpy(), out.numpy())
            yield start, out.numpy()


def score_matrix(queries: Float32s, gallery: Float32s, score: str) -> Float32s:
    """Scores of n queries [n, d] against m gallery items [m, d]: float32 [n, m], see `Scorer`."""
    if score not in SCORES:
        raise ValueError(f"score must be one of {SCORES}, not {score!r}")
    height = 64
    items = with_zero_rows(
        prepared(gallery, score), -(-len(gallery) // GALLERY_TILE) * GALLERY_TILE
    )
    scores = np.empty((len(queries), len(gallery)), np.float32)
    for first in range(0, len(queries), height):
        rows = scores[first : first + height]
        scorer = Scorer.of(prepared(queries[first : first + height], score), height, score)
        for start, tile in scorer.tiles(items, len(gallery)):
            part = rows[:, start : start + GALLERY_TILE]
            part[:] = tile[: part.shape[0], : part.shape[1]]
    return scores


def prepared(vectors: Float32s, score: str) -> Float32s:
    """What a score is made from: for `cosine` the rows brought to length 1, float32 [n, d]."""
    return normalised(vectors) if score == "cosine" else vectors


def normalised(vectors: NDArray[np.floating]) -> Float32s:
    """Rows of length 1, float32 [n, d]; a zero row has no direction and stays zero (cosine 0)."""
    contiguous = np.ascontiguousarray(vectors)
    out = np.empty(contiguous.shape, np.float32)
    divide(contiguous, lengths(contiguous), out)
    return out


def with_zero_rows(vectors: Float32s, height: int) -> torch.Tensor:
    """The rows, followed by zero rows up to `height`."""
    rows = torch.zeros(height, vectors.shape[1])
    rows[: len(vectors)] = torch.from_numpy(np.ascontiguousarray(vectors, np.float32))
    return rows


def rising(bits: Bits) -> Bits:
    """Whole numbers in the order of the floats whose bits these are, int32 of any shape.

    A float's bits, read as a whole number, rise with it where it is positive and fall where it is
    negative. The same again gives back the bits. Not for -0.
    """
    order: Bits = bits ^ ((bits >> 31) & 0x7FFFFFFF)
    return order
