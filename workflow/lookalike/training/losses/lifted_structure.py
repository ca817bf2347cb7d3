"""The lifted structured loss."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lookalike.training.losses.distances import mean_where, root, squared_distances
from lookalike.training.losses.pairs import Found, counts_of, log_sum_exp


class LiftedStructureLoss(nn.Module):
    """Lifted structured loss (Oh Song, Xiang, Jegelka and Savarese 2016), by Euclidean distance.

    With D a pair's distance, half the mean over the positive pairs (i, j) of max(0, J)^2, where
    J = D_ij + log(sum of exp(margin - D_ik) over the negatives k of i + sum of exp(margin - D_jk)
    over those of j). A positive pair without a negative costs nothing. The value is
    pytorch-metric-learning's, which holds every positive pair beside every negative one: n^4 where
    classes are few.
    """

    def __init__(self, margin: float) -> None:
        super().__init__()
        self.margin = margin

    def forward(self, embeddings: Tensor, labels: Tensor, found: Found | None = None) -> Tensor:
        """Loss of a batch: embeddings float32 [n, d], labels int64 [n].

        Args:
            embeddings: see above.
            labels: see above.
            found: the pairs or triplets to take, see `lookalike.training.losses.pairs`; all where
                None.

        Two images of one class 1 apart; one of another class is 1 from the one, 2 from the other:

        >>> import math
        >>> loss = LiftedStructureLoss(margin=1.0)
        >>> value = loss(torch.tensor([[0.0], [1.0], [2.0]]), torch.tensor([0, 0, 1]))
        >>> of_pair = math.log(math.exp(1 - 2) + math.exp(1 - 1)) + 1
        >>> math.isclose(value.item(), of_pair**2 / 2, rel_tol=1e-6)
        True
        """
        distances = root(squared_distances(embeddings))
        if found is None:
            same = labels[:, None] == labels
            positive = same & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
            times = (~same).to(distances.dtype)
        else:
            positive, times = counts_of(found, distances)
        pushes = log_sum_exp(self.margin - distances, times)
        # Far below any distance, and yet a number, where there is no negative.
        pushes = torch.where(times.any(dim=1), pushes, torch.finfo(pushes.dtype).min / 4)
        costs = torch.logaddexp(pushes[:, None], pushes) + distances
        return mean_where(costs.clamp(min=0).square(), positive) / 2


def build(n_classes: int, dimension: int, *, margin: float) -> LiftedStructureLoss:
    """See `lookalike.training.losses.table`."""
    return LiftedStructureLoss(margin)
