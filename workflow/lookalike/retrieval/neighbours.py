"""The nearest gallery items of queries, or of the gallery's own items, and their embeddings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lookalike.retrieval.arrays import Float32s, Int32s
from lookalike.retrieval.ranking import rank
from lookalike.retrieval.relevance import as_texts
from lookalike.retrieval.streams import Items

# Embeddings that are kept, or gathered, at a time.
_BYTES = 256 * 2**20


@dataclass(frozen=True)
class Nearest:
    """The nearest gallery items of n items, the nearest first.

    Attributes:
        places: int32 [n, k], positions in the gallery; -1 where there are no more.
        scores: float32 [n, k], falling along each row; of no meaning at -1.

    """

    places: Int32s
    scores: Float32s


def nearest(
    asked: Items,
    gallery: Items,
    k: int,
    score: str,
    on_progress: Callable[[int], object] = lambda scores: None,
) -> Nearest:
    """Find the k nearest gallery items of each of `asked`, but for those of its own key.

    Exactly, and of equal scores in the order that rankings have, see `lookalike.retrieval.ranking`.
    The gallery streams by. Labels are not looked at.

    Args:
        asked: the n items.
        gallery: what is searched.
        k: how many; where the gallery has fewer items, all of them.
        score: "cosine" or "euclidean".
        on_progress: see `lookalike.retrieval.ranking.rank`.

    """
    k = min(k, len(gallery.ids))
    places, scores = np.full((len(asked.ids), k), -1, np.int32), np.zeros((len(asked.ids), k))
    found = Nearest(places, scores.astype(np.float32))
    sides = (_without_labels(asked, "asked"), _without_labels(gallery, "searched"))
    if k:
        for ranked in rank(*sides, score=score, depth=k, on_progress=on_progress):
            found.places[ranked.queries] = ranked.places
            found.scores[ranked.queries] = ranked.scores
    return found


def _without_labels(items: Items, name: str) -> Items:
    """The same items, of which none is relevant to any of another name."""
    return replace(items, labels=pa.repeat(pa.scalar(name, pa.string()), len(items.ids)))


def lenders(queries: Items, gallery: Items) -> NDArray[np.bool_]:
    """Which gallery items no query leaves out as being itself, bool [N].

    What such an item lent to others, the query would find in them: itself.
    """
    if queries.keys is None or gallery.keys is None:
        return np.ones(len(gallery.ids), np.bool_)
    own = pc.is_in(as_texts(gallery.keys), value_set=as_texts(queries.keys))
    free: NDArray[np.bool_] = ~own.to_numpy(zero_copy_only=False)
    return free


def part_of(items: Items, chosen: NDArray[np.bool_]) -> Items:
    """Some of the items, bool [N], in their order; their vectors still stream."""

    def vectors() -> Iterator[Float32s]:
        start = 0
        for block in items.vectors():
            yield block[chosen[start : start + len(block)]]
            start += len(block)

    mask = pa.array(chosen)
    columns = [items.ids, items.labels, *items.same, *items.within]
    ids, labels, *attributes = (as_texts(names).filter(mask) for names in columns)
    return Items(
        ids,
        labels,
        None if items.keys is None else as_texts(items.keys).filter(mask),
        vectors,
        items.name,
        same=attributes[: len(items.same)],
        within=attributes[len(items.same) :],
    )


class EmbeddingRows:
    """Embeddings by their positions: kept where they are few, else gathered as they stream by."""

    def __init__(self, items: Items) -> None:
        self._items = items
        self.width = next((block.shape[1] for block in items.vectors()), 0)
        self._kept: Float32s | None = None
        if len(items.ids) * self.width * 4 <= _BYTES:
            self._kept = np.concatenate(
                [np.empty((0, self.width), np.float32), *items.vectors()]
            ).astype(np.float32, copy=False)

    def queries_at_once(self, rows_each: int) -> int:
        """For how many queries `at` may be asked at once, of so many rows each."""
        return max(1, _BYTES // (4 * max(1, self.width * rows_each)))

    def at(self, positions: Int32s) -> Float32s:
        """The embeddings at positions of any shape, float32 [..., d]; zeros where one is -1."""
        there = positions >= 0
        if self._kept is not None:
            if not len(self._kept):
                return np.zeros((*positions.shape, self.width), np.float32)
            found: Float32s = self._kept[np.where(there, positions, 0)]
            found[~there] = 0
            return found
        wanted, place = np.unique(np.where(there, positions, -1), return_inverse=True)
        rows = np.zeros((len(wanted), self.width), np.float32)
        start = 0
        for block in self._items.vectors():
            begin, end = np.searchsorted(wanted, [start, start + len(block)])
            rows[begin:end] = block[wanted[begin:end] - start]
            start += len(block)
        return rows[place.reshape(positions.shape)]
