"""The product and the counting on a GPU: what `scores` and `counting` do on a CPU.

A GPU has no use for loops over single scores, so here the same counts come from binary searches:
every score is looked up among the levels of its query, all queries at once. The counts land in the
same `Levels` and `Places`. All is written in torch and runs on any of its devices. Beside the
embeddings and the levels it needs at most some 450 MiB there, whatever the sizes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lookalike.errors import LookalikeError
from lookalike.retrieval.arrays import Float32s, Int32s
from lookalike.retrieval.counting import Levels, Marks, Places
from lookalike.retrieval.scores import rising, with_zero_rows

# The shape of a product, as on a CPU one for all: another may be summed in another order. HEIGHT is
# for whoever cuts the queries into tiles.
HEIGHT, WIDTH = 1024, 4096

# The most pairs of near vectors whose differences are looked at together, and the most values.
_PAIRS, _DIFFERENCES = 2**14, 2**21

_WORD = 2**32
_FURTHEST = float(np.finfo(np.float32).max)
_NOTHING = int(rising(np.array([-np.inf], np.float32).view(np.int32))[0])


@dataclass(frozen=True)
class DeviceScorer:
    """Scores as those of `lookalike.retrieval.scores.Scorer`, made and kept on a device.

    Products are those of torch as it is set: in full float32 after `choose_device`. Sums may
    be in another order than on a CPU, so scores differ by some 1e-7 and so may the order of items
    nearer than that.

    Attributes:
        vectors: the queries, [height, d], filled up with zero rows; float64 for `euclidean`.
        score: "cosine" or "euclidean".

    """

    vectors: torch.Tensor
    score: str

    @classmethod
    def of(cls, vectors: Float32s, height: int, score: str, device: torch.device) -> DeviceScorer:
        """Take n <= height queries, float32 [n, d], prepared for the score.

        Raises:
            LookalikeError: the device lacks the float64 that distances need.

        """
        rows = with_zero_rows(vectors, height)
        if score != "euclidean":
            return cls(rows.to(device), score)
        if device.type == "mps":
            raise LookalikeError(
                "device: distances need float64, which mps has not; take the cpu for the score "
                "euclidean"
            )
        return cls(rows.to(device).double(), score)

    def tiles(self, gallery: torch.Tensor, n_items: int) -> Iterator[tuple[int, torch.Tensor]]:
        """Score gallery items, a tile at a time.

        Args:
            gallery: float32 [at least n_items, d] on the device, prepared.
            n_items: how many rows are items; those after them are zero.

        Yields:
            The first item of the tile, and its scores: float32 [height, at most WIDTH].
        """
        for start in range(0, n_items, WIDTH):
            part = gallery[start : start + WIDTH]
            items = torch.nn.functional.pad(part, (0, 0, 0, WIDTH - len(part)))
            if self.score == "cosine":
                scores = self.vectors @ items.T
            else:
                scores = _distances(self.vectors, items.double())
            yield start, scores[:, : n_items - start]


def _distances(queries: torch.Tensor, gallery: torch.Tensor) -> torch.Tensor:
    """As `counting.distances`: float32 [n, m] from float64 [n, d] and [m, d]."""
    square = queries @ gallery.T
    own, other = queries.square().sum(1)[:, None], gallery.square().sum(1)
    square.mul_(-2).add_(own).add_(other)
    near = (square < 1e-6 * (own + other)).nonzero()
    # Always as many pairs at a time, the first of them again: the order of a sum may follow from
    # the shape.
    size = max(1, min(_PAIRS, _DIFFERENCES // queries.shape[1]))
    for start in range(0, len(near), size):
        pairs = near[start : start + size]
        row, column = torch.cat([pairs, pairs[:1].expand(size - len(pairs), 2)]).T
        square[row, column] = (queries[row] - gallery[column]).square_().sum(1)
    return square.sqrt_().clamp_(max=_FURTHEST).neg_().float()


class DeviceCounts:
    """What `lookalike.retrieval.counting.count` counts, for a tile of n queries, kept on a device.

    Each pair of an order and the order among its equals is one whole number, so that one search or
    one selection settles both. `last` counts an item's place among equals from their end.

    Attributes:
        level_keys: int64 [levels], rising: the query, and the score of a level.
        tie_keys: int64 [levels], rising: the first of a level's equals, and `last` of its item.
        between, equal, before: int64 [levels], as in `Levels`.
        best: int64 [n, depth], falling: score and `last` of the best items.
        items: int64 [n, depth], the best items.

    """

    def __init__(
        self, device: torch.device, marks: Marks, levels: Levels, n_gallery: int, depth: int
    ) -> None:
        """Make ready to count.

        Args:
            device: where to count.
            marks: which items do not count.
            levels: what to count against; nothing is written to it before `fill`.
            n_gallery: N, the number of gallery items.
            depth: how many of the best items to keep.

        """
        self.device, self.n_gallery = device, n_gallery
        n = len(levels.start) - 1
        by_item = np.argsort(marks.item, kind="stable")
        self._marked = marks.item[by_item]
        self._marked_row = np.repeat(np.arange(n), np.diff(marks.start))[by_item]

        row = np.repeat(np.arange(n), np.diff(levels.start))
        keys = row * _WORD + rising(levels.score.view(np.int32))
        first_equal = np.searchsorted(keys, keys)
        self.row = torch.arange(n, device=device)[:, None] * _WORD
        self.level_keys = self._there(keys)
        self.tie_keys = self._there(first_equal * _WORD + self._last(levels.tie))
        self.between, self.equal, self.before = torch.zeros(
            (3, len(keys)), dtype=torch.int64, device=device
        )
        self.best = torch.full((n, depth), _NOTHING * _WORD, device=device)
        self.items = torch.full((n, depth), -1, device=device)

    def count(self, scores: torch.Tensor, first: int, ties: Int32s) -> None:
        """Count a tile of scores against the levels, and keep the best items.

        Args:
            scores: float32 [at least n, at least w] on the device; the first n rows and w columns
                are looked at. Scores of marked items are overwritten with -inf.
            first: position in the gallery of the first column; tiles may come in any order.
            ties: int32 [w], the place among equal scores of each column's item.

        """
        scores = scores[: len(self.row), : len(ties)]
        begin, end = np.searchsorted(self._marked, [first, first + len(ties)]).tolist()
        marked = (
            self._there(self._marked_row[begin:end]),
            self._there(self._marked[begin:end].astype(np.int64) - first),
        )
        scores[marked] = -torch.inf
        order = rising((scores + 0).view(torch.int32))  # + 0 makes -0 an ordinary 0
        last = self._there(self._last(ties))
        if self.best.shape[1] > 0:
            self._keep_best(order, first, last)
        self._look_up(order, last)

    def fill(self, levels: Levels, places: Places) -> None:
        """Write what was counted to where `lookalike.retrieval.counting.count` leaves it.

        Args:
            levels: those to count against; `between`, `equal` and `before` are overwritten.
            places: the best items, to overwrite.

        """
        levels.between[:], levels.equal[:], levels.before[:] = (
            some.cpu().numpy() for some in (self.between, self.equal, self.before)
        )

        # The worst first is a heap with the worst at its root.
        best, items = self.best.cpu().numpy(), self.items.cpu().numpy()
        places.size[:] = (best >= (_NOTHING + 1) * _WORD).sum(1)
        at = np.maximum(places.size[:, None] - 1 - np.arange(best.shape[1]), 0)
        best, items = np.take_along_axis(best, at, 1), np.take_along_axis(items, at, 1)
        places.score[:] = rising((best >> 32).astype(np.int32)).view(np.float32)
        places.tie[:], places.item[:] = self._last(best & (_WORD - 1)), items

    def _there(self, values: NDArray[np.int64]) -> torch.Tensor:
        return torch.from_numpy(values).to(self.device)

    def _last(self, ties: NDArray[Any]) -> NDArray[np.int64]:
        return self.n_gallery - 1 - ties.astype(np.int64)

    def _keep_best(self, order: torch.Tensor, first: int, last: torch.Tensor) -> None:
        """Put what is better than the worst of the best in its place."""
        n, depth = self.best.shape
        floor = (self.best[:, -1:] >> 32).clamp(min=_NOTHING + 1)
        columns = (order >= floor).any(0).nonzero()[:, 0]  # fewer and fewer
        keys = order[:, columns].long() * _WORD + last[columns]
        self.best, at = torch.cat([self.best, keys], 1).topk(depth)
        items = torch.cat([self.items, (first + columns).expand(n, -1)], 1)
        self.items = items.gather(1, at)

    def _look_up(self, order: torch.Tensor, last: torch.Tensor) -> None:
        """Count scores by the levels they lie between; after its levels a query has +inf."""
        keys = self.row + order
        level = torch.searchsorted(self.level_keys, keys)
        self.between += self._counted(level.flatten())
        equal = self.level_keys[level] == keys
        if equal.any():
            self._tie(level[equal], last.expand_as(equal)[equal])

    def _tie(self, level: torch.Tensor, last: torch.Tensor) -> None:
        """Take note of items whose scores are those of levels, each the first of its equals."""
        self.equal += self._counted(level)
        # Among equal levels `last` rises: an item comes before the levels whose `last` is lower.
        behind = torch.searchsorted(self.tie_keys, level * _WORD + last)
        self.before += self._counted(behind[behind > level] - 1)

    def _counted(self, level: torch.Tensor) -> torch.Tensor:
        return torch.bincount(level, minlength=len(self.level_keys))


@dataclass(frozen=True)
class OnDevice:
    """Ranks on a torch device; an `Accelerator` of `lookalike.retrieval.ranking`."""

    device: torch.device

    @property
    def height(self) -> int:
        """Queries in one product."""
        return HEIGHT

    def scorer(self, vectors: Float32s, height: int, score: str) -> DeviceScorer:
        """See `DeviceScorer.of`."""
        return DeviceScorer.of(vectors, height, score, self.device)

    def counts(self, marks: Marks, levels: Levels, n_gallery: int, depth: int) -> DeviceCounts:
        """Counts for one tile of queries, from 0."""
        return DeviceCounts(self.device, marks, levels, n_gallery, depth)


def accelerator_of(device: torch.device) -> OnDevice | None:
    """What is to rank there; None where the loops for a CPU are."""
    return None if device.type == "cpu" else OnDevice(device)
