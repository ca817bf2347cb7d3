"""The inner loops of ranking: one look at each score, and nothing kept of it but counts.

A ranking over the whole gallery needs no sorted gallery. For a query with R relevant items, the
rank of each follows from the number of other items that score above it, so a tile of scores
straight from the matrix product is looked at once, while it is in the processor's cache, and
thrown away. Compiled by numba; every function releases the interpreter's lock.

`Levels` and `Places` describe n queries. What belongs to all of them lies in flat arrays: query r
has the entries start[r] up to start[r + 1].
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lookalike.compilation import F, compiled
from lookalike.retrieval.arrays import Float32s, Int32s, Int64s

CELLS = 4096
"""The finest grid over a query's levels."""

# Up to so many levels, comparing a score with each of them in vector instructions is faster than
# looking up its cell.
_FEW = 24
# Columns that are looked over at once for a score among the best.
_STRETCH = 64


def summed_in_parts(function: F) -> F:
    """As `compiled`, with sums in vector instructions: a row's sum depends on its length alone."""
    return compiled(function, fastmath={"reassoc", "nsz"})


class Levels(NamedTuple):
    """The scores of each query's relevant items, ascending, and what is counted against them.

    start: int64 [n + 1].
    score: float32; after a query's last level stands +inf.
    tie: int32, the relevant item's place among equal scores; falling among equal levels.
    low: float32 [n], the lowest level.
    scale: float32 [n], cells per unit of score.
    cells: int64 [n + 1], where each query's part of `grid` begins.
    grid: uint16, or uint32 where that is too small; the number of levels in lower cells.
    between: int32, how many scores lie above the level before and not above this one.
    equal: int32, how many scores equal this level; kept at the first of equal levels.
    before: int32, how many of these come, by their place among equal scores, before this level's
        item and those of the equal levels that stand before it here, and before no other.
    """

    start: Int64s
    score: Float32s
    tie: Int32s
    low: Float32s
    scale: Float32s
    cells: Int64s
    grid: NDArray[np.uint16] | NDArray[np.uint32]
    between: Int32s
    equal: Int32s
    before: Int32s


class Marks(NamedTuple):
    """Gallery items of each query that stand apart: the relevant ones and the excluded ones.

    start: int64 [n + 1].
    item: int32, positions in the gallery, ascending for each query.
    """

    start: Int64s
    item: Int32s


class Places(NamedTuple):
    """The best items of each query so far: a heap with the worst of them at its root.

    score: float32 [n, depth]; tie, item: int32 [n, depth]; size: int64 [n].
    """

    score: Float32s
    tie: Int32s
    item: Int32s
    size: Int64s


@compiled
def count(
    scores: Float32s,
    first: int,
    ties: Int32s,
    marks: Marks,
    levels: Levels,
    places: Places,
) -> None:
    """Count a tile of scores against the levels, and keep the best items.

    Args:
        scores: float32 [at least n, at least w]; the first n rows and w columns are looked at.
            Scores of marked items are overwritten with -inf, which counts nowhere.
        first: position in the gallery of the first column.
        ties: int32 [w], the place among equal scores of each column's item.
        marks: which items do not count.
        levels: what to count against.
        places: the best items.

    """
    width, depth = len(ties), places.score.shape[1]
    everywhere, near = np.arange(width, dtype=np.uint32), np.empty(width + 1, np.uint32)
    values = np.empty(width, np.float32)
    for query in range(len(marks.start) - 1):
        row = scores[query][:width]
        last_mark = marks.start[query + 1]
        for mark in range(_mark_from(first, marks.item, marks.start[query], last_mark), last_mark):
            if marks.item[mark] >= first + width:
                break
            row[marks.item[mark] - first] = -np.inf

        if depth > 0:
            _keep_best(row, first, ties, places, query)
        n_levels = levels.start[query + 1] - levels.start[query] - 1
        low = levels.low[query]
        reach = _how_many_reach(row, low)
        if reach == 0:
            continue
        if n_levels <= _FEW and reach > width // 8:
            _compare(row, ties, levels, query)
        elif reach < width // 2:
            # Most scores are below all levels: only the others are worth a closer look.
            n_near = np.uint32(0)
            for column in range(width):
                near[n_near] = column
                n_near += np.uint32(row[column] >= low)
            for at in range(n_near):
                values[at] = row[near[at]]
            _look_up(values[:n_near], near, ties, levels, query)
        else:
            _look_up(row, everywhere, ties, levels, query)


@compiled
def _mark_from(first: int, item: Int32s, low: np.int64, high: np.int64) -> np.int64:
    """The first of the marks from low to high whose item is `first` or a later one."""
    while low < high:
        middle = (low + high) // 2
        if item[middle] < first:
            low = middle + 1
        else:
            high = middle
    return low


@compiled
def _how_many_reach(row: Float32s, floor: np.float32) -> np.int32:
    reach = np.int32(0)
    for column in range(len(row)):
        reach += np.int32(row[column] >= floor)
    return reach


@compiled
def _cell(value: np.float32, low: np.float32, scale: np.float32, top: np.float32) -> np.int32:
    """The cell of the grid that a score falls into; it never falls as the score rises."""
    return np.int32(max(min((value - low) * scale, top), np.float32(0)))


@compiled
def _look_up(
    values: Float32s, columns: NDArray[np.uint32], ties: Int32s, levels: Levels, query: int
) -> None:
    """Count scores by the cells they are in; `columns` says where each stands in the tile."""
    begin, end = levels.start[query], levels.start[query + 1]
    score, between = levels.score[begin:end], levels.between[begin:end]
    grid = levels.grid[levels.cells[query] : levels.cells[query + 1]]
    low, scale, top = levels.low[query], levels.scale[query], np.float32(len(grid) - 2)
    signed = np.empty(len(values), np.int32)
    for at in range(len(values)):
        signed[at] = _cell(values[at], low, scale, top)
    # Unsigned: an index that may be negative costs a comparison.
    cells = signed.view(np.uint32)
    # Without branches first: most scores are in cells without a level.
    unsure, n_unsure = np.empty(len(values) + 1, np.uint32), np.uint32(0)
    for at in range(len(values)):
        cell = cells[at]
        level = grid[cell]
        between[level] += 1
        unsure[n_unsure] = at
        n_unsure += np.uint32(grid[cell + np.uint32(1)] != level)
    for index in range(n_unsure):
        at = unsure[index]
        value = values[at]
        lowest = grid[cells[at]]
        level = np.int64(lowest) + (score[lowest] < value)
        if score[level] < value:
            level = _level_of(value, level, np.int64(grid[cells[at] + np.uint32(1)]), score)
        between[lowest] -= 1
        between[level] += 1
        if score[level] == value:
            _tie(level, ties[columns[at]], levels, query)


@compiled
def _level_of(value: np.float32, low: np.int64, high: np.int64, score: Float32s) -> np.int64:
    """Number of levels below `value`, known to be from `low` to `high`."""
    while low < high:
        middle = (low + high) // 2
        if score[middle] < value:
            low = middle + 1
        else:
            high = middle
    return low


@compiled
def _tie(level: int, tie: int, levels: Levels, query: int) -> None:
    """Take note of an item whose score is that of the level, the first of its equals."""
    first = levels.start[query] + level
    levels.equal[first] += 1
    value, low, high = levels.score[first], first, levels.start[query + 1] - 1
    # Among equal levels `tie` falls: the item comes before those at the beginning.
    while low < high:
        middle = (low + high) // 2
        if levels.score[middle] == value and levels.tie[middle] > tie:
            low = middle + 1
        else:
            high = middle
    if low > first:
        levels.before[low - 1] += 1


@compiled
def _compare(row: Float32s, ties: Int32s, levels: Levels, query: int) -> None:
    """Count a row's scores against each level, from the highest down."""
    start, end = levels.start[query], levels.start[query + 1] - 1
    higher = np.int32(0)
    for level in range(end - 1, start - 1, -1):
        value = levels.score[level]
        above, not_below = np.int32(0), np.int32(0)
        for column in range(len(row)):
            above += np.int32(row[column] > value)
            not_below += np.int32(row[column] >= value)
        levels.between[level + 1] += above - higher
        higher = above
        first_equal = level == start or levels.score[level - 1] < value
        if not_below > above and first_equal:
            for column in range(len(row)):
                if row[column] == value:
                    _tie(level - start, ties[column], levels, query)


@compiled
def _keep_best(row: Float32s, first: int, ties: Int32s, places: Places, query: int) -> None:
    """Put what is better than the worst of the best in its place."""
    score, tie, item = places.score[query], places.tie[query], places.item[query]
    size, depth = places.size[query], len(score)
    floor = score[0] if size == depth else np.float32(-np.inf)
    for begin in range(0, len(row), _STRETCH):
        end = min(begin + _STRETCH, len(row))
        if _how_many_reach(row[begin:end], floor) == 0:
            continue
        for column in range(begin, end):
            # + 0 makes -0 an ordinary 0.
            value, place = row[column] + np.float32(0), ties[column]
            if value < floor or value == -np.inf:
                continue
            if size == depth:
                if _worse(score[0], tie[0], value, place):
                    _sink(score, tie, item, size, value, place, first + column)
            else:
                at = size
                size += 1
                while at > 0 and _worse(value, place, score[(at - 1) // 2], tie[(at - 1) // 2]):
                    parent = (at - 1) // 2
                    score[at], tie[at], item[at] = score[parent], tie[parent], item[parent]
                    at = parent
                score[at], tie[at], item[at] = value, place, first + column
            if size == depth:
                floor = score[0]
    places.size[query] = size


@compiled
def _worse(score: float, tie: int, than: float, than_tie: int) -> bool:
    return score < than or (score == than and tie > than_tie)


@compiled
def _sink(
    score: Float32s, tie: Int32s, item: Int32s, size: int, value: float, place: int, new: int
) -> None:
    """Replace a heap's root."""
    at = 0
    while True:
        child = 2 * at + 1
        if child >= size:
            break
        other = child + 1
        if other < size and _worse(score[other], tie[other], score[child], tie[child]):
            child = other
        if not _worse(score[child], tie[child], value, place):
            break
        score[at], tie[at], item[at] = score[child], tie[child], item[child]
        at = child
    score[at], tie[at], item[at] = value, place, new


@compiled
def take(scores: Float32s, first: int, width: int, marks: Marks, out: Float32s) -> None:
    """Copy the scores of marked columns: out[m] for mark m; `marks.item` holds columns here."""
    for query in range(len(marks.start) - 1):
        last_mark = marks.start[query + 1]
        for mark in range(_mark_from(first, marks.item, marks.start[query], last_mark), last_mark):
            if marks.item[mark] >= first + width:
                break
            out[mark] = scores[query, marks.item[mark] - first]


@compiled
def lay_grid(levels: Levels) -> None:
    """Fill `low`, `scale` and `grid` from the levels' scores."""
    for query in range(len(levels.low)):
        start, end = levels.start[query], levels.start[query + 1] - 1
        low, scale = levels.score[start], np.float32(1)
        grid = levels.grid[levels.cells[query] : levels.cells[query + 1]]
        top = np.float32(len(grid) - 2)
        if end > start:
            # Levels too near to one another, or too far apart, for float32 share a cell.
            wanted = top / (levels.score[end - 1] - low)
            scale = wanted if np.isfinite(wanted) and wanted > 0 else scale
        grid[:] = 0
        for level in range(start, end):
            grid[_cell(levels.score[level], low, scale, top) + 1] += 1
        for cell in range(1, len(grid)):
            grid[cell] += grid[cell - 1]
        levels.low[query], levels.scale[query] = low, scale


@compiled
def place(levels: Levels, ranks: Int32s, optimistic: Int32s, pessimistic: Int32s) -> None:
    """Ranks of the relevant items from what was counted, ascending for each query, from 1.

    Args:
        levels: after all tiles were counted.
        ranks: int32, a query's R ranks from start[r] - r on (there is no entry for +inf).
        optimistic: the same where relevant items stand first among their equals.
        pessimistic: the same where relevant items stand last among their equals.

    """
    for query in range(len(levels.low)):
        start = levels.start[query]
        n_levels = levels.start[query + 1] - start - 1
        to = start - query
        above = 0
        level = n_levels - 1
        while level >= 0:
            above += levels.between[start + level + 1]
            first = level
            while first > 0 and levels.score[start + first - 1] == levels.score[start + level]:
                first -= 1
            equal, before = levels.equal[start + first], 0
            for one in range(level, first - 1, -1):
                ahead = n_levels - 1 - one
                before += levels.before[start + one]
                ranks[to + ahead] = above + before + ahead + 1
                optimistic[to + ahead] = above + ahead + 1
                pessimistic[to + ahead] = above + equal + ahead + 1
            level = first - 1


@compiled
def first_places(
    levels: Levels,
    level_items: Int32s,
    places: Places,
    item: Int32s,
    score: Float32s,
    relevant: NDArray[np.bool_],
) -> None:
    """Merge the best other items with the relevant ones into each query's first places.

    Args:
        levels: the relevant items' scores.
        level_items: int32, the gallery position of each level's item.
        places: the best other items; used up.
        item: int32 [n, depth] to fill; -1 where the gallery ends.
        score: float32 [n, depth] to fill.
        relevant: bool [n, depth] to fill.

    """
    depth = item.shape[1]
    for query in range(len(levels.low)):
        heap, tie, kept = places.score[query], places.tie[query], places.item[query]
        # Taking the worst out again and again leaves the heap's arrays sorted, best first.
        for size in range(places.size[query] - 1, 0, -1):
            worst = heap[0], tie[0], kept[0]
            _sink(heap, tie, kept, size, heap[size], tie[size], kept[size])
            heap[size], tie[size], kept[size] = worst
        other = 0
        level = levels.start[query + 1] - 2
        for place in range(depth):
            has_other = other < places.size[query]
            has_level = level >= levels.start[query]
            if has_level and (
                not has_other
                or _worse(heap[other], tie[other], levels.score[level], levels.tie[level])
            ):
                item[query, place] = level_items[level]
                score[query, place] = levels.score[level]
                relevant[query, place] = True
                level -= 1
            elif has_other:
                item[query, place] = kept[other]
                score[query, place] = heap[other]
                relevant[query, place] = False
                other += 1
            else:
                item[query, place] = -1
                score[query, place] = np.float32(0)
                relevant[query, place] = False


@summed_in_parts
def lengths(vectors: NDArray[np.floating]) -> NDArray[np.float64]:
    """Euclidean length of each row of [n, d], float64 [n]; no float32 vector overflows."""
    out = np.empty(len(vectors))
    for row in range(len(vectors)):
        total = 0.0
        for column in range(vectors.shape[1]):
            total += np.float64(vectors[row, column]) ** 2
        out[row] = np.sqrt(total)
    return out


@compiled
def divide(vectors: NDArray[np.floating], by: NDArray[np.float64], out: Float32s) -> None:
    """Divide each row of [n, d] by its number; where that is 0 the row becomes zero."""
    for row in range(len(vectors)):
        factor = 1 / by[row] if by[row] > 0 else 0.0
        for column in range(vectors.shape[1]):
            out[row, column] = np.float64(vectors[row, column]) * factor


@compiled
def distances(
    products: NDArray[np.float64],
    queries: NDArray[np.float64],
    gallery: NDArray[np.float64],
    out: Float32s,
) -> None:
    """Negative Euclidean distances from inner products, float32 [n, m], each rounded once.

    |q - g|^2 = |q|^2 + |g|^2 - 2 q.g loses digits where it is small beside the lengths: there it
    is summed anew from the differences, so equal vectors are at distance 0 exactly.

    Args:
        products: float64 [n, m], q.g.
        queries: float64 [n, d].
        gallery: float64 [m, d].
        out: float32 [n, m] to fill.

    """
    squares = np.empty(len(gallery))
    for item in range(len(gallery)):
        squares[item] = 0.0
        for value in gallery[item]:
            squares[item] += value * value
    for query in range(len(queries)):
        own = 0.0
        for value in queries[query]:
            own += value * value
        for item in range(len(gallery)):
            size = own + squares[item]
            square = size - 2 * products[query, item]
            if square < 1e-6 * size:
                square = 0.0
                for column in range(queries.shape[1]):
                    difference = queries[query, column] - gallery[item, column]
                    square += difference * difference
            # + 0 makes -0 an ordinary 0; beyond float32 is as far as float32 goes.
            far = max(-np.sqrt(square), np.float64(-3.4028234663852886e38))
            out[query, item] = np.float32(far) + np.float32(0)


@compiled
def hashes(text: NDArray[np.uint8], offsets: NDArray[np.int32]) -> NDArray[np.uint64]:
    """Hash texts laid end to end, uint64 [n]: FNV-1a, then MurmurHash3's 64-bit finaliser.

    The finaliser spreads what differs in the last characters over all bits.
    """
    out = np.empty(len(offsets) - 1, np.uint64)
    for one in range(len(out)):
        value = np.uint64(0xCBF29CE484222325)
        for at in range(offsets[one], offsets[one + 1]):
            value = (value ^ np.uint64(text[at])) * np.uint64(0x100000001B3)
        value ^= value >> np.uint64(33)
        value *= np.uint64(0xFF51AFD7ED558CCD)
        value ^= value >> np.uint64(33)
        value *= np.uint64(0xC4CEB9FE1A85EC53)
        out[one] = value ^ (value >> np.uint64(33))
    return out
