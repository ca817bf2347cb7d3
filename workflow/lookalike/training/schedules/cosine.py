"""A learning rate that falls along half a cosine."""

from __future__ import annotations

import math
from collections.abc import Callable


def build() -> Callable[[float], float]:
    """See `lookalike.training.schedules.table`."""
    return lambda done: (1 + math.cos(math.pi * done)) / 2
