"""The curves of answers: their points against the rates at single thresholds."""

from __future__ import annotations

import re

import numpy as np
import pytest

from lookalike.report.answers import answer_figures
from lookalike.retrieval.identification import Answers
from support.ranked import normal


def some(n: int) -> Answers:
    relevant, other = (normal(n, seed=seed).round(1).astype(np.float64) for seed in (1, 2))
    relevant += 1
    relevant[: n // 10] = np.nan
    return Answers(np.fmax(relevant, other), relevant > other, other, ~np.isnan(relevant))


@pytest.mark.parametrize("threshold", [None, 0.5])
def test_curves_end_where_their_rates_do(threshold: float | None) -> None:
    answers = some(500)
    figures = answer_figures(answers, threshold, 0)
    said = [re.search('aria-label="([^"]*)"', str(figure.svg)) for figure in figures]
    texts = [found[1] for found in said if found]
    lowest, highest = np.nanmin(answers.score), np.nanmax(answers.score)
    last, first = np.nanmin(answers.other), np.nanmax(answers.other)
    precision = [answers.precision(t) for t in (highest, lowest)]
    coverage = [answers.coverage(t) for t in (highest, lowest)]
    missed = [answers.false_negative(t) for t in (first, last)]
    false = [answers.false_positive(t) for t in (first, last)]
    expected = [
        f"Precision by coverage. precision {precision[0]:.3f} at coverage {coverage[0]:.3f}, "
        f"{precision[1]:.3f} at {coverage[1]:.3f}.",
        f"FNIR by FPIR. FNIR {missed[0]:.3f} at FPIR {false[0]:.3f}, {missed[1]:.3f} at "
        f"{false[1]:.3f}.",
    ]
    if threshold is not None:
        expected[0] += (
            f" Chosen: precision {answers.precision(threshold):.3f} at coverage "
            f"{answers.coverage(threshold):.3f}."
        )
        expected[1] += (
            f" Chosen: FNIR {answers.false_negative(threshold):.3f} at FPIR "
            f"{answers.false_positive(threshold):.3f}."
        )
    assert texts == expected


def test_without_answers_there_is_no_curve() -> None:
    nan, no = np.full(3, np.nan), np.zeros(3, np.bool_)
    assert answer_figures(Answers(nan, no, nan, no), None, 0) == []
    # Nothing to find: precision alone.
    one = Answers(np.ones(3), no, np.ones(3), no)
    assert [figure.heading for figure in answer_figures(one, 1.0, 0)] == ["Precision by coverage"]
