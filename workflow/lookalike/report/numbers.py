"""Metrics as text."""

from __future__ import annotations

from lookalike.retrieval.metrics import in_ranks


def number(key: str, value: float | None) -> str:
    """A metric's value as text: ranks with one decimal, shares with three, a dash for none."""
    if value is None:
        return "–"
    return f"{value:,.1f}" if in_ranks(key) else f"{value:.3f}"


def signed(key: str, value: float) -> str:
    """A difference of a metric as text, with its sign."""
    text = number(key, abs(value))
    return text if not text.strip("0.") else f"{'−' if value < 0 else '+'}{text}"
