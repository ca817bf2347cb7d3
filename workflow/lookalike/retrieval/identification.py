"""Answers: which first gallery items are to be believed, at every threshold of the score.

The answer to a query is the first item of its ranking. With a threshold, an answer of a lower score
is not given ("not in the gallery"). Rates are those of open-set identification: ISO/IEC
19795-1:2021 and NIST's 1:N evaluations (Grother, Ngan and Hanaoka, NISTIR 8271) for FPIR and FNIR;
for the area under the risk-coverage curve see Geifman, Uziel and El-Yaniv (ICLR 2019).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lookalike.retrieval.arrays import Values

if TYPE_CHECKING:
    import pandas as pd

FALSE_POSITIVE_RATES = (0.1, 0.01)
"""Rates of false-positive identification at which metrics.json states the FNIR."""

FEWEST_EVENTS = 10
"""A rate r is stated of 10 / r trials or more: of fewer, a handful of events would decide it."""


@dataclass(frozen=True)
class Answers:
    """The first answers to Q queries, and what would have been answered without their class.

    Attributes:
        score: float64 [Q], a = max(s+, s-), the score of the first item; NaN where there is none.
        right: bool [Q], whether that item is relevant.
        other: float64 [Q], s-, the best score of an item that is not relevant; NaN where there is
            none.
        findable: bool [Q], whether the gallery holds a relevant item.

    """

    score: Values
    right: NDArray[np.bool_]
    other: Values
    findable: NDArray[np.bool_]

    @classmethod
    def of(cls, columns: Mapping[str, ArrayLike] | pd.DataFrame) -> Answers:
        """Take the answers from columns of per_query.parquet, or a data frame of it.

        Args:
            columns: `best_relevant_score`, `best_other_score`, `first_rank` and `n_relevant`,
                numbers [Q]; NaN where the table has null.

        """
        relevant, other, first_rank, n_relevant = (
            np.asarray(columns[name], np.float64)
            for name in ("best_relevant_score", "best_other_score", "first_rank", "n_relevant")
        )
        # Of equals the order decides, which `first_rank` knows.
        return cls(np.fmax(relevant, other), first_rank == 1, other, n_relevant > 0)

    def __len__(self) -> int:
        return len(self.score)

    def of_rows(self, rows: NDArray[Any]) -> Answers:
        """The answers to some of the queries, bool [Q] or positions."""
        return Answers(self.score[rows], self.right[rows], self.other[rows], self.findable[rows])

    def accepted(self, threshold: float) -> NDArray[np.bool_]:
        """Which queries are answered, bool [Q]."""
        accepted: NDArray[np.bool_] = self.score >= threshold
        return accepted

    def coverage(self, threshold: float) -> float:
        """Share of all queries that are answered."""
        return float(self.accepted(threshold).mean())

    def precision(self, threshold: float) -> float | None:
        """Share of the given answers that are right; None where none is given."""
        accepted = self.accepted(threshold)
        return float(self.right[accepted].mean()) if accepted.any() else None

    def false_positive(self, threshold: float) -> float:
        """FPIR: share of queries that were answered if none of their class were in the gallery."""
        return float((self.other >= threshold).mean())

    def false_negative(self, threshold: float) -> float | None:
        """FNIR: share of the findable queries whose answer is not right, or not given."""
        if not self.findable.any():
            return None
        found = self.right & self.accepted(threshold)
        return float(1 - found[self.findable].mean())


@dataclass(frozen=True)
class AnswerCurve:
    """Precision and coverage at every threshold that makes a difference.

    Attributes:
        threshold: float64 [T], the distinct scores of answers, falling.
        accepted: int64 [T], how many answers have that score or a higher one.
        right: int64 [T], how many of them are right.
        n_queries: Q, the queries with an answer and those without.

    """

    threshold: Values
    accepted: NDArray[np.int64]
    right: NDArray[np.int64]
    n_queries: int

    @classmethod
    def of(cls, answers: Answers) -> AnswerCurve:
        """Count the answers above each threshold."""
        given = ~np.isnan(answers.score)
        order = np.argsort(-answers.score[given], kind="stable")
        score = answers.score[given][order]
        right: NDArray[np.int64] = np.cumsum(answers.right[given][order], dtype=np.int64)
        last = np.flatnonzero(np.append(score[1:] != score[:-1], True)[: len(score)])
        return cls(score[last], last + 1, right[last], len(answers))

    @property
    def coverage(self) -> Values:
        """Share of all queries that are answered, float64 [T]."""
        return self.accepted / self.n_queries

    @property
    def precision(self) -> Values:
        """Share of the given answers that are right, float64 [T]."""
        return self.right / self.accepted

    def risk_coverage_area(self) -> float | None:
        """AURC: the share of wrong answers among the k most confident, mean over k; None of none.

        Among equals the wrong ones come evenly, as they do on average over all orders.
        """
        if not len(self.accepted):
            return None
        wrong = np.interp(
            np.arange(1, self.accepted[-1] + 1),
            np.append(0, self.accepted),
            np.append(0, self.accepted - self.right),
        )
        return float(np.mean(wrong / np.arange(1, len(wrong) + 1)))


def enough_for(rate: float, trials: int) -> bool:
    """Whether so many trials are enough to state a rate.

    >>> enough_for(0.01, 1000), enough_for(0.01, 999)
    (True, False)
    """
    return trials >= fewest_for(rate)


def fewest_for(rate: float) -> int:
    """The fewest trials of which a rate is stated.

    >>> fewest_for(0.05), fewest_for(1 - 0.9)
    (200, 100)
    """
    return int(np.ceil(round(FEWEST_EVENTS / rate, 6)))


def threshold_at_false_positive(answers: Answers, rate: float) -> float:
    """The lowest threshold whose FPIR is at most a rate below 1; minus infinity where any is.

    It is the first number in float32, as scores are, above the best other score that must not pass.
    """
    known = np.sort(answers.other[~np.isnan(answers.other)])[::-1]
    allowed = int((np.arange(1, len(known) + 1) / max(1, len(answers)) <= rate).sum())
    if allowed == len(known):
        return -np.inf
    return float(np.nextafter(np.float32(known[allowed]), np.float32(np.inf)))


def identification_summary(answers: Answers) -> dict[str, Any]:
    """What metrics.json says of answers, under `identification`.

    Args:
        answers: to all queries, also to those without a relevant item.

    """
    rates: dict[str, dict[str, float | None]] = {}
    left_out = {}
    for rate in FALSE_POSITIVE_RATES:
        if not enough_for(rate, len(answers)):
            left_out[f"{rate:g}"] = f"fewer than {fewest_for(rate)} queries"
        elif answers.findable.sum() < FEWEST_EVENTS:
            left_out[f"{rate:g}"] = f"fewer than {FEWEST_EVENTS} queries have a relevant item"
        else:
            threshold = threshold_at_false_positive(answers, rate)
            rates[f"{rate:g}"] = {
                "FNIR": answers.false_negative(threshold),
                "score": threshold if np.isfinite(threshold) else None,
            }
    return {
        "n_queries": len(answers),
        "n_queries_with_relevant": int(answers.findable.sum()),
        "n_right": int(answers.right.sum()),
        "AURC": AnswerCurve.of(answers).risk_coverage_area(),
        "FNIR_at_FPIR": rates,
        "left_out": left_out,
    }
