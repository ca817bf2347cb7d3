"""Adam with decoupled weight decay, torch's."""

from __future__ import annotations

from typing import Any

from torch.optim import AdamW


def build(groups: list[dict[str, Any]], *, weight_decay: float) -> AdamW:
    """See `lookalike.training.optimizers.table`."""
    return AdamW(groups, weight_decay=weight_decay)
