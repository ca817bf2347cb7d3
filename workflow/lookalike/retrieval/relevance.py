"""What names tell before any score: who is relevant, who is left out, who is first of equals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lookalike.retrieval.arrays import Int32s, Int64s
from lookalike.retrieval.counting import hashes

Texts: TypeAlias = "Sequence[str] | pa.Array"


@dataclass(frozen=True)
class Names:
    """What items are called.

    Attributes:
        ids: n names, unique.
        labels: n labels. A gallery item is relevant to a query of the same label.
        keys: n exclusion keys, or None. A gallery item whose key equals the query's is left out
            for that query; keys are given for both sides or for neither.

    All are kept as Arrow arrays: a million Python strings would take five times the memory.

    """

    ids: Texts
    labels: Texts
    keys: Texts | None = None

    def __post_init__(self) -> None:
        for name in ("ids", "labels", "keys"):
            if (values := getattr(self, name)) is not None:
                object.__setattr__(self, name, as_texts(values))


class Relevance:
    """Which gallery items are relevant to, and which are left out for, each query."""

    def __init__(self, queries: Names, gallery: Names) -> None:
        if (queries.keys is None) != (gallery.keys is None):
            raise ValueError("exclusion keys must be given for queries and gallery, or for neither")
        self.n_gallery = len(gallery.ids)
        # The place of each gallery item among equal scores, int32 [N].
        self.tie = tie_order(gallery.ids)
        self.label_of_query, self._by_label = _match(queries.labels, gallery.labels)
        self._key_of_query, self._by_key = _match(queries.keys or [], gallery.keys or [])

    @property
    def n_relevant(self) -> Int64s:
        """Gallery items of each query's label, int64 [Q]; those that are left out count here."""
        return self._by_label.sizes[self.label_of_query]

    @property
    def n_left_out(self) -> Int64s:
        """Gallery items that are left out for each query, int64 [Q]."""
        if len(self._key_of_query) == 0:
            return np.zeros(len(self.label_of_query), np.int64)
        return self._by_key.sizes[self._key_of_query]

    def of_label(self, queries: Int64s) -> tuple[Int64s, Int32s]:
        """Gallery positions of each query's label, those that are left out among them.

        Returns:
            int64 [n + 1] and int32: the positions for query i of these n are at
            starts[i]:starts[i + 1], ascending.
        """
        return self._by_label.of(self.label_of_query[queries])

    def left_out(self, queries: Int64s) -> tuple[Int64s, Int32s]:
        """Gallery positions that are left out for each query, in the same form."""
        if len(self._key_of_query) == 0:
            return np.zeros(len(queries) + 1, np.int64), np.empty(0, np.int32)
        return self._by_key.of(self._key_of_query[queries])


def tie_order(ids: Texts) -> Int32s:
    """The place of each of n ids among equal scores, int32 [n]: by a hash of its UTF-8, then by id.

    A hash, since an order by name or position favours one class wherever names or folders follow
    the classes.
    """
    hashed = _hashed(ids)
    order = np.argsort(hashed)
    if len(_equal_to_next(hashed[order])):  # once in 10^7 galleries of a million items
        order = np.array(sorted(order, key=lambda item: (hashed[item], str(ids[item]))))
    places = np.empty(len(order), np.int32)
    places[order] = np.arange(len(order), dtype=np.int32)
    return places


def repeated(ids: Texts) -> str | None:
    """An id that is there twice, if there is one."""
    hashed = _hashed(ids)
    order = np.argsort(hashed)
    for place in _equal_to_next(hashed[order]).tolist():
        one, other = (str(ids[item]) for item in order[place : place + 2].tolist())
        if one == other:
            return one
    return None


def _hashed(ids: Texts) -> NDArray[np.uint64]:
    text = as_texts(ids)
    offsets = np.frombuffer(text.buffers()[1], np.int32)[text.offset :][: len(text) + 1]
    return hashes(np.frombuffer(text.buffers()[2] or b"", np.uint8), offsets)


def _equal_to_next(values: NDArray[np.uint64]) -> Int64s:
    return np.flatnonzero(values[1:] == values[:-1])


def as_texts(values: Texts) -> pa.Array:
    """Texts as an Arrow array of strings."""
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    if not isinstance(values, pa.Array):
        return pa.array(values, pa.string())
    return values if pa.types.is_string(values.type) else values.cast(pa.string())


@dataclass(frozen=True)
class _Positions:
    """Positions by value: those of value v are at starts[v]:starts[v + 1], ascending."""

    starts: Int64s
    positions: Int32s

    @property
    def sizes(self) -> Int64s:
        return np.diff(self.starts)

    def of(self, values: Int64s) -> tuple[Int64s, Int32s]:
        """The positions of some values, one after the other, and where each value's begin."""
        sizes = self.sizes[values]
        starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        shift = np.repeat(self.starts[values] - starts[:-1], sizes)
        return starts, self.positions[np.arange(starts[-1]) + shift]


def _match(queries: Texts, gallery: Texts) -> tuple[Int64s, _Positions]:
    """A number for each query's value, int64 [Q], and where the gallery has each of them."""
    values = as_texts(queries)
    distinct = values.unique()
    number = pc.index_in(values, distinct).to_numpy().astype(np.int64)
    found = pc.fill_null(pc.index_in(as_texts(gallery), distinct), -1).to_numpy()
    sizes = np.bincount(found + 1, minlength=len(distinct) + 1)
    positions = np.argsort(found, kind="stable").astype(np.int32)
    return number, _Positions(np.cumsum(sizes), positions)
