"""What the report shows of answers, of the threshold from which on they are believed, of pairs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lookalike.report.examples import Hit, Images
from lookalike.report.figures import Figure
from lookalike.report.svg import Curve, rates
from lookalike.report.thumbnails import Thumbnail
from lookalike.retrieval.arrays import Values
from lookalike.retrieval.identification import AnswerCurve, Answers

ANSWER_COLUMNS = (
    *("query_id", "label", "n_relevant", "first_rank"),
    *("best_relevant_score", "best_other_score"),
)
"""Of per_query.parquet."""

# Points of a curve that are drawn: an eye sees no more.
_POINTS = 400


@dataclass(frozen=True)
class WrongAnswer:
    """A query whose answer is wrong; `best_relevant` is None where there is nothing to find."""

    name: str
    label: str
    best_relevant: float | None
    thumbnail: Thumbnail | None
    answer: Hit


def answer_figures(answers: Answers, threshold: float | None, style: int) -> list[Figure]:
    """Precision over coverage, and FNIR over FPIR, each with the chosen threshold as a point.

    Args:
        answers: of one run.
        threshold: the chosen one, None where there is none.
        style: counts the runs from 0.

    """
    curve = AnswerCurve.of(answers)
    figures = []
    if len(curve.threshold):
        chosen = None
        if threshold is not None and (precision := answers.precision(threshold)) is not None:
            chosen = (answers.coverage(threshold), precision)
        figures.append(
            _figure(
                "Precision by coverage",
                "Share of the given answers that are right, by the share of queries that are "
                "answered: from the highest threshold on the left to none on the right.",
                ("coverage", "precision"),
                (curve.coverage, curve.precision),
                chosen,
                style,
            )
        )
    other = np.unique(answers.other[~np.isnan(answers.other)])[::-1]
    if len(other) and answers.findable.any():
        false, missed = _error_rates(answers, other)
        chosen = None
        if (
            threshold is not None
            and (missed_there := answers.false_negative(threshold)) is not None
        ):
            chosen = (answers.false_positive(threshold), missed_there)
        figures.append(
            _figure(
                "FNIR by FPIR",
                "Share of the findable queries without a right answer (FNIR), by the share of "
                "queries that are answered where their class is not in the gallery (FPIR).",
                ("FPIR", "FNIR"),
                (false, missed),
                chosen,
                style,
            )
        )
    return figures


def wrong_answers(
    per_query: pd.DataFrame,
    rankings: pd.DataFrame,
    queries: Images,
    gallery: Images,
    threshold: float | None,
    count: int,
) -> list[WrongAnswer]:
    """The accepted wrong answers with the highest scores; with no threshold, of all of them.

    Args:
        per_query: `ANSWER_COLUMNS` of a run.
        rankings: its rankings.parquet, the first place at least.
        queries: the images that were asked for.
        gallery: the images that were found.
        threshold: answers of this score or a higher one are accepted; None for any.
        count: how many to return at most.

    """
    answers = Answers.of(per_query)
    wrong = ~answers.right & answers.accepted(-np.inf if threshold is None else threshold)
    listed = per_query[wrong].assign(score=answers.score[wrong])
    listed = listed.sort_values(["score", "query_id"], ascending=[False, True]).head(count)
    first = rankings[rankings["rank"] == 1].set_index("query_id")["gallery_id"]
    shown = []
    for row in listed.to_dict("records"):
        name, image = row["query_id"], first[row["query_id"]]
        best = row["best_relevant_score"]
        hit = Hit(1, image, gallery.labels[image], row["score"], False, gallery.thumbnail(image))
        shown.append(
            WrongAnswer(
                name,
                str(row["label"]),
                None if pd.isna(best) else float(best),
                queries.thumbnail(name),
                hit,
            )
        )
    return shown


def false_match_rates(verification: Mapping[str, Any]) -> list[str]:
    """The FMR at which TMRs are stated or left out, falling, as metrics.json spells them."""
    return [*verification["TMR_at_FMR"], *(key for key in verification["left_out"] if key != "EER")]


def roc_figure(verification: Mapping[str, Any], style: int) -> Figure | None:
    """TMR over FMR of a run's pairs, from `verification` of its metrics.json; None of one point."""
    curve = verification["ROC"]
    points = sorted(zip(curve["FMR"], curve["TMR"], strict=True))
    if len(points) < 2:
        return None
    (false, true), (most_false, most_true) = points[0], points[-1]
    heading = "ROC of pairs"
    said = f"{heading}. TMR {most_true:.3f} at FMR {most_false:.2g}, {true:.3f} at {false:.2g}."
    svg = rates("roc", said, Curve(heading, style, points), ("FMR", "TMR"), magnitudes=True)
    sentence = (
        "Share of the relevant pairs that match (TMR), by the share of the other pairs that do "
        "(FMR), by powers of ten."
    )
    return Figure(heading, sentence, svg)


def left_out_of_pairs(verifications: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Which rates of pairs are not stated of which runs, and why: a sentence each.

    Args:
        verifications: `verification` of metrics.json, by the run's name.

    """
    runs = defaultdict(list)
    for name, verification in verifications.items():
        of_each_reason = defaultdict(list)
        for rate, why in verification["left_out"].items():
            of_each_reason[why].append(rate if rate == "EER" else f"TMR at FMR {rate}")
        for why, left_out in of_each_reason.items():
            runs[f"{', '.join(left_out)}: {why}"].append(name)
    return [f"{what} ({', '.join(names)})." for what, names in runs.items()]


def _error_rates(answers: Answers, thresholds: Values) -> tuple[Values, Values]:
    """FPIR and FNIR at falling thresholds."""
    false = np.sort(answers.other[~np.isnan(answers.other)])
    found = np.sort(answers.score[answers.right])
    n_false = len(false) - np.searchsorted(false, thresholds)
    n_found = len(found) - np.searchsorted(found, thresholds)
    return n_false / len(answers), 1 - n_found / answers.findable.sum()


def _figure(
    heading: str,
    sentence: str,
    axes: tuple[str, str],
    values: tuple[Values, Values],
    chosen: tuple[float, float] | None,
    style: int,
) -> Figure:
    x, y = (_fewer(each) for each in values)
    line = Curve(heading, style, list(zip(x, y, strict=True)))
    said = f"{heading}. {axes[1]} {y[0]:.3f} at {axes[0]} {x[0]:.3f}, {y[-1]:.3f} at {x[-1]:.3f}."
    if chosen is not None:
        sentence += " The point is the chosen threshold."
        said += f" Chosen: {axes[1]} {chosen[1]:.3f} at {axes[0]} {chosen[0]:.3f}."
    name = heading.lower().replace(" ", "-")
    return Figure(heading, sentence, rates(name, said, line, axes, chosen))


def _fewer(values: Values) -> Sequence[Any]:
    """So many values, evenly over all, as an eye can tell apart."""
    at = np.unique(np.linspace(0, len(values) - 1, min(len(values), _POINTS)).round().astype(int))
    thinned: list[float] = values[at].tolist()
    return thinned
