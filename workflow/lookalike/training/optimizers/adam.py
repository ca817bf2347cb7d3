"""Adam, torch's."""

from __future__ import annotations

from typing import Any

from torch.optim import Adam


def build(groups: list[dict[str, Any]], *, weight_decay: float) -> Adam:
    """See `lookalike.training.optimizers.table`."""
    return Adam(groups, weight_decay=weight_decay)
