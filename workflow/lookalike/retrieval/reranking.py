"""k-reciprocal re-ranking of each query's first gallery items (Zhong, Zheng, Cao and Li 2017).

Two images that are alike have the same neighbours. Each query is re-ranked by itself, among its
first N gallery items alone: neighbours are looked for among these and the query, so N^2 numbers are
in memory at a time, whatever the size of the gallery, and no query's order depends on the others.
Where N is the whole gallery, it is the published definition. Items beyond the first N keep their
order, behind them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import repeat
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from lookalike.compilation import compiled
from lookalike.retrieval.arrays import Float32s, Int32s, Int64s, Values
from lookalike.retrieval.neighbours import EmbeddingRows
from lookalike.retrieval.ranking import Ranked
from lookalike.retrieval.ranks import Ranks
from lookalike.retrieval.relevance import tie_order
from lookalike.retrieval.scores import prepared
from lookalike.retrieval.streams import Items

RERANKED_SCORE = "k-reciprocal"
"""What the score of a re-ranked gallery is called: the negative of `final_distances`."""

# Rows of a product, which has one shape for all queries.
_TILE = 64
# Squared distances below this share of the squared lengths are rounding.
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Reranking:
    """Settings of the re-ranking.

    Attributes:
        first: N, how many of a query's first gallery items are re-ranked.
        k1: neighbours among which each of two images must count the other.
        k2: neighbours over which neighbourhoods are averaged, oneself among them.
        weight: lambda, of the distance itself beside that of the neighbourhoods.

    """

    first: int = 200
    k1: int = 20
    k2: int = 6
    weight: float = 0.3


def reranked(
    rankings: Iterable[Ranked], queries: Items, gallery: Items, score: str, settings: Reranking
) -> Iterator[Ranked]:
    """Rankings of which the first N places are put in the order of `final_distances`.

    Ranks of relevant items beyond them stay. An item beyond them counts as sharing no neighbour,
    and its squared distance is set against that of the farthest of the N: so the scores of a whole
    ranking fall, and are of one kind. Of equal scores in float32, the item comes first that does
    so everywhere. As many threads work as torch is set to use.

    Args:
        rankings: with as many first places as are re-ranked, or all.
        queries: that they are of.
        gallery: likewise.
        score: what they were ranked by, "cosine" or "euclidean".
        settings: of the re-ranking.

    """
    tie, threads = tie_order(gallery.ids), torch.get_num_threads()
    asked, searched = EmbeddingRows(queries), EmbeddingRows(gallery)
    at_once = searched.queries_at_once(settings.first)
    with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        for ranked in rankings:
            first = min(settings.first, ranked.places.shape[1])
            orders: list[_Order] = []
            for start in range(0, len(ranked.queries), at_once):
                rows = slice(start, start + at_once)
                places = ranked.places[rows, :first]
                orders += pool.map(
                    _order_of,
                    prepared_rows(asked.at(ranked.queries[rows].astype(np.int32)), score),
                    prepared_rows(searched.at(places), score),
                    [int(n) for n in (places >= 0).sum(axis=1)],
                    tie[places],
                    repeat(settings),
                )
            yield _in_order(ranked, orders, score, settings)


def prepared_rows(vectors: Float32s, score: str) -> Float32s:
    """As `lookalike.retrieval.scores.prepared`, of an array of any shape [..., d]."""
    rows: Float32s = prepared(vectors.reshape(-1, vectors.shape[-1]), score)
    shaped: Float32s = rows.reshape(vectors.shape)
    return shaped


class _Order(NamedTuple):
    """Where the first places of a query go: their order, its scores, and the farthest of them.

    order: int64 [first]; of those that are none, at the end, as it was.
    scores: float32 [first], falling.
    farthest: their greatest squared distance to the query.
    """

    order: Int64s
    scores: Float32s
    farthest: float


def _order_of(query: Float32s, items: Float32s, n: int, tie: Int32s, settings: Reranking) -> _Order:
    squared = pairwise_squared(np.concatenate([query[None], items[:n]]), len(items) + 1)
    found = final_distances(squared, settings.k1, settings.k2, settings.weight)
    order, scores = np.arange(len(items)), np.full(len(items), -np.inf, np.float32)
    distances = found.astype(np.float32)
    order[:n] = np.lexsort((tie[:n], distances))
    scores[:n] = -distances[order[:n]]
    return _Order(order, scores, float(squared[0].max(initial=0)))


def pairwise_squared(vectors: Float32s, room: int) -> Float32s:
    """Squared Euclidean distances of m vectors to each other, float32 [m, m]; 0 of equal ones.

    room: at least m. The product has the shape for so many, whatever m is, and is made in float64.
    """
    height = -(-room // _TILE) * _TILE
    rows = torch.zeros(height, vectors.shape[1], dtype=torch.float64)
    rows[: len(vectors)] = torch.from_numpy(vectors)
    products = torch.mm(rows, rows.T).numpy()[: len(vectors), : len(vectors)]
    lengths = products.diagonal()
    both = lengths[:, None] + lengths
    wide = both - 2 * products
    wide[wide < _ROUNDING * both] = 0
    squared: Float32s = wide.astype(np.float32)
    return squared


@compiled
def final_distances(squared: Float32s, k1: int, k2: int, weight: float) -> NDArray[np.float64]:
    """Distances of a query to its n first gallery items that weigh in their neighbours.

    With d(i, j) the squared distance over the greatest one of i, and the neighbours of i in the
    order of d, i itself the first of them:
    N(i, k) are the first k + 1 of these; R(i, k) those j in N(i, k) with i in N(j, k);
    R*(i) is R(i, k1) and each R(j, k1 / 2) of a j in it of which more than two thirds are in it
    (half of an odd k1 is rounded to the even one);
    V(i) holds exp(-d(i, j)) for j in R*(i), 0 elsewhere, over its sum; it is then replaced by the
    mean over the first k2 neighbours of i. The result is

        (1 - weight) (1 - S / (2 - S)) + weight d(query, item), S = sum of min(V(query), V(item)).

    So it is in the authors' code, for one query.

    Args:
        squared: float32 [n + 1, n + 1], squared distances, the query first; of equal ones in a row
            the column on the left comes first.
        k1: from 1.
        k2: from 1.
        weight: lambda, from 0 to 1.

    Returns:
        float64 [n].
    """
    m = len(squared)
    size = min(m, max(k1 + 1, k2))
    near = np.empty((m, size), np.int32)
    place = np.full((m, m), m, np.int32)
    for i in range(m):
        _nearest_of(squared[i], i, near[i])
        for at in range(size):
            place[i, near[i, at]] = at
    whole, half = min(m, k1 + 1), min(m, int(np.around(k1 / 2)) + 1)

    shares = np.zeros((m, m))
    farthest = np.empty(m)
    mutual, joined = np.zeros(m, np.bool_), np.zeros(m, np.bool_)
    for i in range(m):
        farthest[i] = max(squared[i].max(), np.float32(1e-30))
        mutual[:], joined[:] = False, False
        for j in near[i, :whole]:
            if place[j, i] < whole:
                mutual[j] = joined[j] = True
        for j in near[i, :whole]:
            if not mutual[j]:
                continue
            n_near, n_shared = 0, 0
            for other in near[j, :half]:
                if place[other, j] < half:
                    n_near += 1
                    n_shared += mutual[other]
            if 3 * n_shared > 2 * n_near:
                for other in near[j, :half]:
                    if place[other, j] < half:
                        joined[other] = True
        total = 0.0
        for j in range(m):
            if joined[j]:
                shares[i, j] = np.exp(-squared[i, j] / farthest[i])
                total += shares[i, j]
        shares[i] /= total

    averaged = min(k2, m)
    mine = np.zeros(m)
    for other in near[0, :averaged]:
        mine += shares[other] / averaged
    some = np.flatnonzero(mine)
    final = np.empty(m - 1)
    for i in range(1, m):
        shared = 0.0
        for j in some:
            its = 0.0
            for other in near[i, :averaged]:
                its += shares[other, j]
            shared += min(mine[j], its / averaged)
        jaccard = 1 - shared / (2 - shared)
        final[i - 1] = (1 - weight) * jaccard + weight * (squared[0, i] / farthest[0])
    return final


@compiled
def _nearest_of(row: Float32s, itself: int, near: Int32s) -> None:
    """Write the columns of the least numbers of a row, ascending; its own column is the first."""
    near[0] = itself
    n = 1
    for column in range(len(row)):
        if column == itself:
            continue
        if n == len(near) and (n == 1 or row[column] >= row[near[n - 1]]):
            continue
        at = n if n < len(near) else n - 1
        while at > 1 and row[near[at - 1]] > row[column]:
            near[at] = near[at - 1]
            at -= 1
        near[at] = column
        n = min(n + 1, len(near))


def _in_order(ranked: Ranked, orders: list[_Order], score: str, settings: Reranking) -> Ranked:
    """A ranking whose first places are in another order, and all that follows from these."""
    order = np.stack([each.order for each in orders])
    first = order.shape[1]
    places, scores = ranked.places.copy(), ranked.scores.copy()
    relevant = ranked.relevant.copy()
    places[:, :first] = np.take_along_axis(places[:, :first], order, axis=1)
    relevant[:, :first] = np.take_along_axis(relevant[:, :first], order, axis=1)
    farthest = np.array([each.farthest for each in orders])
    scores[:, first:] = _beyond(scores[:, first:], farthest[:, None], score, settings)
    scores[:, :first] = np.stack([each.scores for each in orders])

    there, found = places[:, :first] >= 0, relevant[:, :first]
    ranks, optimistic, pessimistic = _ranks(ranked, scores[:, :first], there, found)
    best = [
        np.where(
            inside.any(axis=1),
            scores[np.arange(len(scores)), inside.argmax(axis=1)],
            _beyond(outside, farthest, score, settings),
        )
        for inside, outside in (
            (found, ranked.best_relevant),
            (there & ~found, ranked.best_other),
        )
    ]
    return replace(
        ranked,
        ranks=ranks,
        optimistic=optimistic,
        pessimistic=pessimistic,
        places=places,
        scores=scores,
        relevant=relevant,
        best_relevant=best[0],
        best_other=best[1],
    )


def _beyond(scores: Float32s, farthest: Values, score: str, settings: Reranking) -> Float32s:
    """The new scores of items beyond the first N, from their old ones; NaN stays."""
    wide = scores.astype(np.float64)
    squared = 2 - 2 * wide if score == "cosine" else wide**2
    share = np.maximum(squared / np.where(farthest > 0, farthest, 1), 1)
    new: Float32s = -((1 - settings.weight) + settings.weight * share).astype(np.float32)
    return new


def _ranks(
    ranked: Ranked, scores: Float32s, there: NDArray[np.bool_], relevant: NDArray[np.bool_]
) -> tuple[Ranks, Ranks, Ranks]:
    """Ranks of the relevant items, and the best and worst that equal scores allow."""
    starts, first = ranked.ranks.starts, scores.shape[1]
    query, place = np.nonzero(relevant)
    inside = relevant.sum(axis=1)
    nth = np.arange(len(query)) - np.repeat(np.cumsum(inside) - inside, inside)
    values = ranked.ranks.values.copy()
    values[starts[query] + nth] = place + 1

    # Those that stay where they were cannot come before those that were put in order.
    ordinal = np.arange(len(values)) - np.repeat(starts[:-1] + inside, np.diff(starts)) + 1
    best = np.maximum(ranked.optimistic.values, first + ordinal).astype(values.dtype)
    worst = ranked.pessimistic.values.copy()
    for bound in (best, worst):
        bound[starts[query] + nth] = place + 1
    equal = (scores[:, 1:] == scores[:, :-1]) & there[:, 1:]
    for row in np.flatnonzero(equal.any(axis=1) & (inside > 0)).tolist():
        _, begin, size = np.unique(-scores[row, there[row]], return_index=True, return_counts=True)
        mine = np.flatnonzero(relevant[row])
        group = np.searchsorted(begin, mine, "right") - 1
        its_nth = np.arange(len(mine)) - np.searchsorted(group, group)
        others = size[group] - np.bincount(group)[group]
        at = slice(starts[row], starts[row] + len(mine))
        best[at] = begin[group] + its_nth + 1
        worst[at] = begin[group] + others + its_nth + 1
    return Ranks(values, starts), Ranks(best, starts), Ranks(worst, starts)
