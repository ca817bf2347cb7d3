"""Exact expectations of the metrics under a uniformly random order.

For a gallery of G items of which R >= 1 are relevant, every set of R places is equally likely. The
functions follow from two facts: the item at rank i is relevant with probability R / G, and given
that, each other place with probability (R - 1) / (G - 1). Sums of logarithms stand in for binomial
coefficients, so a million gallery items lose no digits that matter.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray


def expected_average_precision_at(g: int, r: int, k: int) -> float:
    """E[AP@k] = S(G, R, k) / min(k, R), with S as in `expected_precision_sum`."""
    return expected_precision_sum(g, r, k) / min(k, r)


def expected_average_precision_at_over_relevant(g: int, r: int, k: int) -> float:
    """E = S(G, R, k) / R."""
    return expected_precision_sum(g, r, k) / r


def expected_average_precision_at_over_hits(g: int, r: int, k: int) -> float:
    """E = sum over h >= 1 of Hypergeometric(h; G, R, n) S(n, h, n) / h, with n = min(k, G).

    Given h hits among the first n, these n places are a random order of a gallery of n with h.
    """
    n = min(k, g)
    hits, probability = _hits_distribution(g, r, n)
    hits, probability = hits[hits > 0], probability[hits > 0]
    # S(n, h, n) / h, as in expected_precision_sum, for all h at once.
    again = (hits - 1) / max(n - 1, 1)
    return float(np.sum(probability * (again + (1 - again) * _harmonic(n) / n)))


def expected_average_precision(g: int, r: int) -> float:
    """E[AP] = S(G, R, G) / R."""
    return expected_precision_sum(g, r, g) / r


def expected_average_precision_at_r(g: int, r: int) -> float:
    """E[AP@R] = S(G, R, R) / R."""
    return expected_precision_sum(g, r, r) / r


def expected_r_precision(g: int, r: int) -> float:
    """E = R / G."""
    return r / g


def expected_precision_at(g: int, r: int, k: int) -> float:
    """E = R / G for k <= G; the hits are divided by k also beyond, so R / k there."""
    return r * min(k, g) / (g * k)


def expected_recall_at(g: int, r: int, k: int) -> float:
    """E = min(k, G) / G."""
    return min(k, g) / g


def expected_cmc_at(g: int, r: int, k: int) -> float:
    """P(a hit among the first k) = 1 - C(G - R, k) / C(G, k)."""
    return -float(np.expm1(_log_none_among(g, r, k)))


def expected_reciprocal_rank(g: int, r: int) -> float:
    """E[1 / r_1] = sum over i of C(G - i, R - 1) / (i C(G, R)) = R / (G - R + 1) (H_G - H_(R - 1)).

    The closed form follows from sum over i of C(G - i, R - 1) / i = C(G, R - 1) (H_G - H_(R - 1)).
    """
    if g - r < r:  # the difference of two near sums would lose digits
        between = float(np.sum(1.0 / np.arange(r, g + 1)))
    else:
        between = _harmonic(g) - _harmonic(r - 1)
    return r / (g - r + 1) * between


def expected_first_rank(g: int, r: int) -> float:
    """E[r_1] = (G + 1) / (R + 1)."""
    return (g + 1) / (r + 1)


def expected_rank_of_all(g: int, r: int) -> float:
    """E = (G + 1) / 2."""
    return (g + 1) / 2


def expected_precision_sum(g: int, r: int, k: int) -> float:
    """S(G, R, k) = sum over i <= min(k, G) of (R/G) (1/i) (1 + (i - 1) (R - 1) / (G - 1)).

    With c = (R - 1) / (G - 1) and n = min(k, G) this is (R/G) (c n + (1 - c) H_n).
    """
    n = min(k, g)
    again = (r - 1) / max(g - 1, 1)
    return r / g * (again * n + (1 - again) * _harmonic(n))


def median_first_rank(
    n_gallery: NDArray[np.int64], n_relevant: NDArray[np.int64], counts: NDArray[np.int64]
) -> float:
    """Median of the mixture of the first ranks' distributions, `counts` queries of each (G, R).

    Where the distribution function meets 1/2 exactly over several ranks, the middle of the lowest
    and highest median, as a median of an even number of values has it. R = 0 stands for G + 1.
    """
    total = int(counts.sum())

    def share_within(m: int) -> float:
        """P(first rank <= m)."""
        parts = (
            n * (-np.expm1(_log_none_among(int(g), int(r), m)) if r else float(m > g))
            for g, r, n in zip(n_gallery, n_relevant, counts, strict=True)
        )
        return float(sum(parts)) / total

    def lowest(level: float) -> int:
        """The lowest m with P(first rank <= m) > level."""
        low, high = 1, int(n_gallery.max()) + 1
        while low < high:
            middle = (low + high) // 2
            if share_within(middle) > level:
                high = middle
            else:
                low = middle + 1
        return low

    rounding = 1e-12
    return (lowest(0.5 - rounding) + lowest(0.5 + rounding)) / 2


def _log_none_among(g: int, r: int, k: int) -> float:
    """Log of C(G - R, k) / C(G, k): no relevant item among the first k places."""
    if k > g - r:
        return -np.inf
    # The ratio is symmetric in R and k: a product over the smaller of the two.
    few, many = min(r, k), max(r, k)
    return float(np.sum(np.log1p(-many / (g - np.arange(few, dtype=np.float64)))))


def _hits_distribution(g: int, r: int, n: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Hypergeometric: the possible numbers of hits among n of G places, and their probabilities."""
    hits = np.arange(max(0, n - (g - r)), min(n, r) + 1)
    h = hits[1:].astype(np.float64)
    steps = np.log((r - h + 1) * (n - h + 1)) - np.log(h * (g - r - n + h))
    log_weights = np.concatenate([[0.0], np.cumsum(steps)])
    weights = np.exp(log_weights - log_weights.max())
    return hits, weights / weights.sum()


@cache
def _harmonic(n: int) -> float:
    """H_n = 1 + 1/2 + ... + 1/n."""
    return float(np.sum(1.0 / np.arange(1, n + 1)))
