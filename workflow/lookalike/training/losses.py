"""Losses over a batch of embeddings with labels.

Every loss here is called with embeddings float32 [n, d] and labels int64 [n] and compares the
images of the batch with each other, as the score will compare them: by their Euclidean distance as
they are, or (of embeddings of length 1 alone, see `lookalike.config`) by their cosine.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from pytorch_metric_learning import losses as pml_losses
from pytorch_metric_learning import miners
from pytorch_metric_learning.distances import BaseDistance
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from lookalike.errors import LookalikeError

# The most differences of embeddings that are held at once: what fits into a processor's cache, or
# keeps a GPU at work.
_DIFFERENCES, _DIFFERENCES_ON_GPU = 2**20, 2**24


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


class _SquaredDistances(torch.autograd.Function):
    """See `squared_distances`. Going backwards, torch's `cdist` and `pdist` hold n^2 d floats."""

    @staticmethod
    def forward(context: Any, embeddings: Tensor) -> Tensor:
        context.save_for_backward(embeddings)
        squared = embeddings.new_empty(len(embeddings), len(embeddings))
        for rows, away in _differences(embeddings):
            torch.sum(away.square_(), dim=2, out=squared[rows])
        return squared

    @staticmethod
    @once_differentiable
    def backward(context: Any, gradient: Tensor) -> Tensor:
        (embeddings,) = context.saved_tensors
        both = (gradient + gradient.T).mul_(2)
        wanted = torch.empty_like(embeddings)
        # Sums of differences, not differences of sums: nothing is lost where embeddings are near.
        for rows, away in _differences(embeddings):
            wanted[rows] = torch.bmm(both[rows, None], away)[:, 0]
        return wanted


def _differences(embeddings: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Some rows at a time, and their differences to all rows: [rows, n, d], good until the next."""
    n, d = embeddings.shape
    most = _DIFFERENCES if embeddings.device.type == "cpu" else _DIFFERENCES_ON_GPU
    size = min(n, max(1, most // (n * d)))
    # One piece of memory for all: many would leave gaps.
    away = embeddings.new_empty(size, n, d)
    for start in range(0, n, size):
        rows = slice(start, min(start + size, n))
        yield rows, torch.sub(embeddings[rows, None], embeddings, out=away[: n - start])


def squared_distances(embeddings: Tensor) -> Tensor:
    """Squared Euclidean distance of each row of [n, d] to each: [n, n].

    Each is the sum of its squared differences, exactly 0 for equal rows: the matrix product that is
    often used instead loses near distances in rounding. Memory is bounded by n^2, not n^2 d,
    forwards and backwards; there is no second derivative.
    """
    squared: Tensor = _SquaredDistances.apply(embeddings)
    return squared


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
        same = labels[:, None] == labels
        pairs = torch.ones_like(same).triu(1)
        positive, negative = pairs & same, pairs & ~same
        losses = self.pairwise.of_distances(squared_distances(embeddings), same.float())
        active = negative & (losses > 0)
        share = active.sum() / negative.sum().clamp(min=1)
        if self.mean == "all":
            return LossValue(_mean_where(losses, pairs), share)
        loss = _mean_where(losses, positive) + _mean_where(losses, active)
        return LossValue(loss, share)


def _mean_where(values: Tensor, chosen: Tensor) -> Tensor:
    return (values * chosen).sum() / chosen.sum().clamp(min=1)


class NTXentLoss(nn.Module):
    """Normalised temperature-scaled cross entropy (Chen, Kornblith, Norouzi and Hinton 2020).

    The mean over ordered positive pairs of -log(p / (p + sum of q)), with p = exp(cosine /
    temperature) of the pair and q the same of the first image and each negative. The value is
    pytorch-metric-learning's, which holds every positive pair beside every negative one: n^4 where
    classes are few.
    """

    def __init__(self, temperature: float) -> None:
        super().__init__()
        self.temperature = temperature

    def forward(self, embeddings: Tensor, labels: Tensor) -> LossValue:
        """Loss of a batch: embeddings float32 [n, d], labels int64 [n]."""
        units = F.normalize(embeddings, dim=1)
        scores = units @ units.T / self.temperature
        same = labels[:, None] == labels
        positive = same & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
        negatives = scores.masked_fill(same, -torch.inf).logsumexp(dim=1, keepdim=True)
        # Without a negative there is nothing to tell a positive from.
        losses = torch.where(negatives > -torch.inf, F.softplus(negatives - scores), 0.0)
        return LossValue(_mean_where(losses, positive), None)


class Euclidean(BaseDistance):
    """Distances of embeddings as they are, for pytorch-metric-learning.

    Its own make embeddings unit vectors first, which would train another distance than is scored,
    and round near distances away in larger batches.
    """

    def __init__(self) -> None:
        super().__init__(normalize_embeddings=False)

    def compute_mat(self, query_emb: Tensor, ref_emb: Tensor) -> Tensor:
        """Distances within a batch [n, d]: [n, n]."""
        assert query_emb is ref_emb  # no loss here compares two batches
        return root(squared_distances(query_emb))


class MinedLoss(nn.Module):
    """A loss of pytorch-metric-learning, of what a miner finds in the batch."""

    def __init__(self, loss: nn.Module, miner: nn.Module) -> None:
        super().__init__()
        self.loss = loss
        self.miner = miner

    def forward(self, embeddings: Tensor, labels: Tensor) -> LossValue:
        """Loss of a batch: embeddings float32 [n, d], labels int64 [n]."""
        return LossValue(self.loss(embeddings, labels, self.miner(embeddings, labels)), None)


def build_loss(settings: Mapping[str, Any]) -> nn.Module:
    """Make the loss that a recipe's `loss` settings name."""
    match settings["name"]:
        case "contrastive":
            return BatchContrastiveLoss(settings["margin"], settings["mean"])
        case "triplet":
            margin, mining = settings["margin"], settings["mining"]
            loss = pml_losses.TripletMarginLoss(margin=margin, distance=Euclidean())
            return MinedLoss(
                loss,
                miners.TripletMarginMiner(
                    margin=margin, type_of_triplets=mining, distance=Euclidean()
                ),
            )
        case "multi_similarity":
            loss = pml_losses.MultiSimilarityLoss(
                alpha=settings["alpha"], beta=settings["beta"], base=settings["base"]
            )
            return MinedLoss(loss, miners.MultiSimilarityMiner(epsilon=settings["epsilon"]))
        case "ntxent":
            return NTXentLoss(settings["temperature"])
        case name:
            raise LookalikeError(f"loss.name: there is no loss {name!r}")
