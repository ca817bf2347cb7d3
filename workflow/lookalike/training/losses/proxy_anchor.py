"""The proxy anchor loss, pytorch-metric-learning's."""

from __future__ import annotations

from pytorch_metric_learning.losses import ProxyAnchorLoss as LibraryLoss
from torch import Tensor, nn

from lookalike.training.losses.value import LossValue


class ProxyAnchorLoss(nn.Module):
    """Proxy anchor loss (Kim, Kim, Cho and Kwak 2020).

    Each class has a learnt vector, its proxy. With s the cosine of an image and a proxy, the value
    is the mean over the proxies of classes in the batch of log(1 + sum of exp(-alpha (s - margin)))
    over the images of the class, plus the mean over all proxies of log(1 + sum of exp(alpha (s +
    margin))) over the images of other classes.

    Args:
        n_classes: proxies.
        dimension: length of an embedding.
        margin: see above.
        alpha: see above.
    """

    def __init__(self, n_classes: int, dimension: int, margin: float, alpha: float) -> None:
        super().__init__()
        self.loss = LibraryLoss(n_classes, dimension, margin=margin, alpha=alpha)

    def forward(self, embeddings: Tensor, labels: Tensor) -> LossValue:
        """Loss of a batch: embeddings float32 [n, d], class numbers int64 [n].

        One image on the proxy of its class, which is at a right angle to that of the other class:

        >>> import math
        >>> import torch
        >>> loss = ProxyAnchorLoss(n_classes=2, dimension=2, margin=0.1, alpha=32.0)
        >>> with torch.no_grad():
        ...     _ = loss.loss.proxies.copy_(torch.eye(2))
        >>> value = loss(torch.tensor([[1.0, 0.0]]), torch.tensor([0])).loss
        >>> own = math.log(1 + math.exp(-32 * (1 - 0.1)))  # of one proxy with an image in the batch
        >>> other = math.log(1 + math.exp(32 * (0 + 0.1))) / 2  # of two proxies
        >>> math.isclose(value.item(), own + other, rel_tol=1e-6)
        True
        """
        return LossValue(self.loss(embeddings, labels), None)


def build(n_classes: int, dimension: int, *, margin: float, alpha: float) -> ProxyAnchorLoss:
    """See `lookalike.training.losses.table`."""
    return ProxyAnchorLoss(n_classes, dimension, margin, alpha)
