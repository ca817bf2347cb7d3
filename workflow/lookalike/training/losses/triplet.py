"""The triplet loss, pytorch-metric-learning's."""

from __future__ import annotations

from pytorch_metric_learning.losses import TripletMarginLoss
from torch import nn

from lookalike.training.losses.library_distance import Euclidean


def build(n_classes: int, dimension: int, *, margin: float) -> nn.Module:
    """See `lookalike.training.losses.table`.

    Two images of one class 1 apart; one of another class is 1.5 from the first, 0.5 from the other:

    >>> import torch
    >>> embeddings = torch.tensor([[0.0], [1.0], [1.5]])
    >>> loss = build(2, 1, margin=1.0)(embeddings, torch.tensor([0, 0, 1]))
    >>> loss.item() == ((1 - 1.5 + 1) + (1 - 0.5 + 1)) / 2
    True
    """
    loss: nn.Module = TripletMarginLoss(margin=margin, distance=Euclidean())
    return loss
