"""What came of a run in a line, for the terminal. Imports nothing heavy."""

from __future__ import annotations

import csv
import re
from pathlib import Path

from lookalike.report.runs import BASELINE, MAIN
from lookalike.text import shown_path

_CMC = re.compile(r"CMC@\d+")


def outcome_in_words(report: Path, comparison: Path) -> str:
    """Where the report is, and how often first answers are right of the run that it shows first.

    Args:
        report: report.html.
        comparison: comparison.csv.
    """
    with comparison.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    # At the end of a run alone, and it reads tables.
    from lookalike.report.leading import run_shown_first

    runs = [row["run"] for row in rows if row["state"] == MAIN.name]
    run = run_shown_first(comparison.parent, runs)
    by_state = {row["state"]: row for row in rows if row["run"] == run}
    k = min(int(name.partition("@")[2]) for name in rows[0] if _CMC.fullmatch(name))
    key = f"CMC@{k}"
    what = "the first image" if k == 1 else f"one of the first {k} images"
    value = float(by_state[MAIN.name][key])
    beside = [("chance", by_state[MAIN.name][f"{key}_chance"])]
    if BASELINE.name in by_state:
        beside.insert(0, (BASELINE.name, by_state[BASELINE.name][key]))
    compared = ", ".join(f"{name} {of_hundred(float(number))}" for name, number in beside)
    return (
        f"report: {shown_path(report)}; {run}: {what} is right for {of_hundred(value)} of 100 "
        f"queries ({compared})"
    )


def of_hundred(share: float) -> str:
    """A share as a count of a hundred: in tenths below ten, and never rounded to none or all."""
    count = 100 * share
    if 0 < count < 0.1:
        return "less than 0.1"
    if 99.9 < count < 100:
        return "more than 99.9"
    return f"{count:.1f}".removesuffix(".0") if count < 10 or count > 99 else f"{count:.0f}"
