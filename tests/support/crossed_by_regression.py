"""Variance components of seeds and units from nested regressions: another way to the same sums."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]


def residual_squares(values: Floats, *factors: NDArray[np.int64]) -> float:
    """What of `values` a regression on a constant and these factors leaves: sum of squares."""
    columns = [np.ones(len(values))]
    for factor in factors:
        columns += [(factor == level).astype(float) for level in np.unique(factor)]
    design = np.stack(columns, 1)
    fitted = design @ np.linalg.lstsq(design, values, rcond=None)[0]
    return float(((values - fitted) ** 2).sum())


def mean_squares(table: Floats) -> tuple[float, float, float]:
    """Of units, of seeds and of neither, for a table [S, U]."""
    n_seeds, n_units = table.shape
    seeds, units = (index.ravel() for index in np.indices(table.shape))
    flat = table.ravel()
    neither = residual_squares(flat, seeds, units)
    return (
        (residual_squares(flat, seeds) - neither) / (n_units - 1),
        (residual_squares(flat, units) - neither) / (n_seeds - 1),
        neither / ((n_seeds - 1) * (n_units - 1)) if n_seeds > 1 else 0.0,
    )


def linearised(values: Floats, units: list[str]) -> tuple[Floats, float]:
    """z of each seed and unit, [S, U], and the mean, for values [S, Q]."""
    names = sorted(set(units))
    mean = float(values.mean())
    z = np.array(
        [
            [
                sum(value - mean for value, unit in zip(row, units, strict=True) if unit == name)
                for name in names
            ]
            for row in values
        ]
    )
    return z * len(names) / values.shape[1], mean


def freedom_of_units(units: list[str]) -> float:
    sizes = np.unique(units, return_counts=True)[1].astype(float)
    return max(1.0, float((sizes**2).sum() ** 2 / (sizes**4).sum()) - 1)


def interval(
    of_units: float, of_seeds: float, unbiased: float, units_freedom: float, seeds_freedom: float
) -> float:
    """Half of the 95 % interval from the variances of two sources."""
    total = of_units + of_seeds
    if total == 0:
        return 0.0
    freedom = total**2 / (of_units**2 / units_freedom + of_seeds**2 / seeds_freedom)
    own = [stats.t.ppf(0.975, each) for each in (units_freedom, seeds_freedom)]
    return max(
        float(stats.t.ppf(0.975, freedom) * np.sqrt(total)),
        float(np.sqrt(own[0] ** 2 * of_units + own[1] ** 2 * unbiased)),
    )


def mean_over_seeds(values: Floats, units: list[str]) -> tuple[float, float, float]:
    """Mean over [S, Q] with S of 2 or more, and the ends of its interval."""
    z, mean = linearised(values, units)
    (n_seeds, n_units), (by_unit, by_seed, neither) = z.shape, mean_squares(z)
    cells = n_seeds * n_units
    share = max(0, n_seeds - 3) / (n_seeds - 1)
    half = interval(
        by_unit / cells,
        max(0.0, by_seed - share * neither) / cells,
        max(0.0, by_seed - neither) / cells,
        freedom_of_units(units),
        n_seeds - 1,
    )
    return mean, mean - half, mean + half


def difference_over_seeds(
    first: Floats, second: Floats, units: list[str]
) -> tuple[float, float, float]:
    """Mean of [S, Q] minus that of [T, Q], 2 seeds or more each, and the ends of its interval."""
    sides = [linearised(values, units) for values in (first, second)]
    apart = sides[0][0].mean(axis=0) - sides[1][0].mean(axis=0)
    n_units = len(apart)
    of_seeds = unbiased = welch = squares = 0.0
    for z, _ in sides:
        _, by_seed, neither = mean_squares(z)
        share, cells = max(0, len(z) - 3) / (len(z) - 1), z.size
        of_seeds += (by_seed - share * neither) / cells
        unbiased += (by_seed - neither) / cells
        squares += by_seed / cells
        welch += (by_seed / cells) ** 2 / (len(z) - 1)
    half = interval(
        float(apart.var(ddof=1)) / n_units,
        max(0.0, of_seeds),
        max(0.0, unbiased),
        freedom_of_units(units),
        squares**2 / welch if welch else 1.0,
    )
    value = sides[0][1] - sides[1][1]
    return value, value - half, value + half
