"""k-reciprocal re-ranking as its authors wrote it (Zhong et al. 2017), of dense matrices."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]


def final_distances_densely(squared: Matrix, k1: int, k2: int, weight: float) -> Matrix:
    """Distances of the first item to each of the others, from all squared distances.

    As in the authors' `re_ranking`: every distance over the greatest of its row, each item the
    first of its own neighbours.
    """
    n = len(squared)
    original = squared / squared.max(axis=1, keepdims=True)
    near = np.array(
        [[i, *(j for j in np.argsort(original[i], kind="stable") if j != i)] for i in range(n)]
    )

    def reciprocal(i: int, k: int) -> set[int]:
        return {int(j) for j in near[i, : k + 1] if i in near[j, : k + 1]}

    neighbourhoods = np.zeros((n, n))
    for i in range(n):
        mutual = reciprocal(i, k1)
        joined = set(mutual)
        for candidate in mutual:
            others = reciprocal(candidate, int(np.around(k1 / 2)))
            if len(others & mutual) > 2 / 3 * len(others):
                joined |= others
        members = sorted(joined)
        weights = np.exp(-original[i, members])
        neighbourhoods[i, members] = weights / weights.sum()
    if k2 != 1:
        neighbourhoods = np.stack([neighbourhoods[near[i, :k2]].mean(axis=0) for i in range(n)])
    shared = np.minimum(neighbourhoods[0], neighbourhoods[1:]).sum(axis=1)
    jaccard = 1 - shared / (2 - shared)
    return np.asarray((1 - weight) * jaccard + weight * original[0, 1:])
