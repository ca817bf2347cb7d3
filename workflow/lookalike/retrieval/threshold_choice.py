"""Which score means that an answer is to be believed: chosen, and held to what it promises.

By default the threshold is chosen from the labelled queries with the gallery in use, since a rate
of false answers grows with the gallery. What it is worth is measured by cross-fitting: the classes
of the queries are dealt into two halves, a threshold is chosen by each half, and each half's
outcome is measured with the other half's threshold. (Schick, Annals of Statistics 14, 1986.)

It can also be chosen by held-out images, carried over to the gallery's size. Then all queries
measure what it is worth.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.retrieval.arrays import Values
from lookalike.retrieval.identification import (
    AnswerCurve,
    Answers,
    fewest_for,
    threshold_at_false_positive,
)
from lookalike.retrieval.share_intervals import share_interval
from lookalike.retrieval.statistics import FEWEST_UNITS

# The outcome tells of the halves' thresholds; that which all classes choose misses the promise by
# as much again. So the variance counts twice in the stated interval.
_OF_CHOICE = 2.0

# What is tried, in this order, where a promise cannot be kept.
_LESSER = {
    "precision": (0.98, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5),
    "false_positive": (0.01, 0.02, 0.05, 0.1, 0.2),
}


@dataclass(frozen=True)
class Promise:
    """What is asked of a threshold.

    Attributes:
        kind: `precision`: of the given answers at least this share is right; `false_positive`: of
            queries that have nothing to find at most this share is answered.
        rate: that share, between 0 and 1.

    """

    kind: str
    rate: float

    @classmethod
    def from_setting(cls, setting: Mapping[str, Any]) -> Promise:
        """Take the promise from the setting `threshold`, which also says by what it is chosen."""
        ((kind, rate),) = ((key, value) for key, value in setting.items() if key != "from")
        return cls(kind, rate)

    @property
    def fewest(self) -> int:
        """The fewest given answers, or queries, of which it can be judged."""
        return fewest_for(1 - self.rate if self.kind == "precision" else self.rate)

    def threshold(self, answers: Answers, fewest: int) -> float | None:
        """The lowest threshold that holds the promise on these queries; None where none does."""
        if self.kind == "precision":
            return threshold_at_precision(answers, self.rate, fewest)
        if len(answers) < fewest:
            return None
        threshold = threshold_at_false_positive(answers, self.rate)
        # Any score holds it: then the lowest of an answer stands for all.
        lowest = np.nanmin(answers.score) if np.isfinite(answers.score).any() else 0.0
        return threshold if np.isfinite(threshold) else float(lowest)

    def accepted(self, answers: Answers, threshold: float) -> NDArray[np.bool_]:
        """Which queries count as answered, bool [Q]."""
        # A false positive is an answer that is wrong for want of the query's class.
        score = answers.score if self.kind == "precision" else answers.other
        accepted: NDArray[np.bool_] = score >= threshold
        return accepted

    def lesser(self) -> list[Promise]:
        """Promises that are easier to keep, the hardest first."""
        rates = _LESSER[self.kind]
        return [
            Promise(self.kind, rate)
            for rate in rates
            if (rate < self.rate) == (self.kind == "precision") and rate != self.rate
        ]

    def refuted_by(self, outcome: Mapping[str, Any]) -> str | None:
        """Why an outcome says that the promise is not kept; None where its interval allows it."""
        if outcome["ci95"] is None:
            return None
        low, high = outcome["ci95"]
        if not (high < self.rate if self.kind == "precision" else low > self.rate):
            return None
        return (
            f"the {self.kind.replace('_', ' ')} came to {outcome[self.kind]:.3f} ({low:.3f} to "
            f"{high:.3f}) on queries that did not choose the score"
        )

    def trials(self, answers: Answers, accepted: NDArray[np.bool_]) -> tuple[Values, Values]:
        """What counts for and among the promised share, each float64 [Q]."""
        if self.kind == "precision":
            return (answers.right & accepted).astype(float), accepted.astype(float)
        return accepted.astype(float), np.ones(len(answers))


def threshold_at_precision(answers: Answers, precision: float, fewest: int) -> float | None:
    """The lowest score from which on precision stays at what is asked; None where it never is.

    Precision is no monotone function of the score. At each higher threshold it is at least
    `precision` too, but for those that leave fewer than `fewest` answers, which tell nothing.
    """
    curve = AnswerCurve.of(answers)
    judged = curve.accepted >= fewest
    # A share of whole numbers: exact, where their quotient may be rounded below the promise.
    kept = curve.right >= np.ceil(np.round(precision * curve.accepted, 6))
    bad = np.flatnonzero(judged & ~kept)
    end = bad[0] if len(bad) else len(curve.threshold)
    return float(curve.threshold[end - 1]) if judged[:end].any() else None


def halves(labels: Sequence[str]) -> NDArray[np.bool_]:
    """Deal classes into two halves of about as many queries: whether each query is in the second.

    From the largest class on, equals by a hash of their label, they go to one, the other, the
    other, the one, and so on. No order of the queries counts.
    """
    counts = Counter(labels)
    in_order = sorted(counts, key=lambda label: (-counts[label], _hash(label)))
    second = {label: place % 4 in (1, 2) for place, label in enumerate(in_order)}
    return np.fromiter((second[label] for label in labels), np.bool_, len(labels))


def choose_threshold(answers: Answers, labels: Sequence[str], promise: Promise) -> dict[str, Any]:
    """Choose a threshold by all queries, and measure by halves what it is worth.

    Where nothing can be promised, the `reason` names the next lesser promise that can be kept.

    Args:
        answers: to all Q queries.
        labels: the class of each of them.
        promise: what is asked.

    Returns:
        What threshold.json says, see docs/metrics.md: `score` (None where nothing can be promised,
        for the `reason`), `promise`, `from`, `outcome`, `at_score`, `halves`.

    """
    found = _cross_fitted(answers, labels, promise)
    if found["score"] is not None:
        return found
    for lesser in promise.lesser():
        other = _cross_fitted(answers, labels, lesser)
        if other["score"] is not None:
            found["reason"] += (
                f"; {lesser.kind} {lesser.rate:g} could be promised, from {other['score']:.4f} on, "
                f"for {other['at_score']['coverage']:.0%} of the queries"
            )
            break
    return found


def _cross_fitted(answers: Answers, labels: Sequence[str], promise: Promise) -> dict[str, Any]:
    found = _nothing(promise, "queries")
    threshold = promise.threshold(answers, promise.fewest)
    if threshold is None:
        return found | {"reason": _why_none(answers, promise)}
    if len(set(labels)) == 1:
        return found | {"reason": "all queries are of one class: no other one can confirm it"}
    second = halves(labels)
    accepted, of_halves = np.zeros(len(answers), np.bool_), []
    for half in (~second, second):
        own = promise.threshold(answers.of_rows(half), -(-promise.fewest // 2))
        if own is None:
            why = "in one half of the classes there is no threshold that holds the promise"
            return found | {"reason": why}
        accepted[~half] = promise.accepted(answers, own)[~half]
        of_halves.append(
            {
                "score": own,
                "n_classes": len(
                    {label for label, in_it in zip(labels, half, strict=True) if in_it}
                ),
                "n_queries": int(half.sum()),
            }
        )
    trials = promise.trials(answers, accepted)
    outcome = _outcome(*trials, labels, promise.kind, more_variance=_OF_CHOICE)
    if outcome is None:
        why = "with one half's threshold, none of the other half's queries is answered"
        return found | {"reason": why}
    return found | {"halves": of_halves} | _given(answers, promise, threshold, outcome)


def confirm_threshold(
    answers: Answers, labels: Sequence[str], promise: Promise, carried: Answers, n_images: int
) -> dict[str, Any]:
    """Choose a threshold by held-out images, and measure by all queries what it is worth.

    Args:
        answers: to all Q queries.
        labels: the class of each of them.
        promise: what is asked.
        carried: answers to held-out images, see `lookalike.retrieval.carried_answers`.
        n_images: how many images these are; there may be several answers of each.

    Returns:
        As `choose_threshold`; `halves` is empty.

    """
    found = _nothing(promise, "held_out")
    if not len(carried):
        why = "no classes were held out of the training: nothing says how it does with new ones"
        return found | {"reason": why}
    draws = len(carried) // n_images
    threshold = promise.threshold(carried, promise.fewest * draws)
    if threshold is None:
        why = _why_none(carried, promise, draws)
        return found | {"reason": f"of the held-out images: {why}"}
    trials = promise.trials(answers, promise.accepted(answers, threshold))
    outcome = _outcome(*trials, labels, promise.kind)
    if outcome is None:
        return found | {"reason": f"no query is answered from {threshold:.4f} on, which they chose"}
    return found | _given(answers, promise, threshold, outcome)


def _nothing(promise: Promise, chosen_by: str) -> dict[str, Any]:
    """What threshold.json says as long as nothing can be promised."""
    return {
        "score": None,
        "promise": {promise.kind: promise.rate},
        "from": chosen_by,
        "outcome": None,
        "reason": None,
        "at_score": None,
        "halves": [],
    }


def _given(
    answers: Answers, promise: Promise, threshold: float, outcome: dict[str, Any]
) -> dict[str, Any]:
    """A threshold and its outcome; no threshold where its outcome refutes the promise."""
    if why := promise.refuted_by(outcome):
        return {"outcome": outcome, "reason": why}
    at_score = {
        "coverage": answers.coverage(threshold),
        "precision": answers.precision(threshold),
        "FPIR": answers.false_positive(threshold),
        "FNIR": answers.false_negative(threshold),
    }
    return {"score": threshold, "outcome": outcome, "at_score": at_score}


def _outcome(
    successes: Values,
    trials: Values,
    labels: Sequence[str],
    kind: str,
    more_variance: float = 1.0,
) -> dict[str, Any] | None:
    """The share over all queries, with its interval over classes."""
    if not trials.any():
        return None
    numbers = {label: number for number, label in enumerate(sorted(set(labels)))}
    class_of = np.fromiter((numbers[label] for label in labels), np.int64, len(labels))
    of_each: list[Values] = [
        np.bincount(class_of, values, len(numbers)).astype(float) for values in (successes, trials)
    ]
    interval = share_interval(*of_each, more_variance=more_variance)
    outcome: dict[str, Any] = {
        kind: float(successes.sum() / trials.sum()),
        "ci95": None if interval is None else list(interval),
        "n_trials": int(trials.sum()),
        "n_classes": int((of_each[1] > 0).sum()),
    }
    if interval is None:
        outcome["no_interval"] = f"fewer than {FEWEST_UNITS} classes"
    return outcome


def _why_none(answers: Answers, promise: Promise, draws: int = 1) -> str:
    given = int(np.isfinite(answers.score).sum()) // draws
    if promise.kind == "precision":
        if given < promise.fewest:
            return (
                f"{given} answers are too few: a precision of {promise.rate:g} is judged by "
                f"{promise.fewest} or more"
            )
        return (
            f"at no score the {promise.fewest} or more answers above it have a precision of "
            f"{promise.rate:g}"
        )
    return (
        f"{len(answers) // draws} queries are too few: a false-positive rate of {promise.rate:g} "
        f"is judged by {promise.fewest} or more"
    )


def _hash(label: str) -> bytes:
    return hashlib.sha256(label.encode()).digest()
