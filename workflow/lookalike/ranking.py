"""Where the relevant items of each query stand in the gallery: exact ranks, ties included.

The gallery is ordered by decreasing score. Items of equal score are ordered by a hash of their
id, so no result depends on how the gallery happened to be sorted or cut into blocks.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import pad

from lookalike.errors import LookalikeError

SCORES = ("cosine", "euclidean")

# Every product has this shape, filled up with zero rows: a matrix product may choose another
# summation order for another shape, and then equal items would differ by where they stand.
_QUERY_TILE = 64
_GALLERY_TILE = 1024

_EXCLUDED = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Block:
    """Some queries or some gallery items.

    Attributes:
        ids: n names; unique within all queries, and within the whole gallery.
        labels: n labels; an item is relevant to a query of the same label.
        vectors: float32 [n, d].
        keys: n exclusion keys, or None. A gallery item whose key equals the query's is left out
            for that query; keys are given for both sides or for neither.

    """

    ids: Sequence[str]
    labels: Sequence[str]
    vectors: NDArray[np.float32]
    keys: Sequence[str] | None = None


@dataclass(frozen=True)
class RankedQuery:
    """One query's result over the whole gallery, after exclusion.

    Attributes:
        id: the query's id.
        label: the query's label.
        n_gallery: G, the gallery items left after exclusion.
        ranks: int64 [R], ascending, from 1: the ranks of the relevant items.
        optimistic: the same where relevant items stand first among their equals.
        pessimistic: the same where relevant items stand last among their equals.
        places: int64 [min(depth, G)], the first places: positions in the gallery as given.
        scores: float32 [min(depth, G)], the scores at those places.

    """

    id: str
    label: str
    n_gallery: int
    ranks: NDArray[np.int64]
    optimistic: NDArray[np.int64]
    pessimistic: NDArray[np.int64]
    places: NDArray[np.int64]
    scores: NDArray[np.float32]


def rank(
    queries: Iterable[Block],
    gallery: Callable[[], Iterable[Block]],
    *,
    score: str,
    depth: int,
) -> Iterator[RankedQuery]:
    """Rank the whole gallery for every query; yield results in the order of the queries.

    Args:
        queries: blocks of queries; a block of n costs n x N scores of memory.
        gallery: called for each pass over the N gallery items; yields the same blocks each time.
        score: "cosine" or "euclidean", see `score_matrix`.
        depth: how many first places to report.

    Raises:
        LookalikeError: an embedding holds NaN or infinity.

    """
    require_finite(gallery(), "the gallery")
    index = _index_gallery(gallery())
    for block in queries:
        require_finite([block], "the queries")
        if len(index.tie) and (block.keys is None) == bool(index.by_key):
            raise ValueError("exclusion keys must be given for queries and gallery, or for neither")
        parts = [score_matrix(block.vectors, part.vectors, score) for part in gallery()]
        rows = np.concatenate([np.empty((len(block.ids), 0), np.float32), *parts], axis=1)
        for row, scores in enumerate(rows):
            key = None if block.keys is None else block.keys[row]
            yield _rank_one(block.ids[row], block.labels[row], key, scores, index, depth)


def score_matrix(
    queries: NDArray[np.float32], gallery: NDArray[np.float32], score: str
) -> NDArray[np.float32]:
    """Scores of n queries [n, d] against m gallery items [m, d]: float32 [n, m], higher is nearer.

    `cosine` is the product of the normalised vectors. `euclidean` is the negative distance, summed
    from the differences themselves: the shorter |q|^2 + |g|^2 - 2 q.g cancels for near vectors, and
    would not give exactly 0 for equal ones. Both are summed in float64 and rounded once to float32,
    in tiles of one fixed shape: a score depends on its two vectors alone, neither on their
    position nor on the block size or the thread count, and equal vectors score equally.
    """
    if score not in SCORES:
        raise ValueError(f"score must be one of {SCORES}, not {score!r}")
    if score == "cosine":
        queries, gallery = normalised(queries), normalised(gallery)
    scores = np.empty((len(queries), len(gallery)), dtype=np.float32)
    gallery_tiles = list(_tiles(gallery, _GALLERY_TILE))
    for rows, query_tile in _tiles(queries, _QUERY_TILE):
        for columns, gallery_tile in gallery_tiles:
            if score == "cosine":
                tile = query_tile @ gallery_tile.T
            else:
                tile = -torch.cdist(
                    query_tile, gallery_tile, compute_mode="donot_use_mm_for_euclid_dist"
                )
            part = scores[rows, columns]
            # + 0 makes -0 an ordinary 0: the two are equal as scores, so also as bytes.
            part[:] = tile.float().numpy()[: part.shape[0], : part.shape[1]] + np.float32(0)
    return scores


def normalised(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows of length 1, float32 [n, d]; a zero row has no direction and stays zero (cosine 0)."""
    lengths = norms(vectors)[:, None]
    return np.divide(vectors, lengths, where=lengths > 0, out=np.zeros(vectors.shape)).astype(
        np.float32
    )


def norms(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """Euclidean length of each row of [n, d], float64 [n]; no float32 vector overflows."""
    length: NDArray[np.float64] = np.sqrt(np.square(vectors, dtype=np.float64).sum(axis=1))
    return length


def require_finite(blocks: Iterable[Block], where: str) -> None:
    """Raise a LookalikeError that names the images of `where` with NaN or infinity, if any."""
    bad = [
        block.ids[row]
        for block in blocks
        for row in np.flatnonzero(~np.isfinite(block.vectors).all(axis=1)).tolist()
    ]
    if bad:
        raise LookalikeError(
            f"{where}: the embeddings of {len(bad)} image(s) hold NaN or infinity and cannot be "
            f"ranked: {', '.join(bad[:5])}{', ...' if len(bad) > 5 else ''}. The model that made "
            "them has diverged, or an image's values overflow"
        )


def tie_order(ids: Sequence[str]) -> NDArray[np.int64]:
    """The place of each id among equal scores, int64 [n]: by BLAKE2b-64 of its UTF-8, then by id.

    A hash, since an order by name or position favours one class wherever names or folders follow
    the classes.
    """
    hashes = [hashlib.blake2b(name.encode(), digest_size=8).digest() for name in ids]
    order = sorted(range(len(ids)), key=lambda item: (hashes[item], ids[item]))
    places = np.empty(len(ids), dtype=np.int64)
    places[order] = np.arange(len(ids))
    return places


@dataclass(frozen=True)
class _GalleryIndex:
    """What every query asks of the N gallery items besides their vectors."""

    tie: NDArray[np.int64]
    item_at: NDArray[np.int64]
    by_label: dict[str, NDArray[np.int64]]
    by_key: dict[str, NDArray[np.int64]]


def _index_gallery(blocks: Iterable[Block]) -> _GalleryIndex:
    ids: list[str] = []
    labels: list[str] = []
    keys: list[str] = []
    for block in blocks:
        ids.extend(block.ids)
        labels.extend(block.labels)
        keys.extend(block.keys or ())
    tie = tie_order(ids)
    return _GalleryIndex(
        tie=tie,
        item_at=np.argsort(tie),
        by_label=_positions(labels),
        by_key=_positions(keys),
    )


def _positions(values: Iterable[str]) -> dict[str, NDArray[np.int64]]:
    """Where each value stands, ascending."""
    found: defaultdict[str, list[int]] = defaultdict(list)
    for position, value in enumerate(values):
        found[value].append(position)
    return {value: np.array(positions, dtype=np.int64) for value, positions in found.items()}


def _rank_one(
    name: str,
    label: str,
    key: str | None,
    scores: NDArray[np.float32],
    index: _GalleryIndex,
    depth: int,
) -> RankedQuery:
    none = np.empty(0, dtype=np.int64)
    relevant = index.by_label.get(label, none)
    excluded = none
    if key is not None:
        excluded = index.by_key.get(key, none)
        relevant = np.setdiff1d(relevant, excluded, assume_unique=True)

    order = _order_keys(scores, index.tie)
    found = np.sort(order[relevant])
    order[excluded] = _EXCLUDED
    order.sort()
    order = order[: len(order) - len(excluded)]

    level = found >> 32
    higher = np.searchsorted(order, level << 32)
    not_lower = np.searchsorted(order, (level + 1) << 32)
    ordinal = np.arange(len(found))
    first_equal = np.searchsorted(level, level, side="left")
    after_equal = np.searchsorted(level, level, side="right")
    places = index.item_at[order[:depth] & 0xFFFFFFFF]
    return RankedQuery(
        id=name,
        label=label,
        n_gallery=len(order),
        ranks=np.searchsorted(order, found) + 1,
        optimistic=higher + (ordinal - first_equal) + 1,
        pessimistic=not_lower - (after_equal - 1 - ordinal),
        places=places,
        scores=scores[places],
    )


def _order_keys(scores: NDArray[np.float32], tie: NDArray[np.int64]) -> NDArray[np.int64]:
    """One whole number per item whose increasing order is the ranking, int64 [n].

    The upper 32 bits fall with the score (the bits of a float, read as a whole number, rise with
    it where it is positive and fall where it is negative), the lower 32 hold the tie order. Whole
    numbers without equals sort several times faster than floats in stable order.
    """
    bits = scores.view(np.int32)
    rising = np.where(bits < 0, bits ^ 0x7FFFFFFF, bits).astype(np.int64)
    return (-rising << 32) | tie


def _tiles(vectors: NDArray[np.float32], size: int) -> Iterator[tuple[slice, torch.Tensor]]:
    """Cut rows into float64 tiles of `size` rows, the last filled up with zeros."""
    for start in range(0, len(vectors), size):
        rows = torch.from_numpy(np.ascontiguousarray(vectors[start : start + size])).double()
        yield slice(start, start + len(rows)), pad(rows, (0, 0, 0, size - len(rows)))
