"""Stochastic gradient descent with momentum, torch's."""

from __future__ import annotations

from typing import Any

from torch.optim import SGD


def build(groups: list[dict[str, Any]], *, momentum: float, weight_decay: float) -> SGD:
    """See `lookalike.training.optimizers.table`."""
    return SGD(groups, momentum=momentum, weight_decay=weight_decay)
