"""Which charts are drawn: none that repeats another, and what is left out is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from lookalike.report.figures import Figure, headline_figures, telling_keys, training_figures
from lookalike.report.results import Results, StateResults
from lookalike.report.svg import MOST_LABELLED
from support.chart_reader import numbers_at, read_chart

KEYS = ["mAP@1", "CMC@10", "mAP@10", "mAP@50", "mean_rank"]


def run_of(place: int, history: pd.DataFrame | None = None) -> Results:
    states = {name: StateResults({}, Path("gone")) for name in ("trained", "untrained")}
    model = {"settings": {"model": {"name": "cnn4"}}}
    none = pd.DataFrame({"epoch": []}) if history is None else history
    return Results(f"r{place}", 0, place, states, model, none, {})


def rows_of(runs: list[Results], values: dict[str, float]) -> dict[tuple[str, str], dict[str, Any]]:
    """Trained values as given, untrained ones a tenth of these; intervals of 5 % about them."""
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for run in runs:
        for state, part in (("trained", 1.0), ("untrained", 0.1)):
            row = rows[run.name, state] = {}
            for key, value in values.items():
                row |= {key: part * value, f"{key}_chance": value / 100}
                row |= {f"{key}_low": part * value * 0.95, f"{key}_high": part * value * 1.05}
    return rows


def headings(figures: list[Figure]) -> list[str]:
    return [figure.heading for figure in figures]


@pytest.mark.parametrize(
    ("keys", "key", "kept"),
    [
        (KEYS, "mAP@10", ["mAP@1", "CMC@10", "mAP@10", "mean_rank"]),
        (["mAP@1", "mAP@5", "mAP@10", "mean_rank"], "mAP@10", ["mAP@1", "mAP@10", "mean_rank"]),
        (["mAP@10", "mean_rank"], "mAP@10", ["mAP@10", "mean_rank"]),
        (["mAP@1", "mAP@2"], "mAP@1", ["mAP@1"]),
        (["mean_rank"], "mAP@10", ["mean_rank"]),
    ],
)
def test_of_one_metric_the_first_cut_off_and_the_deciding_one_are_drawn(
    keys: list[str], key: str, kept: list[str]
) -> None:
    assert telling_keys(keys, key) == kept


def test_a_chart_that_would_look_like_another_is_named_by_that_one() -> None:
    runs = [run_of(0), run_of(1)]
    values = {"mAP@1": 0.2, "CMC@10": 0.502, "mAP@10": 0.5, "mAP@50": 0.5, "mean_rank": 0.2}
    figures = headline_figures(runs, rows_of(runs, values), KEYS, "mAP@10")
    # A rank is not a share, though numbers be equal.
    assert headings(figures) == ["mAP@1", "CMC@10", "mean rank"]
    assert "mAP@10 looks the same." in figures[1].sentence
    assert "looks the same" not in figures[0].sentence + figures[2].sentence
    # Two parts in a hundred of the axis are to be seen.
    figures = headline_figures(runs, rows_of(runs, values | {"CMC@10": 0.52}), KEYS, "mAP@10")
    assert headings(figures) == ["mAP@1", "CMC@10", "mAP@10", "mean rank"]


def test_an_interval_alone_makes_a_chart_another_one() -> None:
    runs = [run_of(0)]
    rows = rows_of(runs, dict.fromkeys(KEYS, 0.5))
    rows["r0.0", "trained"]["mAP@10_high"] = 0.9
    assert "mAP@10" in headings(headline_figures(runs, rows, KEYS, "mAP@10"))


def test_what_is_drawn_below_is_not_drawn_above_and_that_is_said() -> None:
    runs = [run_of(0)]
    values = {"mAP@1": 0.2, "CMC@10": 0.6, "mAP@10": 0.4, "mAP@50": 0.5, "mean_rank": 3.0}
    figures = headline_figures(
        runs, rows_of(runs, values), KEYS, "mAP@10", drawn_below="mAP@10 of every recipe"
    )
    assert headings(figures) == ["mAP@1", "CMC@10", "mean rank"]
    assert figures[0].sentence.endswith("Drawn below: mAP@10 of every recipe.")


@pytest.mark.parametrize("count", [2, MOST_LABELLED, MOST_LABELLED + 1])
def test_many_trainings_have_a_panel_each_and_few_have_names(count: int) -> None:
    epochs = [1, 2, 3]
    runs = [
        run_of(
            place,
            pd.DataFrame(
                {
                    "epoch": epochs,
                    "loss": [3.0, 2.0 + place, 1.0],
                    "validation_mAP@10": [None, 0.81, 0.82 + 0.01 * place],
                    "active_negatives": [None] * 3,
                    "spread": [0.9, 0.91, 0.92],
                }
            ),
        )
        for place in range(count)
    ]
    loss, validation, spread = training_figures(runs)
    for figure in (loss, validation, spread):
        panels = read_chart(str(figure.svg))
        assert len(panels) == (1 if count <= MOST_LABELLED else count)
        assert ("median of all" in figure.sentence) == (count > MOST_LABELLED)
        named = [text for panel in panels for text, _ in panel.texts if text.startswith("r")]
        assert sorted(named) == sorted(run.name for run in runs)
    # What tells trainings apart has the height of the chart; 0 means something for the spread.
    assert numbers_at(read_chart(str(validation.svg))[0].y_ticks)[0] > 0.5
    assert numbers_at(read_chart(str(spread.svg))[0].y_ticks)[0] == 0
