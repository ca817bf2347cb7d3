"""Which epoch's weights are kept, and whether it is worth going on, by the scores so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

VALIDATION_K = 10
SCORE = f"validation_mAP@{VALIDATION_K}"
"""The column of the history that has an epoch's score, None where it was not scored."""
SCORE_AT_R = "validation_mAP@R"
"""Likewise of mAP@R, by which recipes are chosen; no epoch is."""


def best_epoch(history: Sequence[Mapping[str, Any]]) -> int | None:
    """The epoch (from 1) with the best score, the first of equal ones; None where none has one."""
    scored = [row for row in history if row[SCORE] is not None]
    best = max(scored, key=lambda row: (row[SCORE], -row["epoch"]), default=None)
    return None if best is None else int(best["epoch"])


def is_over(history: Sequence[Mapping[str, Any]], patience: int) -> bool:
    """Whether the last `patience` scores (at least 1) are all no better than one before them."""
    best = best_epoch(history)
    if best is None or not patience:
        return False
    return sum(row[SCORE] is not None for row in history[best:]) >= patience
