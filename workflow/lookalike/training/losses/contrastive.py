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
from lookalike.training.losses.pairs import Found, counts_of
from lookalike.training.losses.value import LossValue


class ContrastiveLoss(nn.Module):
    """Contrastive loss of pairs (Hadsell, Chopra and LeCun 2006), as in the seed document.

    A positive pair costs d^2, a negative pair max(0, margin - d)^2, with d the Euclidean distance;
    with `power` 1 they cost d and max(0, margin - d), which pull and push as strongly however near
    the goal is. The value is the document's; the gradient is finite where two embeddings coincide,
    where the square root's slope would be infinite (see `distances.root`).

    Args:
        margin: see above.
        power: 1 or 2.
    """

    def __init__(self, margin: float = 1.0, power: int = 2) -> None:
        super().__init__()
        self.margin = margin
        self.power = power

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
        distance = root(squared)
        hinge = torch.clamp(self.margin - distance, min=0.0)
        if self.power == 1:
            return y * distance + (1 - y) * hinge
        return y * squared + (1 - y) * hinge**2


class BatchContrastiveLoss(nn.Module):
    """Contrastive loss over all pairs i < j of a batch, or over those that a miner found.

    Args:
        margin: distance from which on a negative pair costs nothing.
        mean: `all`, one mean over all pairs (the seed document's); or `separate`, the mean over the
            positive pairs plus the mean over the negative pairs nearer than the margin, so that the
            few positives weigh as much as the many negatives, and the negatives that are already
            far do not dilute those that are not; or `nonzero`, likewise without the positive pairs
            whose images coincide (pytorch-metric-learning's mean).
        power: see `ContrastiveLoss`.
    """

    def __init__(self, margin: float, mean: str, power: int = 2) -> None:
        super().__init__()
        self.pairwise = ContrastiveLoss(margin, power)
        self.mean = mean

    def forward(
        self,
        embeddings: Tensor,
        labels: Tensor,
        found: Found | None = None,
        others: Tensor | None = None,
        other_labels: Tensor | None = None,
    ) -> LossValue:
        """Loss of a batch: embeddings float32 [n, d], labels int64 [n].

        Args:
            embeddings: see above.
            labels: see above.
            found: the pairs or triplets to take, see `lookalike.training.losses.pairs`.
            others: float32 [m, d], which the second of a pair is one of; the batch where None.
            other_labels: int64 [m], likewise.

        Two images of one class 0.5 apart; one of another class is 0.6 from the first:

        >>> import torch
        >>> embeddings = torch.tensor([[0.0], [0.5], [-0.6]])
        >>> value = BatchContrastiveLoss(1.0, "all")(embeddings, torch.tensor([0, 0, 1]))
        >>> round(value.loss.item(), 6) == round((0.5**2 + (1 - 0.6) ** 2 + 0) / 3, 6)
        True
        >>> value.active_negatives.item()
        0.5
        """
        same = labels[:, None] == (labels if other_labels is None else other_labels)
        losses = self.pairwise.of_distances(squared_distances(embeddings, others), same.float())
        if found is None:
            pairs = torch.ones_like(same).triu(1)
            positive, negative = pairs & same, pairs & ~same
        else:
            positive, negative = counts_of(found, losses)
            pairs = positive + negative
        active = negative * (losses > 0)
        share = active.sum() / negative.sum().clamp(min=1)
        if self.mean == "all":
            return LossValue(mean_where(losses, pairs), share)
        if self.mean == "nonzero":
            positive = positive * (losses > 0)
        loss = mean_where(losses, positive) + mean_where(losses, active)
        return LossValue(loss, share)


def build(
    n_classes: int, dimension: int, *, margin: float, mean: str, power: int
) -> BatchContrastiveLoss:
    """See `lookalike.training.losses.table`."""
    return BatchContrastiveLoss(margin, mean, power)
