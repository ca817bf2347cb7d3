"""What names tell before any score: who is relevant, who is left out, who is first of equals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
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
        same: columns of n attributes each, None where an item has none. A gallery item of the
            query's label that has its attribute in every column is left out; what has none in one
            leaves nothing out. As many columns on both sides.
        within: likewise. A query is ranked among the gallery items that have its attribute in
            every column; what has none in one is in no query's gallery, and has none.

    All are kept as Arrow arrays: a million Python strings would take five times the memory.

    """

    ids: Texts
    labels: Texts
    keys: Texts | None = None
    same: Sequence[Texts] = field(default=(), kw_only=True)
    within: Sequence[Texts] = field(default=(), kw_only=True)

    def __post_init__(self) -> None:
        for name in ("same", "within"):
            object.__setattr__(self, name, tuple(map(as_texts, getattr(self, name))))
        for name in ("ids", "labels", "keys"):
            if (values := getattr(self, name)) is not None:
                object.__setattr__(self, name, as_texts(values))


class Relevance:
    """Which gallery items are relevant to, and which are left out for, each query.

    Items are counted from 0 within the query's part of the gallery: that is the whole unless
    `Names.within` divides it.

    Attributes:
        tie: int32 [N], the place of each gallery item among equal scores.
        part_of_query: int64 [Q], the number of each query's part; all 0 of the whole.

    """

    def __init__(self, queries: Names, gallery: Names) -> None:
        if (queries.keys is None) != (gallery.keys is None):
            raise ValueError("exclusion keys must be given for queries and gallery, or for neither")
        n_queries, self._n_gallery = len(queries.ids), len(gallery.ids)
        self.tie = tie_order(gallery.ids)
        same, within = (
            list(zip(getattr(queries, name), getattr(gallery, name), strict=True))
            for name in ("same", "within")
        )
        self._parts = _matched(within) if within else None
        self.part_of_query = self._parts.number if self._parts else np.zeros(n_queries, np.int64)
        self._place_in_part = self._parts.positions.places() if self._parts else None
        labels = _match(queries.labels, gallery.labels)
        self.label_of_query = labels.number
        self._relevant = _matched([(queries.labels, gallery.labels), *within]) if within else labels
        self._left_out = []
        if queries.keys is not None and gallery.keys is not None:
            keys = (queries.keys, gallery.keys)
            self._left_out.append(_matched([keys, *within]) if within else _match(*keys))
        if same:
            labelled = (queries.labels, gallery.labels)
            self._left_out.append(_matched([labelled, *same, *within]))

    @property
    def n_relevant(self) -> Int64s:
        """Gallery items of each query's label, int64 [Q]; those that are left out count here."""
        return self._relevant.sizes

    @property
    def n_left_out(self) -> Int64s:
        """Gallery items that are left out for each query, or more, int64 [Q]."""
        none = np.zeros(len(self.label_of_query), np.int64)
        return sum((some.sizes for some in self._left_out), start=none)

    def n_in_part(self, queries: Int64s) -> Int64s:
        """How many items the part of each query has, int64 [n]; those left out count here."""
        if self._parts is None:
            return np.full(len(queries), self._n_gallery)
        return self._parts.sizes[queries]

    def part(self, number: int) -> Int32s | None:
        """Where the items of a part are in the gallery, ascending; None of the whole."""
        return None if self._parts is None else self._parts.positions.of(np.array([number]))[1]

    def of_label(self, queries: Int64s) -> tuple[Int64s, Int32s]:
        """The items of each query's label, those that are left out among them.

        Returns:
            int64 [n + 1] and int32: the items for query i of these n are at
            starts[i]:starts[i + 1], ascending.
        """
        return self._within_part(self._relevant.of(queries))

    def left_out(self, queries: Int64s) -> tuple[Int64s, Int32s]:
        """The items that are left out for each query, in the same form."""
        if not self._left_out:
            return np.zeros(len(queries) + 1, np.int64), np.empty(0, np.int32)
        first, *others = (some.of(queries) for some in self._left_out)
        for more in others:
            first = _union(first, more, self._n_gallery)
        return self._within_part(first)

    def _within_part(self, found: tuple[Int64s, Int32s]) -> tuple[Int64s, Int32s]:
        starts, positions = found
        if self._place_in_part is None:
            return found
        return starts, self._place_in_part[positions]


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

    def places(self) -> Int32s:
        """The place of each position among those of its value, int32; 0 where it has none."""
        places = np.zeros(len(self.positions), np.int32)
        at = np.arange(self.starts[0], len(self.positions))
        places[self.positions[at]] = at - np.repeat(self.starts[:-1], self.sizes)
        return places


@dataclass(frozen=True)
class _Matched:
    """A number for each query's value, int64 [Q], and where the gallery has each of them."""

    number: Int64s
    positions: _Positions

    @property
    def sizes(self) -> Int64s:
        """How many gallery items have each query's value, int64 [Q]."""
        return self.positions.sizes[self.number]

    def of(self, queries: Int64s) -> tuple[Int64s, Int32s]:
        """Their positions, in the form of `Relevance.of_label`."""
        return self.positions.of(self.number[queries])


def _match(queries: Texts, gallery: Texts) -> _Matched:
    """Match one column."""
    values = as_texts(queries)
    distinct = values.unique()
    number = pc.index_in(values, distinct).to_numpy().astype(np.int64)
    found = pc.fill_null(pc.index_in(as_texts(gallery), distinct), -1).to_numpy()
    return _Matched(number, _positions(found, len(distinct)))


def _matched(columns: Sequence[tuple[Texts, Texts]]) -> _Matched:
    """Match several columns, each of queries and gallery: equal is what is equal in all of them.

    What is null in one equals nothing.
    """
    number, found, count = np.zeros(1, np.int64), np.zeros(1, np.int64), 1
    for queries, gallery in columns:
        values = as_texts(queries)
        distinct = values.unique().drop_null()
        here, there = (
            pc.fill_null(pc.index_in(as_texts(side), distinct), -1).to_numpy().astype(np.int64)
            for side in (values, gallery)
        )
        here, there = (
            np.where((before < 0) | (now < 0), -1, before * len(distinct) + now)
            for before, now in ((number, here), (found, there))
        )
        # Counted anew from 0, so that no product of many columns is too large.
        known = np.unique(here[here >= 0])
        count = len(known)
        number, found = (_places_among(known, side) for side in (here, there))
    # A value of its own, which no gallery item has, for queries that equal nothing.
    return _Matched(np.where(number < 0, count, number), _positions(found, count + 1))


def _places_among(known: Int64s, values: Int64s) -> Int64s:
    """The place of each value among known ones, ascending; -1 where it is none of them."""
    if not len(known):
        return np.full(len(values), -1)
    places = np.minimum(np.searchsorted(known, values), len(known) - 1)
    return np.where(known[places] == values, places, -1)


def _positions(found: NDArray[np.integer], count: int) -> _Positions:
    """Lay out positions by their value, from 0 below `count`; -1 is none."""
    sizes = np.bincount(found + 1, minlength=count + 1)
    return _Positions(np.cumsum(sizes), np.argsort(found, kind="stable").astype(np.int32))


def _union(
    one: tuple[Int64s, Int32s], other: tuple[Int64s, Int32s], n_gallery: int
) -> tuple[Int64s, Int32s]:
    """What is in either, for each query, in the same form."""
    n = len(one[0]) - 1
    both = np.concatenate(
        [
            np.repeat(np.arange(n), np.diff(starts)) * n_gallery + items
            for starts, items in (one, other)
        ]
    )
    rows, items = np.divmod(np.unique(both), max(n_gallery, 1))
    starts = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=n))]).astype(np.int64)
    return starts, items.astype(np.int32)
