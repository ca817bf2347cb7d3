"""How metrics change with the size of the gallery: the expectation over smaller ones.

All relevant items stay, and of the O other items of a query's gallery n are drawn at random, each
set of n as likely as any. Of the a_i others before the i-th relevant item, A_i are drawn: that is
hypergeometric, and i + A_i is the item's new rank. So a metric's expectation over all smaller
galleries follows from the ranks in the whole one, and no gallery is ever drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray

from lookalike.compilation import compiled
from lookalike.retrieval.arrays import Int64s, Values
from lookalike.retrieval.ranks import Ranks

DRAWN_SHARES = (10**-1.0, 10**-0.75, 10**-0.5, 10**-0.25, 1.0)
"""Of the other items, as many as are drawn; the last is the whole gallery."""

_ORDERS = 12
_BINOMIAL = np.array(
    [
        [float(np.prod([(j - i) / (i + 1) for i in range(m)])) for m in range(_ORDERS + 1)]
        for j in range(_ORDERS + 1)
    ]
)
# Where a distribution is at least so wide, and so far from -i by its width, 1 / (i + A) is summed
# from its central moments: what they leave out is below 1e-10 of it.
_WIDE, _FAR = 10.0, 14.0
# Standard deviations beyond which there is less than 1e-16, and as many draws for narrow ones.
_REACH, _NARROW = 9.5, 20.0
# Weights are relative to the largest; smaller ones add nothing.
_NOTHING = 1e-19


def growth_keys(ks: Sequence[int]) -> list[str]:
    """The metrics whose growth is known, in the order of `expected_metrics`."""
    return [*(f"mAP@{k}" for k in ks), "mAP", *(f"CMC@{k}" for k in ks), "mean_rank"]


def drawn_of(others: Int64s, share: float) -> Int64s:
    """How many of the other items a share of them is, int64 [n]: the nearest whole number."""
    drawn: Int64s = np.rint(others * share).astype(np.int64)
    return drawn


def expected_metrics(ranks: Ranks, others: Int64s, drawn: Int64s, ks: Sequence[int]) -> Values:
    """The expectation of each of `growth_keys` for n queries, with so many others drawn.

    As many threads work as torch is set to use; no number depends on that.

    Args:
        ranks: of the relevant items in the whole gallery. A query without any has 0 in shares, and
            one more than the others drawn in ranks.
        others: int64 [n], O, the items of its gallery that are not relevant.
        drawn: int64 [n, s], how many of them are drawn, at s sizes.
        ks: the cut-offs.

    Returns:
        float64 [n, s, keys].
    """
    n = len(others)
    out = np.empty((n, drawn.shape[1], 2 * len(ks) + 2))
    cut_offs = np.array(ks, np.int64)
    # Pieces of as many relevant items.
    threads = torch.get_num_threads()
    bounds = np.linspace(0, ranks.starts[-1], 8 * threads + 1)
    pieces = np.unique([0, *np.searchsorted(ranks.starts[:-1], bounds), n]).tolist()

    def work(first: int, end: int) -> None:
        _expect(
            ranks.values,
            ranks.starts[first : end + 1],
            others[first:end],
            drawn[first:end],
            cut_offs,
            _BINOMIAL,
            out[first:end],
        )

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, pieces[:-1], pieces[1:]))
    return out


@compiled
def _expect(
    values: NDArray[np.integer],
    starts: Int64s,
    others: Int64s,
    drawn: Int64s,
    ks: Int64s,
    binomial: Values,
    out: Values,
) -> None:
    """Fill `out`, float64 [n, s, 2 * len(ks) + 2], see `expected_metrics`."""
    n_ks = len(ks)
    sums, below = np.empty(n_ks + 1), np.empty(n_ks)
    for query in range(len(others)):
        first, end = starts[query], starts[query + 1]
        count, total = end - first, others[query]
        for size in range(drawn.shape[1]):
            n = drawn[query, size]
            row = out[query, size]
            row[:] = 0.0
            if count == 0:
                row[2 * n_ks + 1] = n + 1.0
                continue
            for i in range(1, count + 1):
                before = int(values[first + i - 1]) - i
                _expect_item(i, before, n, total, ks, binomial, sums, below)
                for k in range(n_ks + 1):
                    row[k] += sums[k]
                if i == 1:
                    row[n_ks + 1 : 2 * n_ks + 1] = below
                    share = before / total if total > 0 else 0.0
                    row[2 * n_ks + 1] = 1.0 + n * share
            for k in range(n_ks):
                row[k] /= min(ks[k], count)
            row[n_ks] /= count


@compiled
def _expect_item(
    i: int,
    before: int,
    n: int,
    total: int,
    ks: Int64s,
    binomial: Values,
    sums: Values,
    below: Values,
) -> None:
    """What the i-th relevant item adds: E of P at its rank, up to each cut-off and in all.

    Args:
        i: its place among the relevant ones, from 1.
        before: a, the others before it.
        n: how many others are drawn.
        total: O, the others there are.
        ks: the cut-offs.
        binomial: coefficients.
        sums: float64 [len(ks) + 1] to fill: E[i / (i + A), i + A <= k]; at last E[i / (i + A)].
        below: float64 [len(ks)] to fill: the probability that i + A <= k.

    """
    n_ks = len(ks)
    if before == 0 or n == 0 or n == total:
        rank = i + (before if n == total else 0)
        for k in range(n_ks):
            below[k] = 1.0 if rank <= ks[k] else 0.0
            sums[k] = below[k] * i / rank
        sums[n_ks] = i / rank
        return
    a, big = float(before), float(total)
    mean = n * (a / big)
    deviation = np.sqrt(mean * (1 - a / big) * ((big - n) / (big - 1)))
    reach = _REACH * deviation + _NARROW
    far = deviation >= _WIDE and i + mean >= _FAR * deviation
    for k in range(n_ks):
        far = far and abs(ks[k] - i - mean) > reach
    if far:
        whole = i * _inverse(i + mean, a, n, big, binomial)
        for k in range(n_ks):
            below[k] = 1.0 if ks[k] - i > mean else 0.0
            sums[k] = below[k] * whole
        sums[n_ks] = whole
        return
    sums[:] = 0.0
    below[:] = 0.0
    weights = 0.0
    mode = int((n + 1) * ((a + 1) / (big + 2)))
    mode = max(min(mode, before, n), n - (total - before), 0)
    rest = big - a - n  # others that are neither before the item nor drawn, were none in both
    weight, x = 1.0, mode
    while weight > _NOTHING:
        weights += weight
        value = weight * i / (i + x)
        sums[n_ks] += value
        for k in range(n_ks):
            if i + x <= ks[k]:
                sums[k] += value
                below[k] += weight
        weight *= (a - x) * (n - x) / ((x + 1.0) * (rest + x + 1.0))
        x += 1
    weight, x = 1.0, mode
    while True:
        weight *= x * (rest + x) / ((a - x + 1.0) * (n - x + 1.0))
        x -= 1
        if weight <= _NOTHING:
            break
        weights += weight
        value = weight * i / (i + x)
        sums[n_ks] += value
        for k in range(n_ks):
            if i + x <= ks[k]:
                sums[k] += value
                below[k] += weight
    for k in range(n_ks):
        sums[k] /= weights
        below[k] /= weights
    sums[n_ks] /= weights


@compiled
def _inverse(centre: float, a: float, n: float, big: float, binomial: Values) -> float:
    """E[1 / (centre + D)] for D = A - E[A], from the central moments of A.

    From the ratio of neighbouring probabilities, with f(A) = D^j: E[(a - A)(n - A) (D + 1)^j] =
    E[A (O - a - n + A) D^j], which gives each moment by those before it.
    """
    mean = n * (a / big)
    c0, c1 = (a - mean) * (n - mean), (a - mean) + (n - mean)
    moments = np.zeros(_ORDERS + 1)
    moments[0] = 1.0
    for j in range(1, _ORDERS):
        total = 0.0
        for m in range(j):
            total += binomial[j, m] * (c0 * moments[m] - c1 * moments[m + 1])
            if m < j - 1:
                total += binomial[j, m] * moments[m + 2]
        moments[j + 1] = total / (big - j)
    found, power = 0.0, 1.0
    for j in range(_ORDERS + 1):
        found += moments[j] / power if j % 2 == 0 else -moments[j] / power
        power *= centre
    return found / centre
