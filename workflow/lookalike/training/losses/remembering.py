"""A loss of a batch's images and past ones: cross-batch memory, pytorch-metric-learning's."""

from __future__ import annotations

from typing import Any

import torch
from pytorch_metric_learning.losses import CrossBatchMemory
from pytorch_metric_learning.utils import loss_and_miner_utils
from torch import Tensor, nn

from lookalike.training.losses.mined import as_value
from lookalike.training.losses.pairs import Found
from lookalike.training.losses.value import LossValue


class LatestImages(CrossBatchMemory):
    """The library's memory, whose place in the queue is part of its state as the queue is.

    The first of a pair is of the batch, the second of the memory, which holds the batch itself
    already; what is remembered takes no gradient.
    """

    @classmethod
    def check_loss_support(cls, loss_name: str) -> None:
        """Which losses take a memory, their records say."""

    def create_indices_tuple(
        self,
        embeddings: Tensor,
        labels: Tensor,
        E_mem: Tensor,
        L_mem: Tensor,
        input_indices_tuple: Found | None,
        do_remove_self_comparisons: bool,
    ) -> Found:
        """The pairs or triplets to take, without an image and itself, however small the batch."""
        found: Found
        if self.miner is None:
            found = loss_and_miner_utils.get_all_pairs_indices(labels, L_mem)
        else:
            found = self.miner(embeddings, labels, E_mem, L_mem)
        another = self.curr_batch_idx[found[0]] != found[1]
        if len(found) == 3:
            return tuple(indices[another] for indices in found)
        return (found[0][another], found[1][another], *found[2:])

    def get_extra_state(self) -> Tensor:
        """Where the next embedding goes, and whether all places were filled once: int64 [2]."""
        return torch.tensor([self.queue_idx, int(self.has_been_filled)])

    def set_extra_state(self, state: Any) -> None:
        """The inverse of `get_extra_state`."""
        self.queue_idx, self.has_been_filled = int(state[0]), bool(state[1])


class RememberingLoss(nn.Module):
    """A loss of pairs of a batch's image and one of the latest images, the batch's among them.

    Cross-batch memory (Wang, Zhang, Huang and Scott 2020).

    Args:
        loss: called with embeddings, labels, what the miner found, and embeddings and labels of the
            memory; returns a scalar tensor or a `LossValue`.
        miner: called with embeddings and labels of the batch and of the memory; all pairs where it
            is None.
        dimension: length of an embedding.
        size: embeddings that are remembered, at least those of a batch.
    """

    def __init__(self, loss: nn.Module, miner: nn.Module | None, dimension: int, size: int) -> None:
        super().__init__()
        self.memory = LatestImages(loss, dimension, memory_size=size, miner=miner)

    def forward(self, embeddings: Tensor, labels: Tensor) -> LossValue:
        """Loss of a batch: embeddings float32 [n, d], labels int64 [n]."""
        return as_value(self.memory(embeddings, labels))


def build(loss: nn.Module, miner: nn.Module | None, dimension: int, size: int) -> RememberingLoss:
    """See `lookalike.training.losses.table`."""
    return RememberingLoss(loss, miner, dimension, size)
