"""The additive angular margin loss, pytorch-metric-learning's."""

from __future__ import annotations

from pytorch_metric_learning.losses import ArcFaceLoss

from lookalike.training.losses.additive_angle import AdditiveAngle
from lookalike.training.losses.of_library import LibraryLoss


class _ArcFace(AdditiveAngle, ArcFaceLoss):
    pass


def build(n_classes: int, dimension: int, *, margin: float, scale: float) -> LibraryLoss:
    """See `lookalike.training.losses.table`.

    The mean over images of the cross entropy of scale times the cosines to a learnt centre of each
    class, where the angle to the own class's centre is made wider by the margin, in degrees. The
    centres are the columns of `loss.W`, [dimension, classes]; their lengths do not matter.

    One image on the centre of its class, which is at a right angle to that of the other class:

    >>> import math
    >>> import torch
    >>> loss = build(2, 2, margin=60.0, scale=3.0)
    >>> with torch.no_grad():
    ...     _ = loss.loss.W.copy_(torch.eye(2))
    >>> value = loss(torch.tensor([[1.0, 0.0]]), torch.tensor([0])).loss
    >>> own, other = math.exp(3 * math.cos(math.radians(60))), math.exp(3 * 0)
    >>> math.isclose(value.item(), -math.log(own / (own + other)), rel_tol=1e-6)
    True
    """
    return LibraryLoss(_ArcFace(n_classes, dimension, margin=margin, scale=scale))
