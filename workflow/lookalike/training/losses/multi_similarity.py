"""The multi-similarity loss, pytorch-metric-learning's."""

from __future__ import annotations

from pytorch_metric_learning.losses import MultiSimilarityLoss
from torch import nn


def build(n_classes: int, dimension: int, *, alpha: float, beta: float, base: float) -> nn.Module:
    """See `lookalike.training.losses.table`.

    Two images of one class that are equal, and one of another class at a right angle, which costs
    nothing:

    >>> import math
    >>> import torch
    >>> embeddings = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    >>> loss = build(2, 2, alpha=2.0, beta=50.0, base=0.5)(embeddings, torch.tensor([0, 0, 1]))
    >>> of_one = math.log(1 + math.exp(-2 * (1 - 0.5))) / 2  # of each of the first two
    >>> math.isclose(loss.item(), 2 * of_one / 3, rel_tol=1e-6)
    True
    """
    loss: nn.Module = MultiSimilarityLoss(alpha=alpha, beta=beta, base=base)
    return loss
