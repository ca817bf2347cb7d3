"""Normalised temperature-scaled cross entropy."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lookalike.training.losses.distances import mean_where
from lookalike.training.losses.pairs import Found, counts_of, log_sum_exp
from lookalike.training.losses.value import LossValue


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
            found: the pairs or triplets to take, see `lookalike.training.losses.pairs`; all where
                None.
            others: float32 [m, d], which the second of a pair is one of; the batch where None.
            other_labels: int64 [m], likewise; what is found tells what is of one class.

        Two images of one class that are equal, and one of another class at a right angle:

        >>> import math
        >>> import torch
        >>> embeddings = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
        >>> value = NTXentLoss(temperature=0.5)(embeddings, torch.tensor([0, 0, 1]))
        >>> cosines = math.exp(1 / 0.5), math.exp(0 / 0.5)
        >>> math.isclose(value.loss.item(), -math.log(cosines[0] / sum(cosines)), rel_tol=1e-6)
        True
        """
        units = F.normalize(embeddings, dim=1)
        to = units if others is None else F.normalize(others, dim=1)
        scores = units @ to.T / self.temperature
        if found is None:
            same = labels[:, None] == labels
            positive = same & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
            negatives = scores.masked_fill(same, -torch.inf).logsumexp(dim=1, keepdim=True)
        else:
            positive, times = counts_of(found, scores)
            negatives = log_sum_exp(scores, times)[:, None]
        # Without a negative there is nothing to tell a positive from.
        losses = torch.where(negatives > -torch.inf, F.softplus(negatives - scores), 0.0)
        return LossValue(mean_where(losses, positive), None)


def build(n_classes: int, dimension: int, *, temperature: float) -> NTXentLoss:
    """See `lookalike.training.losses.table`."""
    return NTXentLoss(temperature)
