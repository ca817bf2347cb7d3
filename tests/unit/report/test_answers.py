"""The curves of answers: their points against the rates at single thresholds."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from lookalike.report.answers import (
    answer_figures,
    false_match_rates,
    left_out_of_pairs,
    roc_figure,
)
from lookalike.retrieval.identification import Answers
from lookalike.retrieval.pair_counts import PairCounts
from lookalike.retrieval.verification import verification_summary
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


def verification(n_relevant: int, n_others: int) -> dict[str, Any]:
    pairs = PairCounts("euclidean")
    pairs.add_relevant(normal(n_relevant, seed=1) - 9)
    pairs.add_others(normal(1, n_others, seed=2) - 10, 1, n_others)
    return verification_summary(pairs)


def test_the_curve_of_pairs_spans_what_can_be_stated() -> None:
    found = verification(200, 20_000)
    figure = roc_figure(found, 0)
    assert figure is not None
    svg = str(figure.svg)
    curve = found["ROC"]
    lowest = min(zip(curve["FMR"], curve["TMR"], strict=True))
    assert f"TMR 1.000 at FMR 1, {lowest[1]:.3f} at {lowest[0]:.2g}." in svg
    # The axis goes by powers of ten, each written as a plain number.
    for text in ("1", "0.1", "0.01", "0.001"):
        assert re.search(rf">\s*{re.escape(text)}\s*</text>", svg)
    assert "mathdefault" not in svg


def test_without_enough_pairs_there_is_no_curve_of_them() -> None:
    assert roc_figure(verification(5, 1000), 0) is None
    assert roc_figure(verification(50, 11), 0) is None


def test_what_is_left_out_of_pairs_is_said_once_for_all_runs() -> None:
    few, none, many = verification(200, 2000), verification(5, 2000), verification(200, 100_000)
    assert false_match_rates(few) == false_match_rates(none) == ["0.1", "0.01", "0.001", "0.0001"]
    assert left_out_of_pairs({"a.0": few, "b.0": none, "c.0": few, "d.0": many}) == [
        "TMR at FMR 0.001: fewer than 10000 other pairs (a.0, c.0).",
        "TMR at FMR 0.0001: fewer than 100000 other pairs (a.0, c.0).",
        "EER, TMR at FMR 0.1, TMR at FMR 0.01, TMR at FMR 0.001, TMR at FMR 0.0001: fewer than "
        "10 relevant pairs (b.0).",
    ]
