"""Principal components of embeddings: whitening, and truncation to the first dimensions.

Fitted on the embedded training images alone, so that no query and no gallery image has a part in
it, and a further one changes no other's embedding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch

from lookalike.errors import LookalikeError
from lookalike.jobs.torch_devices import one_thread
from lookalike.retrieval.arrays import Float32s, Values
from lookalike.retrieval.scores import normalised

_ROWS = 256
# Variance below this share of the largest, or within the rounding of float32, is none.
_LEAST_SHARE, _ROUNDING = 1e-10, 2.0**-46


@dataclass(frozen=True)
class Projection:
    """An affine map of embeddings of d numbers to k: `matrix` (x - `offset`).

    Attributes:
        offset: float64 [d].
        matrix: float64 [k, d].
        variances: float64 [d], along all principal axes, falling.
        n: how many embeddings it was fitted on.
        unit: whether what comes out is brought to length 1.

    """

    offset: Values
    matrix: Values
    variances: Values
    n: int
    unit: bool

    @property
    def kept(self) -> float:
        """Share of all variance that lies along the axes that are kept."""
        return float(self.variances[: len(self.matrix)].sum() / self.variances.sum())


@dataclass(frozen=True)
class Moments:
    """What principal components are made of.

    Attributes:
        n: how many embeddings.
        mean: float64 [d].
        second: float64 [d, d], the sum of the outer products of the embeddings less their mean.

    """

    n: int
    mean: Values
    second: Values


def moments_of(vectors: Callable[[], Iterable[Float32s]]) -> Moments:
    """Mean and scatter of embeddings that stream by twice, float32 [m, d].

    Sums are made in float64, in blocks of one size: how the embeddings are cut changes nothing.

    Raises:
        LookalikeError: there are fewer than two.

    """
    n, total = 0, np.zeros(1)
    for block in _blocks(vectors()):
        n, total = n + len(block), total + block.sum(axis=0, dtype=np.float64)
    if n < 2:
        raise LookalikeError(
            f"principal components need two training images at the least, and here are {n}: name "
            "training images, or set search.whitened and search.truncated to false"
        )
    mean = total / n
    second = torch.zeros(len(mean), len(mean), dtype=torch.float64)
    with one_thread():
        for block in _blocks(vectors()):
            apart = torch.from_numpy(block - mean)
            second.addmm_(apart.T, apart)
    return Moments(n, mean, second.numpy())


def whitening(moments: Moments, dim: int | None, shrink: float, *, unit: bool) -> Projection:
    """PCA whitening: along each principal axis the variance is 1, or nearer to 1.

    Each axis is divided by the square root of (1 - shrink) times its variance plus shrink times the
    mean variance of all axes.

    Args:
        moments: of the embeddings to fit it on.
        dim: axes to keep, those of largest variance; None for all that have any.
        shrink: 0 for plain whitening, 1 for none.
        unit: whether embeddings are compared by cosine: then what comes out gets length 1.

    Raises:
        LookalikeError: all the embeddings are alike.

    """
    variances, axes = _principal(moments.second / (moments.n - 1), moments)
    found = axes[: len(axes) if dim is None else dim]
    spread = (1 - shrink) * variances[: len(found)] + shrink * variances.mean()
    return Projection(
        moments.mean, found / np.sqrt(spread)[:, None], variances, moments.n, unit=unit
    )


def truncation(moments: Moments, dim: int, *, unit: bool) -> Projection:
    """The first principal axes alone: of so many dimensions, those that keep scores best.

    Where embeddings are compared by cosine, the axes are those about the origin, not about the mean
    (an uncentred PCA): with all of them every cosine is what it was.

    Raises:
        LookalikeError: all the embeddings are alike.

    """
    scatter, offset = moments.second, moments.mean
    if unit:
        scatter = scatter + moments.n * np.outer(offset, offset)
        offset = np.zeros_like(offset)
    variances, axes = _principal(scatter / (moments.n - (not unit)), moments)
    return Projection(offset, axes[:dim], variances, moments.n, unit=unit)


def projected(vectors: Iterable[Float32s], projection: Projection) -> Iterator[Float32s]:
    """Embeddings after a projection, in blocks: float32 [m, k].

    Products have one shape and are made in float64 on one thread: an embedding does not depend on
    its place or company.
    """
    matrix = torch.from_numpy(np.ascontiguousarray(projection.matrix.T))
    for block in _blocks(vectors):
        wide = np.zeros((_ROWS, block.shape[1]))
        wide[: len(block)] = block - projection.offset
        with one_thread():
            found: Values = (torch.from_numpy(wide) @ matrix).numpy()[: len(block)]
        yield normalised(found) if projection.unit else found.astype(np.float32)


def _principal(scatter: Values, moments: Moments) -> tuple[Values, Values]:
    """Variances along all axes, falling, and the axes that have any, one a row."""
    with one_thread():
        rising, columns = torch.linalg.eigh(torch.from_numpy(scatter))
    variances, axes = np.maximum(rising.numpy()[::-1], 0), columns.numpy().T[::-1]
    length = float(np.trace(moments.second)) / moments.n + float(moments.mean @ moments.mean)
    there = variances > max(_LEAST_SHARE * variances[0], _ROUNDING * length)
    if not there.any():
        raise LookalikeError(
            "the embeddings of all training images are alike, so they have no principal "
            "components: the network tells nothing apart"
        )
    axes = axes[there]
    # An axis has two directions: the one in which its largest number is positive.
    largest = np.take_along_axis(axes, np.abs(axes).argmax(axis=1)[:, None], axis=1)
    return variances, axes * np.sign(largest)


def _blocks(vectors: Iterable[Float32s]) -> Iterator[Float32s]:
    """The same rows in blocks of `_ROWS`; the last may have fewer."""
    held: list[Float32s] = []
    n_held = 0
    for some in vectors:
        held, n_held = [*held, some], n_held + len(some)
        if n_held >= _ROWS:
            rows = np.concatenate(held)
            whole = len(rows) - len(rows) % _ROWS
            yield from (rows[at : at + _ROWS] for at in range(0, whole, _ROWS))
            held, n_held = [rows[whole:]], len(rows) - whole
    if n_held:
        yield np.concatenate(held)
