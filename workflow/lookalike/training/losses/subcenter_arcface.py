"""The additive angular margin loss with several centres of a class, pytorch-metric-learning's."""

from __future__ import annotations

from pytorch_metric_learning.losses import SubCenterArcFaceLoss

from lookalike.training.losses.additive_angle import AdditiveAngle
from lookalike.training.losses.of_library import LibraryLoss


class _SubCenterArcFace(AdditiveAngle, SubCenterArcFaceLoss):
    pass


def build(
    n_classes: int, dimension: int, *, margin: float, scale: float, centers: int
) -> LibraryLoss:
    """See `lookalike.training.losses.table`.

    As `lookalike.training.losses.arcface`, with the cosine to a class that to the nearest of its
    centres. They are the columns of `loss.W`, [dimension, classes x centers], class by class.

    One image, of whose class one centre is opposite and one is where it is:

    >>> import math
    >>> import torch
    >>> loss = build(2, 2, margin=60.0, scale=3.0, centers=2)
    >>> with torch.no_grad():
    ...     _ = loss.loss.W.copy_(torch.tensor([[-1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0]]))
    >>> value = loss(torch.tensor([[1.0, 0.0]]), torch.tensor([0])).loss
    >>> own, other = math.exp(3 * math.cos(math.radians(60))), math.exp(3 * 0)
    >>> math.isclose(value.item(), -math.log(own / (own + other)), rel_tol=1e-6)
    True
    """
    return LibraryLoss(
        _SubCenterArcFace(
            num_classes=n_classes,
            embedding_size=dimension,
            margin=margin,
            scale=scale,
            sub_centers=centers,
        )
    )
