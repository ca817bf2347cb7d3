"""The report's charts: what the files of the runs say, drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from lookalike.report.numbers import number
from lookalike.report.results import ComparisonRows, Results, states_of
from lookalike.report.runs import MAIN, State
from lookalike.report.svg import Curve, Measured, Versus, curves, versus
from lookalike.retrieval.metrics import in_ranks, less_is_better

# Columns of history.parquet that are drawn: heading, one sentence, whether it is a share.
_CURVES = {
    "loss": ("Loss", "What training brings down; mean over the epoch's batches.", False),
    "validation_mAP@10": (
        "Validation mAP@10",
        "Scored while training, on training images kept apart: another gallery than the test's, "
        "so its height cannot be set beside the test's numbers.",
        True,
    ),
    "active_negatives": (
        "Active negatives",
        "Share of the pairs of different classes that still teach the network something.",
        True,
    ),
    "spread": (
        "Embedding spread",
        "0 where all images look alike to the network (a collapse), near 1 where their "
        "embeddings point in all directions.",
        True,
    ),
}


@dataclass(frozen=True)
class Figure:
    """A chart under its heading, with a sentence that explains it."""

    heading: str
    sentence: str
    svg: Markup


def headline_figures(
    runs: Sequence[Results], rows: ComparisonRows, keys: Sequence[str]
) -> list[Figure]:
    """A chart for each metric in `keys`: every run in its states and by chance."""
    states = states_of(runs)
    return [
        Figure(
            key.replace("_", " "),
            "Less is better." if less_is_better(key) else "More is better, 1 is perfect.",
            versus(
                f"versus{place}",
                _versus_in_words(key, runs, rows),
                [_versus(run, states, rows, key) for run in runs],
                share=not in_ranks(key),
            ),
        )
        for place, key in enumerate(keys)
    ]


def training_figures(runs: Sequence[Results]) -> list[Figure]:
    """A chart over the epochs for each column of the histories that has values."""
    figures = []
    for column, (heading, sentence, share) in _CURVES.items():
        lines = [line for run in runs if (line := _curve(run, column)).points]
        if lines:
            label = f"{heading} by epoch. " + " ".join(_curve_in_words(line) for line in lines)
            svg = curves(f"curves-{column.partition('@')[0]}", label, lines, share)
            figures.append(Figure(heading, sentence, svg))
    return figures


def _versus(run: Results, states: Sequence[State], rows: ComparisonRows, key: str) -> Versus:
    measured = [
        _measured(rows[run.name, state.name], key) if state.name in run.states else None
        for state in states
    ]
    chance = rows[run.name, MAIN.name][f"{key}_chance"]
    return Versus(run.name, run.place, measured, chance)


def _measured(row: Mapping[str, Any], key: str) -> Measured:
    return Measured(*(row[name] for name in (key, f"{key}_low", f"{key}_high")))


def _versus_in_words(key: str, runs: Sequence[Results], rows: ComparisonRows) -> str:
    sentences = []
    for run in runs:
        values = [(run.called(state), rows[run.name, state.name][key]) for state in run.shown]
        values.append(("chance", rows[run.name, MAIN.name][f"{key}_chance"]))
        in_words = ", ".join(f"{name} {number(key, value)}" for name, value in values)
        sentences.append(f"{run.name}: {in_words}.")
    return f"{key}. {' '.join(sentences)}"


def _curve(run: Results, column: str) -> Curve:
    known = run.history[["epoch", column]].dropna()
    points = list(zip(known["epoch"].tolist(), known[column].tolist(), strict=True))
    return Curve(run.name, run.place, points)


def _curve_in_words(line: Curve) -> str:
    (first, start), (last, end) = line.points[0], line.points[-1]
    return f"{line.name}: {start:.3g} in epoch {first}, {end:.3g} in epoch {last}."
