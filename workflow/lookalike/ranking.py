"""Where the relevant items of each query stand in the gallery: exact ranks, ties included.

The gallery is ordered by decreasing score. Items of equal score are ordered by a hash of their
id, so no result depends on how the gallery happened to be sorted or cut into blocks.

The gallery streams by twice for a group of queries: once for the scores of the relevant items, and
once to count how many other items score above each. No row of scores is ever whole in memory, and
none is sorted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import repeat

import numpy as np
import torch
from numpy.typing import NDArray

from lookalike.counting import (
    CELLS,
    Levels,
    Marks,
    Places,
    count,
    divide,
    first_places,
    lay_grid,
    lengths,
    place,
    take,
)
from lookalike.device_counting import HEIGHT, DeviceCounts, DeviceScorer, rising
from lookalike.errors import LookalikeError
from lookalike.metrics import Ranks
from lookalike.relevance import Names, Relevance, Texts
from lookalike.scores import GALLERY_TILE, SCORES, Scorer, prepared

Float32s = NDArray[np.float32]
Int32s = NDArray[np.int32]
Int64s = NDArray[np.int64]

# Queries in one product: with few queries, smaller tiles let more threads take part.
_FEW_QUERIES, _LOW_TILE, _HIGH_TILE = 1024, 64, 256

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


@dataclass(frozen=True)
class Ranked:
    """Results of n queries over the whole gallery, after exclusion.

    Attributes:
        queries: int64 [n], which queries they are, as positions in the query table.
        n_gallery: int64 [n], G, the gallery items left after exclusion.
        ranks: the ranks of the relevant items.
        optimistic: the same where relevant items stand first among their equals.
        pessimistic: the same where relevant items stand last among their equals.
        places: int32 [n, depth], the first places: positions in the gallery, -1 beyond its end.
        scores: float32 [n, depth], the scores at those places.
        relevant: bool [n, depth], whether a relevant item stands there.

    """

    queries: Int64s
    n_gallery: Int64s
    ranks: Ranks
    optimistic: Ranks
    pessimistic: Ranks
    places: Int32s
    scores: Float32s
    relevant: NDArray[np.bool_]


def rank(
    queries: Items,
    gallery: Items,
    *,
    score: str,
    depth: int,
    seen: Callable[[int], object] = lambda scores: None,
    device: torch.device | str = "cpu",
) -> Iterator[Ranked]:
    """Rank the whole gallery for every query; every query is in one of the results.

    As many threads work as torch is set to use; no result depends on their number.

    Args:
        queries: the Q queries.
        gallery: the N items that are searched.
        score: "cosine" or "euclidean", see `lookalike.scores`.
        depth: how many first places to report; there are no more than gallery items.
        seen: told now and then how many more of the Q x N scores have been counted.
        device: where scores are made and counted; its scores may differ from the CPU's by 1e-6.

    Raises:
        LookalikeError: an embedding holds NaN or infinity, or the device cannot make the score.

    """
    if score not in SCORES:
        raise ValueError(f"score must be one of {SCORES}, not {score!r}")
    depth = min(depth, len(gallery.ids))
    relevance = Relevance(queries, gallery)
    accelerator = _accelerator(torch.device(device))
    with _workers() as pool:
        stream = _Gallery(gallery, score, pool, accelerator)
        for numbers, vectors in _groups(queries, relevance, depth, score):
            order = np.argsort(relevance.label_of_query[numbers], kind="stable")
            height = _LOW_TILE if len(queries.ids) <= _FEW_QUERIES else _HIGH_TILE
            if accelerator:
                height = HEIGHT
            tiles = [
                _tile(numbers[rows], vectors[rows], height, score, accelerator)
                for rows in np.split(order, range(height, len(order), height))
            ]
            yield from _rank_group(tiles, stream, relevance, depth, pool, seen)


def _accelerator(device: torch.device) -> torch.device | None:
    """Where `lookalike.device_counting` is to work; None where the loops for a CPU are."""
    return None if device.type == "cpu" else device


def require_finite(norms: NDArray[np.float64], items: Items) -> None:
    """Raise a LookalikeError that names the images with NaN or infinity, if these have any.

    Args:
        norms: float64 [n], the lengths of some of the embeddings.
        items: all of them, to be counted.

    """
    if np.isfinite(norms).all():
        return
    bad = np.concatenate([~np.isfinite(lengths(vectors)) for vectors in items.vectors()])
    names = [str(items.ids[row]) for row in np.flatnonzero(bad)[:5].tolist()]
    raise LookalikeError(
        f"{items.name}: the embeddings of {bad.sum()} image(s) hold NaN or infinity and cannot be "
        f"ranked: {', '.join(names)}{', ...' if bad.sum() > 5 else ''}. The model that made "
        "them has diverged, or an image's values overflow"
    )


@dataclass(frozen=True)
class _Tile:
    """Queries whose scores are made by one product."""

    queries: Int64s
    scorer: Scorer | DeviceScorer


def _tile(
    queries: Int64s, vectors: Float32s, height: int, score: str, accelerator: torch.device | None
) -> _Tile:
    ready = prepared(vectors, score)
    if accelerator is None:
        return _Tile(queries, Scorer.of(ready, height, score))
    return _Tile(queries, DeviceScorer.of(ready, height, score, accelerator))


@dataclass(frozen=True)
class _Block:
    """The gallery items from `first` on: float32 [n filled up to a multiple of a tile, d]."""

    first: int
    n: int
    vectors: torch.Tensor


def _rank_group(
    tiles: Sequence[_Tile],
    gallery: _Gallery,
    relevance: Relevance,
    depth: int,
    pool: ThreadPoolExecutor,
    seen: Callable[[int], object],
) -> Iterator[Ranked]:
    # A device works through the tiles one after another: its memory holds the scores of one.
    each: Callable[..., Iterable[object]] = pool.map if gallery.accelerator is None else map
    searches = list(pool.map(_Search, tiles, repeat(relevance)))
    for block in gallery.blocks():
        list(each(_Search.see, searches, repeat(block)))
    counts = list(pool.map(_Count, searches, repeat(relevance), repeat(depth)))
    del searches
    for block in gallery.blocks():
        list(each(_Count.see, counts, repeat(block)))
        seen(block.n * sum(len(tile.queries) for tile in tiles))
    yield from pool.map(_Count.result, counts)


class _Search:
    """The first pass: the scores of the items that are relevant to a tile's queries."""

    def __init__(self, tile: _Tile, relevance: Relevance) -> None:
        self.tile = tile
        starts, items = relevance.of_label(tile.queries)
        self.relevant = self.apart = _marks(starts, items)
        starts, left_out = relevance.left_out(tile.queries)
        self.n_gallery = relevance.n_gallery - np.diff(starts)
        if len(left_out):
            self.relevant, self.apart = _without(self.relevant, _marks(starts, left_out))
        self.wanted, columns = np.unique(self.relevant.item, return_inverse=True)
        self.relevant = _marks(self.relevant.start, columns)
        self.score = np.empty(len(columns), np.float32)

    def see(self, block: _Block) -> None:
        """Take the scores of the relevant items among a block's."""
        begin, end = np.searchsorted(self.wanted, [block.first, block.first + block.n]).tolist()
        device = block.vectors.device
        rows = torch.from_numpy(self.wanted[begin:end] - block.first).to(device)
        vectors = torch.zeros(_whole_tiles(end - begin), block.vectors.shape[1], device=device)
        torch.index_select(block.vectors, 0, rows, out=vectors[: end - begin])
        for start, scores in self.tile.scorer.tiles(vectors, end - begin):
            width = min(scores.shape[1], end - begin - start)
            here = scores if isinstance(scores, np.ndarray) else scores.contiguous().cpu().numpy()
            take(here, begin + start, width, self.relevant, self.score)


class _Count:
    """The second pass: how many other items score above each relevant one, and the best of them."""

    def __init__(self, search: _Search, relevance: Relevance, depth: int) -> None:
        self.tile, self.n_gallery = search.tile, search.n_gallery
        self.marks, self.tie = search.apart, relevance.tie
        self.levels, self.level_item = _levels(search, relevance.tie)
        n = len(self.tile.queries)
        self.places = Places(
            score=np.empty((n, depth), np.float32),
            tie=np.empty((n, depth), np.int32),
            item=np.empty((n, depth), np.int32),
            size=np.zeros(n, np.int64),
        )
        self.on_device = None
        if isinstance(self.tile.scorer, DeviceScorer):
            device = self.tile.scorer.vectors.device
            self.on_device = DeviceCounts(device, self.marks, self.levels, len(self.tie), depth)

    def see(self, block: _Block) -> None:
        """Count a block's scores."""
        for start, scores in self.tile.scorer.tiles(block.vectors, block.n):
            first = block.first + start
            ties = self.tie[first : min(first + scores.shape[1], block.first + block.n)]
            if isinstance(scores, np.ndarray):
                count(scores, first, ties, self.marks, self.levels, self.places)
            elif self.on_device:
                self.on_device.count(scores, first, ties)

    def result(self) -> Ranked:
        """What the counts come to."""
        if self.on_device:
            self.on_device.fill(self.levels, self.places)
        n, depth = self.places.score.shape
        starts = self.levels.start - np.arange(n + 1)
        three = np.empty((3, starts[-1]), np.int32)
        place(self.levels, *three)
        places, scores = np.empty((n, depth), np.int32), np.empty((n, depth), np.float32)
        relevant = np.empty((n, depth), np.bool_)
        first_places(self.levels, self.level_item, self.places, places, scores, relevant)
        found, optimistic, pessimistic = (Ranks(values, starts) for values in three)
        return Ranked(
            queries=self.tile.queries,
            n_gallery=self.n_gallery,
            ranks=found,
            optimistic=optimistic,
            pessimistic=pessimistic,
            places=places,
            scores=scores,
            relevant=relevant,
        )


def _levels(search: _Search, tie: Int32s) -> tuple[Levels, Int32s]:
    """What to count against, and the gallery position of each level's item."""
    begin = search.relevant.start
    sizes = np.diff(begin)
    item = search.wanted[search.relevant.item]
    # One number whose order is that of the score, and of equals from last to first.
    bits = (search.score + np.float32(0)).view(np.int32)  # + 0 makes -0 an ordinary 0
    keys = (rising(bits).astype(np.int64) << 32) | (len(tie) - 1 - tie[item])
    order = np.empty(len(keys), np.int64)
    for first, last in zip(begin[:-1].tolist(), begin[1:].tolist(), strict=True):
        order[first:last] = np.argsort(keys[first:last]) + first

    # One entry more for each query: the +inf after its levels.
    n = len(sizes)
    start = begin + np.arange(n + 1)
    to = np.arange(len(item)) + np.repeat(np.arange(n), sizes)
    score = np.full(start[-1], np.inf, np.float32)
    score[to] = search.score[order] + np.float32(0)
    level_item = np.full(start[-1], -1, np.int32)
    level_item[to] = item[order]
    level_tie = np.zeros(start[-1], np.int32)
    level_tie[to] = tie[item[order]]
    cells = np.clip(8 * sizes, 1, CELLS) + 2
    levels = Levels(
        start=start,
        score=score,
        tie=level_tie,
        low=np.empty(n, np.float32),
        scale=np.empty(n, np.float32),
        cells=np.concatenate([[0], np.cumsum(cells)]),
        grid=np.empty(cells.sum(), np.uint16 if sizes.max() < 2**16 else np.uint32),
        between=np.zeros(start[-1], np.int32),
        equal=np.zeros(start[-1], np.int32),
        before=np.zeros(start[-1], np.int32),
    )
    lay_grid(levels)
    return levels, level_item


def _marks(starts: Int64s, items: NDArray[np.integer]) -> Marks:
    return Marks(starts, items.astype(np.int32, copy=False), starts[:-1].copy())


def _without(relevant: Marks, left_out: Marks) -> tuple[Marks, Marks]:
    """The relevant items that are not left out, and all items that are one or the other."""
    kept, apart = [], []
    for query in range(len(relevant.cursor)):
        mine, not_mine = (
            marks.item[marks.start[query] : marks.start[query + 1]]
            for marks in (relevant, left_out)
        )
        kept.append(np.setdiff1d(mine, not_mine, assume_unique=True))
        apart.append(np.union1d(mine, not_mine))

    def joined(items: list[Int32s]) -> Marks:
        return _marks(np.cumsum([0, *map(len, items)]), np.concatenate(items))

    return joined(kept), joined(apart)


def _groups(
    queries: Items, relevance: Relevance, depth: int, score: str
) -> Iterator[tuple[Int64s, Float32s]]:
    """Cut the queries into groups that fit in memory: which they are, and their vectors."""
    done = 0
    held: list[Float32s] = []
    apart = relevance.n_relevant + relevance.n_left_out
    # As they come, joined, and in tiles, where `euclidean` needs twice the precision.
    copies = 4 if score == "euclidean" else 3
    for first, vectors in _arrays(queries):
        require_finite(lengths(vectors), queries)
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


def _arrays(items: Items) -> Iterator[tuple[int, Float32s]]:
    """The vectors in order, with the position of the first of each array."""
    first = 0
    for vectors in items.vectors():
        # Sums are made in vector instructions: their last digits follow from the layout.
        yield first, np.ascontiguousarray(vectors, np.float32)
        first += len(vectors)


class _Gallery:
    """The gallery in blocks of some ten megabytes, ready for the product, as often as needed."""

    def __init__(
        self,
        items: Items,
        score: str,
        pool: ThreadPoolExecutor,
        accelerator: torch.device | None,
    ) -> None:
        self.items, self.score, self.pool, self.accelerator = items, score, pool, accelerator
        self._kept: list[_Block] | None = None
        self._buffer = torch.empty(0, 0)

    def blocks(self) -> Iterator[_Block]:
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
                height = _whole_tiles(len(some))
                # One buffer for all that is not kept: the C library would hold on to many.
                if keep or self._buffer.shape[0] < height:
                    self._buffer = torch.empty(height, width)
                block = self._ready(some, first + start, self._buffer[:height])
                if keep:
                    kept.append(block)
                yield block
        if kept:
            self._kept = kept

    def _ready(self, vectors: Float32s, first: int, ready: torch.Tensor) -> _Block:
        ready[len(vectors) :] = 0

        def prepare(start: int) -> None:
            rows = slice(start, start + 4 * GALLERY_TILE)
            norms = lengths(vectors[rows])
            require_finite(norms, self.items)
            if self.score == "cosine":
                divide(vectors[rows], norms, ready.numpy()[: len(vectors)][rows])
            else:
                ready.numpy()[: len(vectors)][rows] = vectors[rows]

        list(self.pool.map(prepare, range(0, len(vectors), 4 * GALLERY_TILE)))
        return _Block(first, len(vectors), ready.to(self.accelerator or "cpu"))


def _whole_tiles(rows: int) -> int:
    return -(-rows // GALLERY_TILE) * GALLERY_TILE


@contextmanager
def _workers() -> Iterator[ThreadPoolExecutor]:
    """As many threads as torch is set to use; each makes its products alone."""
    threads = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            yield pool
    finally:
        torch.set_num_threads(threads)
