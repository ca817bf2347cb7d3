"""The triplet loss, pytorch-metric-learning's."""

from __future__ import annotations

from pytorch_metric_learning.losses import TripletMarginLoss
from torch import nn

from lookalike.training.losses.library_distance import Euclidean


def build(n_classes: int, dimension: int, *, margin: float) -> nn.Module:
    """See `lookalike.training.losses.table`."""
    loss: nn.Module = TripletMarginLoss(margin=margin, distance=Euclidean())
    return loss
