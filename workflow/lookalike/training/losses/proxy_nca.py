"""ProxyNCA++."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lookalike.training.losses.value import LossValue


class ProxyNCALoss(nn.Module):
    """ProxyNCA++ (Teh, DeVries and Taylor 2020).

    Each class has a learnt vector, its proxy. The value is the mean over images of the cross
    entropy of -scale d, with d the squared Euclidean distance of image and proxy as vectors of
    length 1; the paper's temperature is 1 / scale. The value is pytorch-metric-learning's, which
    leaves out the images that are farthest from their proxy, where exp(-scale d) is 0.

    Args:
        n_classes: proxies.
        dimension: length of an embedding.
        scale: see above.
    """

    def __init__(self, n_classes: int, dimension: int, scale: float) -> None:
        super().__init__()
        self.proxies = nn.Parameter(torch.randn(n_classes, dimension))
        self.scale = scale

    def forward(self, embeddings: Tensor, labels: Tensor) -> LossValue:
        """Loss of a batch: embeddings float32 [n, d], class numbers int64 [n].

        One image on the proxy of its class, which is at a right angle to that of the other class:

        >>> import math
        >>> loss = ProxyNCALoss(n_classes=2, dimension=2, scale=0.5)
        >>> with torch.no_grad():
        ...     _ = loss.proxies.copy_(torch.eye(2))
        >>> value = loss(torch.tensor([[1.0, 0.0]]), torch.tensor([0])).loss
        >>> own, other = math.exp(-0.5 * 0), math.exp(-0.5 * 2)
        >>> math.isclose(value.item(), -math.log(own / (own + other)), rel_tol=1e-6)
        True
        """
        cosines = F.normalize(embeddings, dim=1) @ F.normalize(self.proxies, dim=1).T
        # The squared distance is 2 - 2 cos, and what all have in common changes no softmax.
        return LossValue(F.cross_entropy(2 * self.scale * cosines, labels), None)


def build(n_classes: int, dimension: int, *, scale: float) -> ProxyNCALoss:
    """See `lookalike.training.losses.table`."""
    return ProxyNCALoss(n_classes, dimension, scale)
