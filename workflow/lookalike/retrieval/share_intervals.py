"""How sure a share is whose trials come in classes: an exact interval of fewer, effective trials.

Korn and Graubard, "Confidence intervals for proportions with small expected number of positive
counts estimated from survey data", Survey Methodology 24, 1998. Near 0 and 1, where rates of errors
are, it keeps what it states where a bootstrap does not.
"""

from __future__ import annotations

from scipy.special import betaincinv, ndtri, stdtrit

from lookalike.retrieval.arrays import Values
from lookalike.retrieval.statistics import FEWEST_UNITS, Interval


def share_interval(
    successes: Values, trials: Values, *, confidence: float = 0.95, more_variance: float = 1.0
) -> Interval | None:
    """The interval of a share, from what each class contributes to it.

    Args:
        successes: float64 [C], of each class.
        trials: float64 [C], likewise; classes without a trial do not count.
        confidence: of the interval.
        more_variance: by how much the share varies more than its classes tell.

    Returns:
        Lowest and highest share, or None for fewer than `FEWEST_UNITS` classes.

    """
    there = trials > 0
    successes, trials = successes[there], trials[there]
    n_classes, n_trials = len(trials), float(trials.sum())
    if n_classes < FEWEST_UNITS:
        return None
    share = float(successes.sum()) / n_trials
    residuals = successes - share * trials
    variance = float(residuals @ residuals) / n_trials**2 * n_classes / (n_classes - 1)
    # Where no class differs nothing is known of how they vary: then each counts as one trial.
    effective = share * (1 - share) / variance if variance > 0 else n_classes
    effective = min(effective, n_trials)
    tail = (1 - confidence) / 2
    # Few classes: their variance is itself a guess, as in Student's t.
    effective *= (ndtri(tail) / stdtrit(n_classes - 1, tail)) ** 2 / more_variance
    hits = share * effective
    low = betaincinv(hits, effective - hits + 1, tail) if hits > 0 else 0.0
    high = betaincinv(hits + 1, effective - hits, 1 - tail) if hits < effective else 1.0
    return float(low), float(high)
