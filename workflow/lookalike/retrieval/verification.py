"""Pairs: how well a score tells pairs of one class from pairs of two, at every threshold.

A pair is a query and a gallery item; it is taken for a match where its score reaches a threshold.
False- and true-match rates (FMR, TMR) and the equal error rate are those of ISO/IEC 19795-1:2021,
of all pairs. They are known exactly at the lowest score of each cell of `pair_counts`; in between,
the rates at both ends bound them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lookalike.retrieval.arrays import Int64s, Values
from lookalike.retrieval.identification import FEWEST_EVENTS, enough_for, fewest_for
from lookalike.retrieval.pair_counts import RESOLUTION, PairCounts

FALSE_MATCH_RATES = (1e-1, 1e-2, 1e-3, 1e-4)
"""Rates of false matches at which metrics.json states the TMR."""

# Points of the curve for each power of ten of the FMR.
_POINTS = 10


@dataclass(frozen=True)
class PairRates:
    """Rates at the thresholds where they are exact, of one pair of either kind at the least.

    Attributes:
        threshold: float64 [C + 1], rising; the last is +inf.
        relevant: int64 [C + 1], pairs with relevant items of that score or a higher one.
        others: int64 [C + 1], pairs with other items, likewise.

    """

    threshold: Values
    relevant: Int64s
    others: Int64s

    @classmethod
    def of(cls, pairs: PairCounts) -> PairRates:
        """Add up what was counted."""
        lowest, *kinds = pairs.in_cells()
        relevant, others = (np.append(np.cumsum(kind[::-1])[::-1], 0) for kind in kinds)
        return cls(np.append(lowest, np.inf), relevant, others)

    @property
    def true_match(self) -> Values:
        """TMR, float64 [C + 1], falling from 1."""
        rates: Values = self.relevant / self.relevant[0]
        return rates

    @property
    def false_match(self) -> Values:
        """FMR, float64 [C + 1], falling from 1."""
        rates: Values = self.others / self.others[0]
        return rates

    def place_of(self, false_match_rate: float) -> int:
        """Place of the lowest threshold whose FMR is at most a rate below 1; never the first."""
        return int(np.argmax(self.false_match <= false_match_rate))

    def equal_error(self) -> tuple[float, float, float, int]:
        """The rate at which FMR = FNMR, which is 1 - TMR.

        Returns:
            The rate on a straight line between the two thresholds that it lies between; the lowest
            and the highest that it may be; the place of the higher threshold.

        """
        false, missed = self.false_match, 1 - self.true_match
        # Never the first: there every pair matches.
        at = int(np.argmax(false <= missed))
        low, high = max(false[at], missed[at - 1]), min(false[at - 1], missed[at])
        before, after = false[at - 1] - missed[at - 1], missed[at] - false[at]
        rate = missed[at - 1] + before / (before + after) * (missed[at] - missed[at - 1])
        return float(np.clip(rate, low, high)), float(low), float(high), at


def verification_summary(pairs: PairCounts) -> dict[str, Any]:
    """What metrics.json says of pairs, under `verification`; see docs/metrics.md."""
    rates = PairRates.of(pairs)
    n_relevant, n_others = int(rates.relevant[0]), int(rates.others[0])
    keys = {f"{rate:g}": rate for rate in FALSE_MATCH_RATES}
    summary: dict[str, Any] = {
        "n_relevant_pairs": n_relevant,
        "n_other_pairs": n_others,
        "resolution": RESOLUTION,
        "EER": None,
        "TMR_at_FMR": {},
        "left_out": {},
        "ROC": {"FMR": [], "TMR": [], "score": []},
    }
    for kind, n in (("relevant", n_relevant), ("other", n_others)):
        if n < FEWEST_EVENTS:
            why = f"fewer than {FEWEST_EVENTS} {kind} pairs"
            return summary | {"left_out": dict.fromkeys(["EER", *keys], why)}
    value, low, high, at = rates.equal_error()
    fewest = min(n_relevant, n_others)
    if value * fewest < FEWEST_EVENTS:
        bound = max(high, FEWEST_EVENTS / fewest)
        summary["left_out"]["EER"] = f"below {bound:.2g}: fewer than {FEWEST_EVENTS} errors"
    else:
        summary["EER"] = {"value": value, "low": low, "high": high, "score": _score(rates, at)}
    for key, rate in keys.items():
        if not enough_for(rate, n_others):
            summary["left_out"][key] = f"fewer than {fewest_for(rate)} other pairs"
            continue
        at = rates.place_of(rate)
        summary["TMR_at_FMR"][key] = {
            "TMR": float(rates.true_match[at]),
            "TMR_at_most": float(rates.true_match[at - 1]),
            "n_true_matches": int(rates.relevant[at]),
            "n_false_matches": int(rates.others[at]),
            "score": _score(rates, at),
        }
    return summary | {"ROC": _curve(rates)}


def _curve(rates: PairRates) -> dict[str, list[float]]:
    """Points evenly over the orders of magnitude of the FMR, from 1 down to what can be stated."""
    powers = np.arange(1, np.log10(rates.others[0] / FEWEST_EVENTS) * _POINTS + 1e-6)
    places = [0, *(rates.place_of(10 ** (-power / _POINTS)) for power in powers.tolist())]
    at = np.unique([place for place in places if rates.others[place] >= FEWEST_EVENTS])
    columns = {"FMR": rates.false_match, "TMR": rates.true_match, "score": rates.threshold}
    return {name: values[at].tolist() for name, values in columns.items()}


def _score(rates: PairRates, at: int) -> float | None:
    """The threshold at a place; None above all scores."""
    threshold = float(rates.threshold[at])
    return threshold if np.isfinite(threshold) else None
