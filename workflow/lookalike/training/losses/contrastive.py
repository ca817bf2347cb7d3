"""The contrastive loss of pairs."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lookalike.training.losses.distances import (
    mean_where,
    root,
    squared_distance,
    squared_distances,
)
from lookalike.training.losses.value import LossValue


class ContrastiveLoss(nn.Module):
    """Contrastive loss of pairs (Hadsell, Chopra and LeCun 2006), as in the seed document.

    A positive pair costs d^2, a negative pair max(0, margin - d)^2, with d the Euclidean distance.
    The value is the document's; the gradient is finite where two embeddings coincide, where the
    square root's slope would be infinite (see `euclidean_distance`).
    """

    def __init__(self, margin: float = 1.0) -> None:
        super().__init__()
        self.margin = margin

    def forward(self, x1: Tensor, x2: Tensor, y: Tensor) -> Tensor:
        """Mean loss over pairs.

        Args:
            x1: float32 [pairs, d].
            x2: float32 [pairs, d].
            y: [pairs], 1 for a positive pair, 0 for a negative one.
        """
        return self.of_distances(squared_distance(x1, x2), y).mean()

    def of_distances(self, squared: Tensor, y: Tensor) -> Tensor:
        """Loss of each pair, [pairs], from its squared distance [pairs]."""
        hinge = torch.clamp(self.margin - root(squared), min=0.0)
        return y * squared + (1 - y) * hinge**2


class BatchContrastiveLoss(nn.Module):
    """Contrastive loss over all pairs i < j of a batch.

    Args:
        margin: distance from which on a negative pair costs nothing.
        mean: `all`, one mean over all pairs (the seed document's); or `separate`, the mean over the
            positive pairs plus the mean over the negative pairs nearer than the margin, so that the
            few positives weigh as much as the many negatives, and the negatives that are already
            far do not dilute those that are not.
    """

    def __init__(self, margin: float, mean: str) -> None:
        super().__init__()
        self.pairwise = ContrastiveLoss(margin)
        self.mean = mean

    def forward(self, embeddings: Tensor, labels: Tensor) -> LossValue:
        """Loss of a batch: embeddings float32 [n, d], labels int64 [n].

        Two images of one class 0.5 apart; one of another class is 0.6 from the first:

        >>> import torch
        >>> embeddings = torch.tensor([[0.0], [0.5], [-0.6]])
        >>> value = BatchContrastiveLoss(1.0, "all")(embeddings, torch.tensor([0, 0, 1]))
        >>> round(value.loss.item(), 6) == round((0.5**2 + (1 - 0.6) ** 2 + 0) / 3, 6)
        True
        >>> value.active_negatives.item()
        0.5
        """
        same = labels[:, None] == labels
        pairs = torch.ones_like(same).triu(1)
        positive, negative = pairs & same, pairs & ~same
        losses = self.pairwise.of_distances(squared_distances(embeddings), same.float())
        active = negative & (losses > 0)
        share = active.sum() / negative.sum().clamp(min=1)
        if self.mean == "all":
            return LossValue(mean_where(losses, pairs), share)
        loss = mean_where(losses, positive) + mean_where(losses, active)
        return LossValue(loss, share)


def build(n_classes: int, dimension: int, *, margin: float, mean: str) -> BatchContrastiveLoss:
    """See `lookalike.training.losses.table`."""
    return BatchContrastiveLoss(margin, mean)
