"""How many units, or seeds, would tell a difference as large as the one that was seen.

A difference D whose estimate has the variance V is told from 0, by a two-sided test at 5 % and with
a power of 80 %, where

    |D| >= (z(0.975) + z(0.8)) sqrt(V),    so    V <= D^2 / 7.849

(Cohen 1988, Statistical Power Analysis, chapter 2; z: quantiles of the normal distribution). V
falls with the number of units by what of it is theirs, and with that of seeds by what is theirs
(see `lookalike.retrieval.variance_components`):

    V(U, S) = V_units U0 / U + V_seeds S0 / S    with as many seeds (S = S0),
    V(U, S) = V_units - V_residual + (V_residual + V_seeds) S0 / S    with as many units.

Of few seeds or units, the quantiles are those of t, with the degrees of freedom of as many. What
was seen of the variances is taken for the truth, so the answer is a rough one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

LEVEL, POWER = 0.05, 0.8
MOST_UNITS, MOST_SEEDS = 10_000_000, 1000
"""More of them than these are none."""


@dataclass(frozen=True)
class Seen:
    """A difference as it came out, its variance by source, and of how many units and seeds.

    Attributes:
        value: the difference.
        of_units: variance by the choice of units.
        of_seeds: by the choice of seeds.
        residual: the part of `of_units` that seeds lessen, too.
        units_freedom: degrees of freedom of `of_units`.
        seeds_freedom: of `of_seeds`.
        n_units: how many units there were.
        n_seeds: seeds of each recipe; of two with different numbers, the smaller one.
    """

    value: float
    of_units: float
    of_seeds: float
    residual: float
    units_freedom: float
    seeds_freedom: float
    n_units: int
    n_seeds: int


def units_to_tell(seen: Seen) -> int | None:
    """Units that would tell the difference, with as many seeds; None where no number would."""

    def told(count: int) -> bool:
        of_units = seen.of_units * seen.n_units / count
        return _told(seen, of_units, seen.of_seeds, count, seen.n_seeds)

    return _fewest(told, 2, MOST_UNITS)


def seeds_to_tell(seen: Seen) -> int | None:
    """Seeds of each recipe that would, with as many units; None where no number would."""

    def told(count: int) -> bool:
        share = seen.n_seeds / count
        of_units = seen.of_units - seen.residual * (1 - share)
        return _told(seen, of_units, seen.of_seeds * share, seen.n_units, count)

    return _fewest(told, 2, MOST_SEEDS)


def _told(seen: Seen, of_units: float, of_seeds: float, n_units: int, n_seeds: int) -> bool:
    """Whether the power is reached."""
    variance = of_units + of_seeds
    if variance == 0:
        return seen.value != 0
    # As many more as there are more of them.
    units_freedom = (seen.units_freedom + 1) * n_units / seen.n_units - 1
    seeds_freedom = seen.seeds_freedom * (n_seeds - 1) / max(1, seen.n_seeds - 1)
    shares = of_units**2 / max(1.0, units_freedom) + of_seeds**2 / max(1.0, seeds_freedom)
    freedom = variance**2 / shares
    quantiles = float(stdtrit(freedom, 1 - LEVEL / 2) + stdtrit(freedom, POWER))
    return abs(seen.value) >= quantiles * float(np.sqrt(variance))


def _fewest(holds: Callable[[int], bool], low: int, high: int) -> int | None:
    """The smallest number from `low` to `high` from which on it holds; None where none does."""
    if not holds(high):
        return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return low
