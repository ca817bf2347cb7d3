"""One short sentence for each metric, for whoever reads a number for the first time."""

from __future__ import annotations

from lookalike.retrieval.metrics import metric_of


def explain(key: str) -> str:
    """What the metric of a key says, in one sentence; empty for a metric not known here."""
    found = metric_of(key)
    return found[0].explained(found[1]) if found else ""
