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
from functools import cache
from itertools import repeat
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from lookalike.retrieval.arrays import Float32s, Int32s, Int64s
from lookalike.retrieval.counting import (
    CELLS,
    Levels,
    Marks,
    Places,
    count,
    first_places,
    lay_grid,
    place,
    take,
)
from lookalike.retrieval.gallery_parts import GalleryPart
from lookalike.retrieval.pair_counts import PairCounts
from lookalike.retrieval.ranks import Ranks
from lookalike.retrieval.relevance import Relevance
from lookalike.retrieval.scores import SCORES, Scorer, prepared
from lookalike.retrieval.streams import Block, Gallery, Items, groups
from lookalike.retrieval.strips import (
    add_counts,
    joined,
    ordered,
    strip_of,
    strips_for,
    to_count_anew,
)

# Queries in one product: with few queries, smaller tiles let more threads take part.
_FEW_QUERIES, _LOW_TILE, _HIGH_TILE = 1024, 64, 256


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
        best_relevant: float32 [n], the best score of a relevant item; NaN where there is none.
        best_other: float32 [n], the best score of any other item; likewise.

    """

    queries: Int64s
    n_gallery: Int64s
    ranks: Ranks
    optimistic: Ranks
    pessimistic: Ranks
    places: Int32s
    scores: Float32s
    relevant: NDArray[np.bool_]
    best_relevant: Float32s
    best_other: Float32s


class TileScorer(Protocol):
    """Makes scores of a tile of queries: `scores.Scorer`, or an accelerator's."""

    def tiles(self, gallery: torch.Tensor, n_items: int) -> Iterator[tuple[int, Any]]:
        """See `scores.Scorer.tiles`; scores are an array, or a tensor on the device."""


class Counts(Protocol):
    """Counts scores in place of `lookalike.retrieval.counting.count`."""

    def count(self, scores: Any, first: int, ties: Int32s) -> None:
        """Count a tile of scores, and keep the best items; scores of marked ones become -inf."""

    def fill(self, levels: Levels, places: Places) -> None:
        """Write what was counted to where `lookalike.retrieval.counting.count` leaves it."""


class Accelerator(Protocol):
    """Makes and counts scores elsewhere, see `lookalike.retrieval.counting_gpu`."""

    @property
    def device(self) -> torch.device:
        """Where embeddings are sent."""

    @property
    def height(self) -> int:
        """Queries in one product."""

    def scorer(self, vectors: Float32s, height: int, score: str) -> TileScorer:
        """See `lookalike.retrieval.scores.Scorer.of`."""

    def counts(self, marks: Marks, levels: Levels, n_gallery: int, depth: int) -> Counts:
        """Counts for one tile of queries, from 0."""


def rank(
    queries: Items,
    gallery: Items,
    *,
    score: str,
    depth: int,
    on_progress: Callable[[int], object] = lambda scores: None,
    accelerator: Accelerator | None = None,
    pairs: PairCounts | None = None,
) -> Iterator[Ranked]:
    """Rank the whole gallery for every query; every query is in one of the results.

    As many threads work as torch is set to use; no result depends on their number.

    Args:
        queries: the Q queries.
        gallery: the N items that are searched.
        score: "cosine" or "euclidean", see `lookalike.retrieval.scores`.
        depth: how many first places to report; there are no more than gallery items.
        on_progress: called now and then with how many more of the Q x N scores have been counted.
        accelerator: what makes scores and counts them in place of the CPU; its scores may differ by
            1e-6.
        pairs: counts all pairs by their score on the way, made for the same score; None for none.

    Raises:
        LookalikeError: an embedding holds NaN or infinity, or the accelerator cannot make
            the score.

    """
    if score not in SCORES:
        raise ValueError(f"score must be one of {SCORES}, not {score!r}")
    depth = min(depth, len(gallery.ids))
    relevance = Relevance(queries, gallery)

    @cache
    def part_of(number: int) -> GalleryPart:
        # Of all tiles one: together, the parts are as large as the gallery.
        positions = relevance.part(number)
        return GalleryPart(
            relevance.tie if positions is None else relevance.tie[positions], positions
        )

    with _workers() as pool:
        device = accelerator.device if accelerator else torch.device("cpu")
        stream = Gallery(gallery, score, pool, device)
        for numbers, vectors in groups(queries, relevance, depth, score):
            height = _LOW_TILE if len(queries.ids) <= _FEW_QUERIES else _HIGH_TILE
            if accelerator:
                height = accelerator.height
            make = accelerator.scorer if accelerator else Scorer.of
            tiles = [
                _Tile(
                    numbers[rows],
                    make(prepared(vectors[rows], score), height, score),
                    part_of(int(relevance.part_of_query[numbers[rows[0]]])),
                )
                for rows in _tiles_of(numbers, relevance, height)
            ]
            yield from _rank_group(
                tiles, stream, relevance, depth, pool, on_progress, accelerator, pairs
            )


@dataclass(frozen=True)
class _Tile:
    """Queries whose scores are made by one product, and the part of the gallery they all have."""

    queries: Int64s
    scorer: TileScorer
    part: GalleryPart


def _tiles_of(queries: Int64s, relevance: Relevance, height: int) -> Iterator[Int64s]:
    """Cut a group of queries into tiles, of one part and of like labels: positions in the group."""
    parts = relevance.part_of_query[queries]
    order = np.lexsort((relevance.label_of_query[queries], parts))
    for of_part in np.split(order, np.flatnonzero(np.diff(parts[order])) + 1):
        yield from np.split(of_part, range(height, len(of_part), height))


def _rank_group(
    tiles: Sequence[_Tile],
    gallery: Gallery,
    relevance: Relevance,
    depth: int,
    pool: ThreadPoolExecutor,
    on_progress: Callable[[int], object],
    accelerator: Accelerator | None,
    pairs: PairCounts | None,
) -> Iterator[Ranked]:
    # An accelerator works through the tiles one after another: its memory holds the scores of one.
    each: Callable[..., Iterable[object]] = map if accelerator else pool.map
    strips = 1 if accelerator else strips_for(len(tiles), torch.get_num_threads())
    searches = list(pool.map(_Search, tiles, repeat(relevance)))
    parts = [(search, strip) for search in searches for strip in range(strips)]
    # Where nothing is relevant, in a search without labels, one pass is enough.
    for block in gallery.blocks() if any(len(search.wanted) for search in searches) else ():
        list(each(lambda part, block=block: part[0].see(block, part[1], strips), parts))
    counts = list(
        pool.map(
            _Count,
            searches,
            repeat(relevance),
            repeat(depth),
            repeat(strips),
            repeat(accelerator),
            repeat(pairs),
        )
    )
    del searches, parts
    shares = [(one, strip) for one in counts for strip in range(strips)]
    for block in gallery.blocks():
        list(each(lambda share, block=block: share[0].see(block, share[1], strips), shares))
        on_progress(block.n * sum(len(tile.queries) for tile in tiles))
    yield from pool.map(_Count.result, counts)


class _Search:
    """The first pass: the scores of the items that are relevant to a tile's queries."""

    def __init__(self, tile: _Tile, relevance: Relevance) -> None:
        self.tile = tile
        starts, items = relevance.of_label(tile.queries)
        self.relevant = self.apart = _marks(starts, items)
        starts, left_out = relevance.left_out(tile.queries)
        self.n_gallery = relevance.n_in_part(tile.queries) - np.diff(starts)
        if len(left_out):
            self.relevant, self.apart = _without(self.relevant, _marks(starts, left_out))
        self.wanted, columns = distinct_positions(self.relevant.item, len(tile.part.ties))
        self.relevant = _marks(self.relevant.start, columns)
        self.score = np.empty(len(columns), np.float32)

    def see(self, block: Block, strip: int, strips: int) -> None:
        """Take the scores of one of several parts of the relevant items among a block's."""
        begin, end = self.tile.part.among(self.wanted, block)
        first, last = strip_of(end - begin, strip, strips)
        begin, end = begin + first, begin + last
        vectors = self.tile.part.rows(block, self.wanted[begin:end])
        for start, scores in self.tile.scorer.tiles(vectors, end - begin):
            width = min(scores.shape[1], end - begin - start)
            here = scores if isinstance(scores, np.ndarray) else scores.contiguous().cpu().numpy()
            take(here, begin + start, width, self.relevant, self.score)


class _Count:
    """The second pass: how many other items score above each relevant one, and the best of them."""

    def __init__(
        self,
        search: _Search,
        relevance: Relevance,
        depth: int,
        strips: int,
        accelerator: Accelerator | None,
        pairs: PairCounts | None,
    ) -> None:
        self.tile, self.n_gallery = search.tile, search.n_gallery
        self.marks, self.part = search.apart, search.tile.part
        self.n_ties = len(relevance.tie)
        self.levels, self.level_item = _levels(search, self.part.ties, self.n_ties)
        self.counts = [self.levels, *(to_count_anew(self.levels) for _ in range(1, strips))]
        self.depth = depth
        # One at the least: the best other item.
        n, kept = len(self.tile.queries), max(1, depth)
        self.best = [
            Places(
                score=np.empty((n, kept), np.float32),
                tie=np.empty((n, kept), np.int32),
                item=np.empty((n, kept), np.int32),
                size=np.zeros(n, np.int64),
            )
            for _ in range(strips)
        ]
        self.pairs = pairs
        if pairs:
            pairs.add_relevant(search.score)
        self.there: Counts | None = None
        if accelerator:
            self.there = accelerator.counts(self.marks, self.levels, self.n_ties, kept)

    def see(self, block: Block, strip: int, strips: int) -> None:
        """Count the scores of one of several strips of a block."""
        begin, n, vectors = self.part.strip(block, strip, strips)
        for start, scores in self.tile.scorer.tiles(vectors, n):
            first = begin + start
            ties = self.part.ties[first : min(first + scores.shape[1], begin + n)]
            if self.there:
                self.there.count(scores, first, ties)
            else:
                count(scores, first, ties, self.marks, self.counts[strip], self.best[strip])
            if self.pairs:
                # The scores of what stands apart are -inf now.
                self.pairs.add_others(scores, len(self.tile.queries), len(ties))

    def result(self) -> Ranked:
        """What the counts come to."""
        if self.there:
            self.there.fill(self.levels, self.best[0])
        for more in self.counts[1:]:
            add_counts(self.levels, more)
        best = self.best[0] if len(self.best) == 1 else joined(self.best, self.n_ties)
        n, depth = len(best.score), self.depth
        starts = self.levels.start - np.arange(n + 1)
        three = np.empty((3, starts[-1]), np.int32)
        place(self.levels, *three)
        places, scores = np.empty((n, depth), np.int32), np.empty((n, depth), np.float32)
        relevant = np.empty((n, depth), np.bool_)
        first_places(self.levels, self.level_item, best, places, scores, relevant)
        # The highest level of each query stands before its +inf.
        highest = self.levels.score[np.maximum(self.levels.start[1:] - 2, 0)]
        found, optimistic, pessimistic = (Ranks(values, starts) for values in three)
        return Ranked(
            queries=self.tile.queries,
            n_gallery=self.n_gallery,
            ranks=found,
            optimistic=optimistic,
            pessimistic=pessimistic,
            places=self.part.in_gallery(places),
            scores=scores,
            relevant=relevant,
            best_relevant=np.where(np.diff(starts) > 0, highest, np.float32(np.nan)),
            # The first places leave the others sorted, the best first.
            best_other=np.where(best.size > 0, best.score[:, 0], np.float32(np.nan)),
        )


def _levels(search: _Search, tie: Int32s, n_ties: int) -> tuple[Levels, Int32s]:
    """What to count against, and which item each level is of."""
    begin = search.relevant.start
    sizes = np.diff(begin)
    item = search.wanted[search.relevant.item]
    keys = ordered(search.score + np.float32(0), tie[item], n_ties)  # + 0: -0 becomes 0
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


def distinct_positions(items: Int32s, n_gallery: int) -> tuple[Int32s, Int64s]:
    """Some gallery positions each once, ascending, and where among these each of them is."""
    if len(items) < n_gallery // 16:
        return np.unique(items, return_inverse=True)
    # Many: a look at all positions is quicker than sorting these.
    there = np.zeros(n_gallery, np.bool_)
    there[items] = True
    place = np.cumsum(there) - 1
    return np.flatnonzero(there).astype(np.int32), place[items]


def _marks(starts: Int64s, items: NDArray[np.integer]) -> Marks:
    return Marks(starts, items.astype(np.int32, copy=False))


def _without(relevant: Marks, left_out: Marks) -> tuple[Marks, Marks]:
    """The relevant items that are not left out, and all items that are one or the other."""
    kept, apart = [], []
    for query in range(len(relevant.start) - 1):
        mine, not_mine = (
            marks.item[marks.start[query] : marks.start[query + 1]]
            for marks in (relevant, left_out)
        )
        kept.append(np.setdiff1d(mine, not_mine, assume_unique=True))
        apart.append(np.union1d(mine, not_mine))

    def laid_out(items: list[Int32s]) -> Marks:
        return _marks(np.cumsum([0, *map(len, items)]), np.concatenate(items))

    return laid_out(kept), laid_out(apart)


@contextmanager
def _workers() -> Iterator[ThreadPoolExecutor]:
    """As many threads as torch is set to use; each makes its products alone."""
    threads = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            yield pool
    finally:
        torch.set_num_threads(threads)
