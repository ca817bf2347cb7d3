"""The SoftTriple loss, pytorch-metric-learning's with its paper's pull between centres."""

from __future__ import annotations

from pytorch_metric_learning.losses import SoftTripleLoss as LibraryLoss
from torch import Tensor, nn
from torch.nn import functional as F

from lookalike.training.losses.distances import root
from lookalike.training.losses.value import LossValue


class SoftTripleLoss(nn.Module):
    """SoftTriple loss (Qian, Shang, Sun, Hu, Li and Jin 2019), equation 8 with the pull of 9.

    Each class has several learnt centres. The similarity of an image and a class is the mean of the
    cosines to its centres, weighed by their softmax at temperature gamma. The value is the mean
    over images of the cross entropy of scale times these similarities, that to the own class less
    the margin; plus tau times the mean over classes of the mean distance of two of its centres,
    halved, which lets centres that a class does not need become one. As vectors of length 1.

    Args:
        n_classes: classes.
        dimension: length of an embedding.
        centers: of each class; the columns of `loss.fc`, [dimension, classes x centers], class by
            class, are in these directions.
        scale: see above; the paper's lambda.
        gamma: see above.
        margin: see above; the paper's delta.
        tau: see above.
    """

    def __init__(
        self,
        n_classes: int,
        dimension: int,
        *,
        centers: int,
        scale: float,
        gamma: float,
        margin: float,
        tau: float,
    ) -> None:
        super().__init__()
        self.tau, self.centers = tau, centers
        self.loss = LibraryLoss(
            n_classes, dimension, centers_per_class=centers, la=scale, gamma=gamma, margin=margin
        )

    def forward(self, embeddings: Tensor, labels: Tensor) -> LossValue:
        """Loss of a batch: embeddings float32 [n, d], class numbers int64 [n].

        One image on the centre of its class, which is at a right angle to that of the other class:

        >>> import math
        >>> import torch
        >>> loss = build(2, 2, centers=1, scale=3.0, gamma=0.1, margin=0.5, tau=0.2)
        >>> with torch.no_grad():
        ...     _ = loss.loss.fc.copy_(torch.eye(2))
        >>> value = loss(torch.tensor([[1.0, 0.0]]), torch.tensor([0])).loss
        >>> own, other = math.exp(3 * (1 - 0.5)), math.exp(3 * 0)
        >>> math.isclose(value.item(), -math.log(own / (own + other)), rel_tol=1e-6)
        True
        """
        return LossValue(self.loss(embeddings, labels) + self.tau * self._pull(), None)

    def _pull(self) -> Tensor:
        """Half the mean distance of two different centres of a class; 0 where each has one."""
        centers = F.normalize(self.loss.fc, dim=0).T.reshape(-1, self.centers, len(self.loss.fc))
        # Of the library's regularizer the slope is infinite where two centres are one.
        distances = root(2 - 2 * centers @ centers.transpose(1, 2))
        above = distances.triu(1).sum(dim=(1, 2))
        return above.mean() / max(1, self.centers * (self.centers - 1))


def build(
    n_classes: int,
    dimension: int,
    *,
    centers: int,
    scale: float,
    gamma: float,
    margin: float,
    tau: float,
) -> SoftTripleLoss:
    """See `lookalike.training.losses.table`."""
    return SoftTripleLoss(
        n_classes, dimension, centers=centers, scale=scale, gamma=gamma, margin=margin, tau=tau
    )
