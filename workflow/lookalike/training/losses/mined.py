"""A loss of those pairs or triplets of a batch that a miner chooses."""

from __future__ import annotations

from torch import Tensor, nn

from lookalike.training.losses.value import LossValue


class MinedLoss(nn.Module):
    """A loss of what a miner finds in the batch.

    Args:
        loss: called with embeddings, labels and what the miner found; returns a scalar tensor.
        miner: called with embeddings and labels.
    """

    def __init__(self, loss: nn.Module, miner: nn.Module) -> None:
        super().__init__()
        self.loss = loss
        self.miner = miner

    def forward(self, embeddings: Tensor, labels: Tensor) -> LossValue:
        """Loss of a batch: embeddings float32 [n, d], labels int64 [n]."""
        return LossValue(self.loss(embeddings, labels, self.miner(embeddings, labels)), None)
