"""Recipes whose truth is known, scored and compared many times: what intervals and verdicts keep.

`python -m support.simulated_verdicts` prints the table of docs/metrics.md: some minutes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from lookalike.retrieval.multiple_comparisons import holm
from lookalike.retrieval.statistics import resampled_units
from lookalike.retrieval.variance_components import Estimate, crossed_difference, crossed_mean

Floats = NDArray[np.float64]

QUERY, QUERY_AND_SEED = 0.25, 0.15
"""Standard deviations of a metric between queries, and of a query between seeds."""
CLASS, CLASS_OF_RECIPE = 0.15, 0.05
"""Between classes, where there are such effects: alike in all recipes, and of each recipe alone."""
SEED = 0.02
"""Between seeds, where there is such noise."""
OTHERS = 5
"""Recipes compared with the baseline; all are equally good."""
RUNS = 4000
SEEDS, CLASSES = (1, 3, 5, 10), (20, 100, 500)
RESAMPLES = 1000
_NUMBERS_AT_ONCE = 2**22


@dataclass(frozen=True)
class Cell:
    """How recipes are scored: seeds of each, classes, and whether these make a difference."""

    n_seeds: int
    n_classes: int
    seed_noise: bool
    class_effects: bool


@dataclass(frozen=True)
class Kept:
    """Shares of the runs, of a cell.

    Attributes:
        mean: in which the interval of a recipe's mean holds the truth.
        difference: likewise of a difference of two. Of one seed both are of the trained networks.
        half_width: of the difference's interval, on the average.
        false: in which any of the recipes is called better or worse, after Holm's correction.
        false_of_recipes: likewise, were the verdict on networks taken for one on recipes.
    """

    mean: float
    difference: float
    half_width: float
    false: float
    false_of_recipes: float


def class_sizes(n_classes: int) -> Floats:
    """Queries of each class: from 1 to 12, most of them few."""
    return 1 + np.floor(12 * (np.arange(n_classes) / n_classes) ** 2)


def simulated(
    cell: Cell, sizes: Floats, runs: int, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Sums over the queries of each class, and the true means of the networks; 0 of all recipes.

    Returns:
        float64 [runs, recipes, S, U] and [runs, recipes, S].
    """
    n_recipes, roots = 1 + OTHERS, np.sqrt(sizes)

    def normal(*shape: int) -> Floats:
        return rng.normal(size=(runs, *shape))

    of_seed = SEED * cell.seed_noise * normal(n_recipes, cell.n_seeds)
    totals = QUERY_AND_SEED * roots * normal(n_recipes, cell.n_seeds, len(sizes))
    totals += QUERY * roots * normal(1, 1, len(sizes))
    totals += sizes * of_seed[..., None]
    if cell.class_effects:
        totals += CLASS * sizes * normal(1, 1, len(sizes))
        totals += CLASS_OF_RECIPE * sizes * normal(n_recipes, 1, len(sizes))
    return totals, of_seed


def kept(cell: Cell, runs: int = RUNS, seed: int = 0) -> Kept:
    """What intervals and verdicts keep in so many runs of a cell."""
    rng, sizes = np.random.default_rng(seed), class_sizes(cell.n_classes)
    each = max(1, _NUMBERS_AT_ONCE // ((1 + OTHERS) * cell.n_seeds * cell.n_classes))
    parts = [_outcomes(cell, sizes, min(each, runs - start), rng) for start in range(0, runs, each)]
    means = [float(np.mean(np.concatenate(column))) for column in zip(*parts, strict=True)]
    return Kept(*means)


def _outcomes(cell: Cell, sizes: Floats, runs: int, rng: np.random.Generator) -> list[Floats]:
    totals, of_seed = simulated(cell, sizes, runs, rng)
    baseline, others = totals[:, :1], totals[:, 1:]
    mean, differences = (
        crossed_mean(totals[:, 0], sizes),
        crossed_difference(others, baseline, sizes),
    )
    if cell.n_seeds == 1:
        # Of the networks, whose truths differ.
        true_mean = of_seed[:, 0, 0]
        truths = of_seed[:, 1:, 0] - of_seed[:, :1, 0]
        low, high = bootstrapped(
            np.concatenate([totals[:, :1], others[:, :1] - baseline], 1), sizes
        )
        in_mean = (low[:, 0] <= true_mean) & (true_mean <= high[:, 0])
        of_first = (low[:, 1], high[:, 1])
    else:
        truths, half = np.zeros_like(differences.value), differences.half_width()[:, 0]
        in_mean = np.abs(mean.value) <= mean.half_width()
        of_first = (differences.value[:, 0] - half, differences.value[:, 0] + half)
    in_difference = (of_first[0] <= truths[:, 0]) & (truths[:, 0] <= of_first[1])
    half_width = (of_first[1] - of_first[0]) / 2
    return [
        np.asarray(column, np.float64)
        for column in (
            in_mean,
            in_difference,
            half_width,
            _called(differences, truths),
            _called(differences, np.zeros_like(truths)),
        )
    ]


def _called(differences: Estimate, truths: Floats) -> NDArray[np.bool_]:
    """Whether any recipe of a run is called other than its truth, after correction."""
    apart = replace(differences, value=differences.value - truths)
    # Holm rejects any where the smallest p value is; that is cheap to see for most.
    return np.array([holm(of_run).min() <= 0.05 for of_run in apart.p_value])


def bootstrapped(totals: Floats, sizes: Floats) -> tuple[Floats, Floats]:
    """Percentile intervals of the mean of each run, for sums [runs, n, 1, U]: [runs, n] twice."""
    times = np.concatenate(list(resampled_units(len(sizes), resamples=RESAMPLES, seed=0)))
    draws = totals[:, :, 0] @ times.T.astype(np.float64) / (times @ sizes)
    low, high = np.quantile(draws, [0.025, 0.975], axis=-1)
    return low, high


def cells(seeds: tuple[int, ...] = SEEDS, classes: tuple[int, ...] = CLASSES) -> Iterator[Cell]:
    """All cells, those of a row of the table one after the other."""
    for noise, effects, n_classes, n_seeds in product((False, True), (False, True), classes, seeds):
        yield Cell(n_seeds, n_classes, noise, effects)


def table(runs: int = RUNS) -> str:
    """The table of docs/metrics.md."""
    lines = [
        "| seed noise | class effects | classes | " + " | ".join(_headings()) + " |",
        "|---|---|---|" + "---|" * len(SEEDS),
    ]
    rows: dict[tuple[bool, bool, int], list[str]] = {}
    for cell in cells():
        row = rows.setdefault((cell.seed_noise, cell.class_effects, cell.n_classes), [])
        row.append(in_words(kept(cell, runs)))
    for (noise, effects, n_classes), shown in rows.items():
        words = ["yes" if there else "no" for there in (noise, effects)]
        lines.append(f"| {words[0]} | {words[1]} | {n_classes} | {' | '.join(shown)} |")
    return "\n".join(lines)


def _headings() -> list[str]:
    return [f"{count} seed{'s' if count > 1 else ''}" for count in SEEDS]


def in_words(found: Kept) -> str:
    """A cell of the table."""
    return (
        f"{found.mean:.1%}, {found.difference:.1%}; ±{found.half_width:.4f}; {found.false:.1%}"
        + (f" ({found.false_of_recipes:.0%})" if found.false_of_recipes != found.false else "")
    )


if __name__ == "__main__":
    print(table())
