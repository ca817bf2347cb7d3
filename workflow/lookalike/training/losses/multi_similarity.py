"""The multi-similarity loss, pytorch-metric-learning's."""

from __future__ import annotations

from pytorch_metric_learning.losses import MultiSimilarityLoss
from torch import nn


def build(n_classes: int, dimension: int, *, alpha: float, beta: float, base: float) -> nn.Module:
    """See `lookalike.training.losses.table`."""
    loss: nn.Module = MultiSimilarityLoss(alpha=alpha, beta=beta, base=base)
    return loss
