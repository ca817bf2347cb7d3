"""The circle loss, pytorch-metric-learning's."""

from __future__ import annotations

from pytorch_metric_learning.losses import CircleLoss
from torch import nn


def build(n_classes: int, dimension: int, *, margin: float, gamma: float) -> nn.Module:
    """See `lookalike.training.losses.table`.

    The paper's equation 8 with its margins (O_p = 1 + m, O_n = -m, Delta_p = 1 - m, Delta_n = m):
    the mean over the images that have a positive and a negative of log(1 + sum over negatives of
    exp(gamma [s + m]_+ (s - m)) times sum over positives of exp(-gamma [1 + m - s]_+ (s - 1 + m))),
    with s the cosine. The factors in []_+ weigh the gradient, and have none of their own.

    Two images of one class that are equal, and one of another class at a right angle:

    >>> import math
    >>> import torch
    >>> embeddings = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    >>> loss = build(2, 2, margin=0.4, gamma=2.0)(embeddings, torch.tensor([0, 0, 1]))
    >>> positive, negative = math.exp(-2 * 0.4 * 0.4), math.exp(2 * 0.4 * (0 - 0.4))
    >>> math.isclose(loss.item(), math.log(1 + negative * positive), rel_tol=1e-6)
    True
    """
    loss: nn.Module = CircleLoss(m=margin, gamma=gamma)
    return loss
