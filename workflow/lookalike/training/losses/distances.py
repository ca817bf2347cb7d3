"""Euclidean distances within a batch of embeddings, and means over pairs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

# The most differences of embeddings that are held at once: what fits into a processor's cache, or
# keeps a GPU at work.
_DIFFERENCES, _DIFFERENCES_ON_GPU = 2**20, 2**24


def squared_distance(x1: Tensor, x2: Tensor) -> Tensor:
    """Squared Euclidean distance of each row of `x1` [n, d] to that row of `x2` [n, d]: [n]."""
    return ((x1 - x2) ** 2).sum(dim=1)


def root(squared: Tensor) -> Tensor:
    """Square root whose gradient is 0, not infinite, where `squared` is 0.

    The slope of sqrt at 0 is infinite, and times the zero slope of the square it is NaN, which one
    step later is in every weight. At 0 a distance has no direction to grow in: 0 is a valid
    subgradient.
    """
    positive = squared > 0
    return torch.where(positive, torch.where(positive, squared, 1.0).sqrt(), 0.0)


class _SquaredDistances(torch.autograd.Function):
    """See `squared_distances`. Going backwards, torch's `cdist` and `pdist` hold n^2 d floats."""

    @staticmethod
    def forward(context: Any, embeddings: Tensor, others: Tensor | None) -> Tensor:
        context.save_for_backward(embeddings, others)
        others = embeddings if others is None else others
        squared = embeddings.new_empty(len(embeddings), len(others))
        for rows, away in _differences(embeddings, others):
            torch.sum(away.square_(), dim=2, out=squared[rows])
        return squared

    @staticmethod
    @once_differentiable
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None]:
        embeddings, others = context.saved_tensors
        # Within a batch, a distance is one of two images that both move.
        pulls = (gradient + gradient.T).mul_(2) if others is None else gradient * 2
        others = embeddings if others is None else others
        wanted = torch.empty_like(embeddings)
        # Sums of differences, not differences of sums: nothing is lost where embeddings are near.
        for rows, away in _differences(embeddings, others):
            wanted[rows] = torch.bmm(pulls[rows, None], away)[:, 0]
        return wanted, None


def _differences(embeddings: Tensor, others: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Some rows at a time, and their differences to all others: [rows, m, d], until the next."""
    n, (m, d) = len(embeddings), others.shape
    most = _DIFFERENCES if embeddings.device.type == "cpu" else _DIFFERENCES_ON_GPU
    size = min(n, max(1, most // (m * d)))
    # One piece of memory for all: many would leave gaps.
    away = embeddings.new_empty(size, m, d)
    for start in range(0, n, size):
        rows = slice(start, min(start + size, n))
        yield rows, torch.sub(embeddings[rows, None], others, out=away[: n - start])


def squared_distances(embeddings: Tensor, others: Tensor | None = None) -> Tensor:
    """Squared Euclidean distance of each row of [n, d] to each, or to each of others: [n, m].

    Each is the sum of its squared differences, exactly 0 for equal rows: the matrix product that is
    often used instead loses near distances in rounding. Memory is bounded by n m, not n m d,
    forwards and backwards; there is no second derivative.

    Args:
        embeddings: float32 [n, d].
        others: float32 [m, d], which no gradient flows to; the embeddings themselves where None.
    """
    squared: Tensor = _SquaredDistances.apply(embeddings, others)
    return squared


def mean_where(values: Tensor, chosen: Tensor) -> Tensor:
    """Mean of `values` where `chosen` is true; 0 where it is nowhere. Both of one shape.

    Numbers in place of bools say how often each value counts.
    """
    return (values * chosen).sum() / chosen.sum().clamp(min=1)
