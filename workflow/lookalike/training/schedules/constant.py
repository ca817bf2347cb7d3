"""A learning rate that stays."""

from __future__ import annotations

from collections.abc import Callable


def build() -> Callable[[float], float]:
    """See `lookalike.training.schedules.table`."""
    return lambda done: 1.0
