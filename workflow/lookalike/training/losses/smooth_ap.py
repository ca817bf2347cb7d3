"""Smooth average precision."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lookalike.training.losses.value import LossValue


class SmoothAPLoss(nn.Module):
    """Smooth-AP (Brown, Xie, Kalogeiton and Zisserman 2020).

    The mean over the images of a batch of 1 - AP, with AP the mean over the images i of its class
    of rank among the class over rank among all. A rank is 1 + the sum over the others j of
    sigmoid((s_j - s_i) / temperature), with s the cosine to the query. As in the authors' code,
    the query itself is one of the images that are ranked.

    A query alone in its class has nothing to find and is left out. The paper's batches hold equally
    many images of each class; this needs them not, but classes then weigh by their size. (That of
    pytorch-metric-learning 2.9 is right only where a batch has as many classes as images of each.)
    """

    def __init__(self, temperature: float) -> None:
        super().__init__()
        self.temperature = temperature

    def forward(self, embeddings: Tensor, labels: Tensor) -> LossValue:
        """Loss of a batch: embeddings float32 [n, d], labels int64 [n].

        Two images of one class at right angles, and between them one of another class:

        >>> import math
        >>> embeddings = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
        >>> value = SmoothAPLoss(temperature=1.0)(embeddings, torch.tensor([0, 0, 1])).loss
        >>> def s(x):
        ...     return 1 / (1 + math.exp(-x))
        >>> r = math.sqrt(0.5)
        >>> itself = (1 + s(0 - 1)) / (1 + s(0 - 1) + s(r - 1))
        >>> other = (1 + s(1 - 0)) / (1 + s(1 - 0) + s(r - 0))
        >>> math.isclose(value.item(), 1 - (itself + other) / 2, rel_tol=1e-6)
        True
        """
        units = F.normalize(embeddings, dim=1)
        scores = units @ units.T
        same = labels[:, None] == labels
        # For each query and each image to find: by how much each image is before it.
        query, wanted = same.nonzero(as_tuple=True)
        before = ((scores[query] - scores[query, wanted][:, None]) / self.temperature).sigmoid()
        others = torch.arange(len(labels), device=labels.device) != wanted[:, None]
        of_class = 1 + (before * (others & same[query])).sum(dim=1)
        precision = of_class / (of_class + (before * ~same[query]).sum(dim=1))
        sizes = same.sum(dim=1)
        averages = precision.new_zeros(len(labels)).index_add(0, query, precision) / sizes
        taught = sizes > 1
        return LossValue(((1 - averages) * taught).sum() / taught.sum().clamp(min=1), None)


def build(n_classes: int, dimension: int, *, temperature: float) -> SmoothAPLoss:
    """See `lookalike.training.losses.table`."""
    return SmoothAPLoss(temperature)
