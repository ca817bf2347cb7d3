"""Losses over a batch of embeddings with labels.

Every loss here is called with embeddings float32 [n, d] and labels int64 [n] and compares the
images of the batch with each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from pytorch_metric_learning import losses as pml_losses
from pytorch_metric_learning import miners
from torch import Tensor, nn

from lookalike.errors import LookalikeError


@dataclass(frozen=True)
class LossValue:
    """A loss and what is worth watching beside it.

    Attributes:
        loss: scalar tensor, differentiable.
        active_negatives: share of the negative pairs that are nearer than the margin, as a scalar
            tensor; None where the loss has no such margin.
    """

    loss: Tensor
    active_negatives: Tensor | None


class ContrastiveLoss(nn.Module):
    """Contrastive loss of pairs (Hadsell, Chopra and LeCun 2006), as in the seed document.

    A positive pair costs d^2, a negative pair max(0, margin - d)^2, with d the Euclidean distance.
    The value is the seed's; the gradient is finite where two embeddings coincide, where the
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


def squared_distance(x1: Tensor, x2: Tensor) -> Tensor:
    """Squared Euclidean distance of each row of `x1` [n, d] to that row of `x2` [n, d]: [n]."""
    return ((x1 - x2) ** 2).sum(dim=1)


def root(squared: Tensor) -> Tensor:
    """Square root whose gradient is 0, not infinite, where `squared` is 0.

    The slope of sqrt at 0 is infinite, and times the zero slope of the square it is NaN, which one
    step later is in every weight. At 0 a distance has no direction to grow in: 0 is a valid
    subgradient.
    """
    positive = squared > 0
    return torch.where(positive, torch.where(positive, squared, 1.0).sqrt(), 0.0)


class BatchContrastiveLoss(nn.Module):
    """Contrastive loss over all pairs i < j of a batch.

    Args:
        margin: distance from which on a negative pair costs nothing.
        mean: `all`, one mean over all pairs (the seed's); or `separate`, the mean over the positive
            pairs plus the mean over the negative pairs nearer than the margin, so that the few
            positives weigh as much as the many negatives, and the negatives that are already far
            do not dilute those that are not.
    """

    def __init__(self, margin: float, mean: str) -> None:
        super().__init__()
        self.pairwise = ContrastiveLoss(margin)
        self.mean = mean

    def forward(self, embeddings: Tensor, labels: Tensor) -> LossValue:
        """Loss of a batch: embeddings float32 [n, d], labels int64 [n]."""
        first, second = torch.triu_indices(len(labels), len(labels), 1, device=labels.device)
        squared = squared_distance(embeddings[first], embeddings[second])
        positive = labels[first] == labels[second]
        losses = self.pairwise.of_distances(squared, positive.float())
        active = ~positive & (losses > 0)
        share = active.sum() / (~positive).sum().clamp(min=1)
        if self.mean == "all":
            return LossValue(losses.mean(), share)
        loss = _mean_where(losses, positive) + _mean_where(losses, active)
        return LossValue(loss, share)


def _mean_where(values: Tensor, chosen: Tensor) -> Tensor:
    return (values * chosen).sum() / chosen.sum().clamp(min=1)


class MinedLoss(nn.Module):
    """A loss of pytorch-metric-learning, with a miner where the recipe asks for one."""

    def __init__(self, loss: nn.Module, miner: nn.Module | None = None) -> None:
        super().__init__()
        self.loss = loss
        self.miner = miner

    def forward(self, embeddings: Tensor, labels: Tensor) -> LossValue:
        """Loss of a batch: embeddings float32 [n, d], labels int64 [n]."""
        chosen = None if self.miner is None else self.miner(embeddings, labels)
        return LossValue(self.loss(embeddings, labels, chosen), None)


def build_loss(settings: Mapping[str, Any]) -> nn.Module:
    """Make the loss that a recipe's `loss` settings name."""
    match settings["name"]:
        case "contrastive":
            return BatchContrastiveLoss(settings["margin"], settings["mean"])
        case "triplet":
            margin, mining = settings["margin"], settings["mining"]
            miner = miners.TripletMarginMiner(margin=margin, type_of_triplets=mining)
            return MinedLoss(pml_losses.TripletMarginLoss(margin=margin), miner)
        case "multi_similarity":
            loss = pml_losses.MultiSimilarityLoss(
                alpha=settings["alpha"], beta=settings["beta"], base=settings["base"]
            )
            return MinedLoss(loss, miners.MultiSimilarityMiner(epsilon=settings["epsilon"]))
        case "ntxent":
            return MinedLoss(pml_losses.NTXentLoss(temperature=settings["temperature"]))
        case name:
            raise LookalikeError(f"loss.name: there is no loss {name!r}")
