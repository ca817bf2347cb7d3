"""One short sentence for each metric, for whoever reads a number for the first time."""

from __future__ import annotations

from collections.abc import Sequence

from lookalike.retrieval.metrics import metric_of

FIRST_IS_RIGHT = ("mAP@1", "mAP@1/hits", "precision@1", "CMC@1")
"""Metrics that are one and the same: whether the first image is right."""


def explain(key: str) -> str:
    """What the metric of a key says, in one sentence; empty for a metric not known here."""
    found = metric_of(key)
    return found[0].explained(found[1]).replace("first 1 places", "first place") if found else ""


def without_repetition(keys: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Keys in their order, each with those of metrics that are the same number.

    >>> without_repetition(["mAP@1", "mAP@10", "CMC@1"])
    [('mAP@1', ['mAP@1', 'CMC@1']), ('mAP@10', ['mAP@10'])]
    """
    same = [key for key in keys if key in FIRST_IS_RIGHT]
    return [(key, same if key in same else [key]) for key in keys if key not in same[1:]]
