"""What came of a run in a sentence, for terminal and page. Imports nothing heavy."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lookalike.errors import LookalikeError
from lookalike.models.backbones.sources import is_pretrained
from lookalike.report.runs import BASELINE, MAIN, shown_names
from lookalike.storage.files import read_json
from lookalike.text import shown_path

_CMC = re.compile(r"CMC@(\d+)")
_IN_WORDS = ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


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
    main = by_state[MAIN.name]
    # What this run was not scored with is empty.
    ks = [int(match[1]) for name in main if (match := _CMC.fullmatch(name)) and main[name]]
    called = _before_training(comparison.parent / run / "model.json")
    found = found_in_words(ks, main, by_state.get(BASELINE.name), called)
    return f"report: {shown_path(report)}; {shown_names(runs)[run]}: {found}"


def _before_training(model: Path) -> str:
    """What the report calls the state before training of a run with this model.json."""
    try:
        settings = read_json(model, {"settings": dict})["settings"]
    except LookalikeError:  # of embeddings from elsewhere, or not handed on
        return BASELINE.name
    if BASELINE.of_pretrained and is_pretrained(settings.get("model", {})):
        return BASELINE.of_pretrained[0]
    return BASELINE.name


def telling_cut_off(ks: Sequence[int]) -> int:
    """The cut-off whose metrics tell the most: 10, or else the middle one."""
    return 10 if 10 in ks else sorted(set(ks))[len(set(ks)) // 2]


def told_cut_offs(ks: Sequence[int]) -> list[int]:
    """Those that the sentence speaks of: the least, and the one that tells the most."""
    return sorted({min(ks), telling_cut_off(ks)})


def found_in_words(
    ks: Sequence[int],
    main: Mapping[str, Any],
    before: Mapping[str, Any] | None,
    called: str = BASELINE.name,
) -> str:
    """For how many of a hundred queries the first images are right, at two cut-offs.

    Args:
        ks: the cut-offs: of them the least is told of, and the one that tells the most.
        main: row of the comparison of a run in the state that it stands for; its values are
            numbers, or numbers as text.
        before: the same before its training, if there is one.
        called: what that state is called.

    >>> row = {"CMC@1": 0.18, "CMC@1_chance": 0.01, "CMC@10": 0.5, "CMC@10_chance": 0.06}
    >>> found_in_words([1, 10, 50], row, None)
    'for 18 of 100 queries the first image is right (chance 1); \
for 50 of 100 at least one of the first ten is (chance 6)'
    """
    told: list[str] = []
    for k in told_cut_offs(ks):
        key = f"CMC@{k}"
        beside = [] if before is None else [(called, before[key])]
        beside.append(("chance", main[f"{key}_chance"]))
        compared = ", ".join(f"{name} {of_hundred(float(share))}" for name, share in beside)
        many, right = ("", " is") if told else (" queries", " is right")
        if k == 1:
            images = "the first image"
        else:
            first = _IN_WORDS[k - 2] if k <= 10 else f"{k:,}"
            images = f"at least one of the first {first}{'' if told else ' images'}"
        told.append(f"for {of_hundred(float(main[key]))} of 100{many} {images}{right} ({compared})")
    return "; ".join(told)


def of_hundred(share: float) -> str:
    """A share as a count of a hundred: in tenths below ten, and never rounded to none or all."""
    count = 100 * share
    if 0 < count < 0.1:
        return "less than 0.1"
    if 99.9 < count < 100:
        return "more than 99.9"
    return f"{count:.1f}".removesuffix(".0") if count < 10 or count > 99 else f"{count:.0f}"
