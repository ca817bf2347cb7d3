"""Several comparisons with one reference: p values that hold for all of them together."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from lookalike.retrieval.arrays import Values


def holm(p_values: ArrayLike) -> Values:
    """Holm's adjusted p values: where all below 0.05 are called, one is wrong in 5 % at most.

    The smallest of m p values is multiplied by m, the next by m - 1 and so on, and none is less
    than one before it (Holm 1979, Scandinavian Journal of Statistics 6, 65-70). However the
    comparisons depend on each other.

    Args:
        p_values: [m], of single comparisons.

    Returns:
        float64 [m], in the same order, 1 at most.
    """
    values = np.asarray(p_values, np.float64)
    order = np.argsort(values, kind="stable")
    factors = np.arange(len(values), 0, -1)
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(factors * values[order]))
    return adjusted
