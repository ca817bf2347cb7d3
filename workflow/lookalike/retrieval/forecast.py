"""What metrics will be with ten times as many other items, from how they changed up to now.

Shares are extrapolated as log odds over the logarithm of the number of other items: by the line
through the last two sizes and by the curve through all three, whose difference is what the model
does not know; the mean of both is the forecast. Where a metric asks only whether enough others come
before the first relevant item, as CMC@k does for k of ten and more, and mean_rank, no model is
needed: ten times as many others bring ten times as many before it, so that CMC@k is known from a
tenth of k.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lookalike.retrieval.arrays import Int64s, Values
from lookalike.retrieval.metrics import in_ranks, metric_of
from lookalike.retrieval.statistics import FEWEST_UNITS, percentile_interval, resampled_units

TIMES = 10
"""So many times the other items are forecast."""

# Log odds are finite from here to 1 less it.
_LEAST = 1e-9


@dataclass(frozen=True)
class Forecast:
    """A metric with ten times the other items, and its 95 % interval, None where there is none."""

    value: float
    low: float | None = None
    high: float | None = None


def forecast_metrics(
    values: Mapping[str, Values],
    first_rank: Int64s,
    shares: Sequence[float],
    *,
    resamples: int,
    seed: int,
    units: Sequence[str] | None = None,
) -> dict[str, Forecast]:
    """Forecast each metric's mean over the queries.

    The interval joins what other queries of the kind would give (queries, or classes, are drawn
    again) and what the model does not know (the lower and the higher of its two answers, in each
    draw). Besides, each draw holds one query, or class, more of a kind that was not seen, of a
    random weight around 1: to the low end the worst, to the high end the best. So nothing is
    certain because it was never seen.

    Args:
        values: by metric of `growth.growth_keys`, its expectation of each query at three sizes,
            float64 [Q, 3], the whole gallery last.
        first_rank: int64 [Q], the rank of the first relevant item in the whole gallery.
        shares: of the other items that are drawn at the three sizes.
        resamples: how often queries are drawn again; 0 gives no intervals.
        seed: equal seeds give equal intervals; the order of the queries counts.
        units: the class of each query, to draw classes; None draws queries.

    """
    number = _numbered(units, len(first_rank))
    n_units = int(number.max()) + 1
    columns = {key: _Column.of(key, column, first_rank, shares) for key, column in values.items()}
    points = {key: column.forecast(column.values.mean(0)) for key, column in columns.items()}
    if not resamples or n_units < FEWEST_UNITS:
        return {key: Forecast(point) for key, point in points.items()}
    # All sums side by side, the number of queries first: one product for each draw.
    sums = [np.bincount(number, minlength=n_units).astype(np.float64)]
    places: dict[str, slice] = {}
    for key, column in columns.items():
        places[key] = slice(len(sums), len(sums) + column.values.shape[1])
        sums += [np.bincount(number, each, n_units).astype(float) for each in column.values.T]
    table = np.stack(sums, 1)
    weight = table[:, 0].mean() * np.random.default_rng([seed, 1]).exponential(size=resamples)
    lows: dict[str, list[Values]] = {key: [] for key in columns}
    highs: dict[str, list[Values]] = {key: [] for key in columns}
    done = 0
    for times in resampled_units(n_units, resamples=resamples, seed=seed):
        # einsum, not a matrix product: the bytes must not depend on the number of threads.
        totals = np.einsum("bu,uk->bk", times.astype(np.float64), table)
        extra = weight[done : done + len(times), None]
        done += len(times)
        for key, column in columns.items():
            low, high = column.bounds(totals[:, places[key]], totals[:, :1], extra)
            lows[key].append(low)
            highs[key].append(high)
    found = {}
    for key, point in points.items():
        lowest, _ = percentile_interval(np.concatenate(lows[key]))
        _, highest = percentile_interval(np.concatenate(highs[key]))
        found[key] = Forecast(point, min(lowest, point), max(highest, point))
    return found


@dataclass(frozen=True)
class _Column:
    """How one metric is forecast.

    Attributes:
        values: float64 [Q, s], what is averaged over queries.
        worst, best: float64 [s], these of a query that nobody has seen.
        answers: the lower and the higher forecast, from means [..., s].
        unseen: the same with one query that nobody has seen: of a single query a curve makes too
            much.

    """

    values: Values
    worst: Values
    best: Values
    answers: Callable[[Values], tuple[Values, Values]]
    unseen: Callable[[Values], tuple[Values, Values]]

    @classmethod
    def of(cls, key: str, values: Values, first_rank: Int64s, shares: Sequence[float]) -> _Column:
        found = metric_of(key)
        cut_off = found[1] if found else 0
        if in_ranks(key):
            # Where no other item came before it, three may have been as likely as not.
            return cls(values[:, 2:], np.array([3.0]), np.array([1.0]), *[_ten_times_as_many] * 2)
        if key.startswith("CMC@") and cut_off >= TIMES:
            place = first_rank[:, None] <= np.array([cut_off // TIMES, cut_off // TIMES + 1])
            whole = np.concatenate([place.astype(np.float64), values[:, 2:]], 1)
            return cls(whole, np.zeros(3), np.ones(3), *[_between] * 2)
        steps = np.log10(np.asarray(shares))
        return cls(
            values,
            1 - np.asarray(shares),
            np.ones(3),
            lambda means: _extrapolated(means, steps),
            lambda means: _extrapolated(means, steps, curved=False),
        )

    def forecast(self, means: Values) -> float:
        """From the means over all queries."""
        low, high = self.answers(means)
        return float((low + high) / 2)

    def bounds(self, total: Values, n: Values, extra: Values) -> tuple[Values, Values]:
        """The lower and the higher forecast of some draws, float64 [draws] each.

        Args:
            total: float64 [draws, s], sums over the queries.
            n: float64 [draws, 1], how many queries these are.
            extra: float64 [draws, 1], the weight of a query that nobody has seen.

        """
        as_seen = self.answers(total / n)
        worst = self.unseen((total + extra * self.worst) / (n + extra))
        best = self.unseen((total + extra * self.best) / (n + extra))
        each = [as_seen, worst, best]
        return np.min([low for low, _ in each], 0), np.max([high for _, high in each], 0)


def _ten_times_as_many(means: Values) -> tuple[Values, Values]:
    """Of mean ranks [..., 1]: each other item before the first relevant one becomes ten."""
    rank = 1 + TIMES * (means[..., 0] - 1)
    return rank, rank


def _between(means: Values) -> tuple[Values, Values]:
    """Of CMC at a tenth of k, at one more, and at k itself: no more than that."""
    return np.minimum(means[..., 0], means[..., 2]), np.minimum(means[..., 1], means[..., 2])


def _extrapolated(means: Values, steps: Values, *, curved: bool = True) -> tuple[Values, Values]:
    """Of shares at three sizes, at `steps` of the logarithm below the last: no more than that.

    By the line through the last two and, if `curved`, the curve through all.
    """
    odds = np.log(np.clip(means, _LEAST, 1 - _LEAST))
    odds = odds - np.log1p(-np.clip(means, _LEAST, 1 - _LEAST))
    first, middle, last = odds[..., 0], odds[..., 1], odds[..., 2]
    x0, x1, x2 = steps.tolist()
    to = np.log10(TIMES)
    line = last + (last - middle) * (to - x2) / (x2 - x1)
    curve = (
        first * (to - x1) * (to - x2) / ((x0 - x1) * (x0 - x2))
        + middle * (to - x0) * (to - x2) / ((x1 - x0) * (x1 - x2))
        + last * (to - x0) * (to - x1) / ((x2 - x0) * (x2 - x1))
    )
    both = [
        np.minimum(1 / (1 + np.exp(-answer)), means[..., 2])
        for answer in ([line, curve] if curved else [line])
    ]
    # What is at 1, or at 0, at every size stays there.
    both = [np.where(np.ptp(means, axis=-1) == 0, means[..., 2], answer) for answer in both]
    return np.min(both, axis=0), np.max(both, axis=0)


def _numbered(units: Sequence[str] | None, n_queries: int) -> Int64s:
    if units is None:
        return np.arange(n_queries)
    numbers = {name: number for number, name in enumerate(sorted(set(units)))}
    return np.fromiter(map(numbers.__getitem__, units), np.int64, n_queries)
