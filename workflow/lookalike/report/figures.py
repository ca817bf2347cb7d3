"""The report's charts: what the files of the runs say, drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from lookalike.report.numbers import number
from lookalike.report.results import ComparisonRows, Results, states_of
from lookalike.report.round_axes import round_ticks
from lookalike.report.runs import MAIN, State
from lookalike.report.small_multiples import small_multiples
from lookalike.report.svg import (
    MOST_LABELLED,
    Curve,
    Measured,
    Versus,
    curves,
    numbers_of,
    versus,
)
from lookalike.retrieval.metrics import in_ranks, less_is_better, metric_of

# Marks nearer to each other than this part of an axis lie on one another.
_NOTHING_TO_SEE = 0.01

# Columns of history.parquet that are drawn: heading, one sentence, whether its axis begins at 0
# wherever its values lie.
_CURVES = {
    "loss": ("Loss", "What training brings down; mean over the epoch's batches.", False),
    "validation_mAP@10": (
        "Validation mAP@10",
        "Scored while training, on training images kept apart: another gallery than the test's, "
        "so its height cannot be set beside the test's numbers.",
        False,
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


def telling_keys(keys: Sequence[str], key: str) -> list[str]:
    """Those of some metrics that are worth a chart each.

    Of the metric of `key`, which ranks the recipes, these are `key` itself and the first cut-off:
    the others move as `key` does.
    """
    of_key = {k: each for each in keys if (k := _cut_off(each, key)) is not None}
    kept = {key, of_key[min(of_key)]} if of_key else {key}
    return [each for each in keys if each in kept or _cut_off(each, key) is None]


def headline_figures(
    runs: Sequence[Results],
    rows: ComparisonRows,
    keys: Sequence[str],
    key: str,
    *,
    drawn_below: str = "",
) -> list[Figure]:
    """A chart for each metric in `telling_keys`: every run in its states and by chance.

    One that would look like a chart before it is not drawn again, nor is that of `key` where a
    chart further down, with the heading `drawn_below`, has all of its runs. A caption says so.
    """
    states = states_of(runs)
    drawn: dict[str, list[Versus]] = {}
    alike: dict[str, list[str]] = {}
    for each in telling_keys(keys, key):
        if each == key and drawn_below:
            continue
        of_runs = [_versus(run, states, rows, each) for run in runs]
        for other, before in drawn.items():
            if in_ranks(other) == in_ranks(each) and _looks_like(before, of_runs):
                alike.setdefault(other, []).append(each)
                break
        else:
            drawn[each] = of_runs
    return [
        Figure(
            each.replace("_", " "),
            " ".join(
                [
                    "Less is better." if less_is_better(each) else "More is better, 1 is perfect.",
                    *(
                        f"{other.replace('_', ' ')} looks the same."
                        for other in alike.get(each, [])
                    ),
                    *([f"Drawn below: {drawn_below}."] if drawn_below and place == 0 else []),
                ]
            ),
            versus(f"versus{place}", _versus_in_words(each, runs, rows), of_runs),
        )
        for place, (each, of_runs) in enumerate(drawn.items())
    ]


def training_figures(runs: Sequence[Results]) -> list[Figure]:
    """A chart over the epochs for each column of the histories that has values."""
    figures = []
    for column, (heading, sentence, from_zero) in _CURVES.items():
        lines = [line for run in runs if (line := _curve(run, column)).points]
        if lines:
            label = f"{heading} by epoch. " + " ".join(_curve_in_words(line) for line in lines)
            draw = curves
            if len(lines) > MOST_LABELLED:
                draw = small_multiples
                sentence += " The dotted line is the median of all, as far as half of them go."
            svg = draw(f"curves-{column.partition('@')[0]}", label, lines, from_zero)
            figures.append(Figure(heading, sentence, svg))
    return figures


def _cut_off(key: str, other: str) -> int | None:
    """The cut-off of a metric, where `other` is the same metric at some cut-off."""
    one, two = metric_of(key), metric_of(other)
    if one is None or two is None or one[0] is not two[0]:
        return None
    return one[1]


def _looks_like(before: Sequence[Versus], after: Sequence[Versus]) -> bool:
    """Whether no mark of one chart is to be seen elsewhere than in the other."""
    marks = [
        [
            number
            for row in rows
            for measured in (*row.measured, Measured(row.chance))
            for number in (numbers_of(measured) if measured else [])
        ]
        for rows in (before, after)
    ]
    ticks = round_ticks([*marks[0], *marks[1]], from_zero=True)
    seen = _NOTHING_TO_SEE * (ticks[-1] - ticks[0])
    return len(marks[0]) == len(marks[1]) and all(
        abs(one - other) < seen for one, other in zip(*marks, strict=True)
    )


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
