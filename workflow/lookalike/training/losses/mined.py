"""A loss of those pairs or triplets of a batch that a miner chooses, or of all."""

from __future__ import annotations

from torch import Tensor, nn

from lookalike.training.losses.value import LossValue


class MinedLoss(nn.Module):
    """A loss of what a miner finds in the batch.

    Args:
        loss: called with embeddings, labels and what the miner found; returns a scalar tensor or a
            `LossValue`.
        miner: called with embeddings and labels; the loss takes all that it can where it is None.
    """

    def __init__(self, loss: nn.Module, miner: nn.Module | None) -> None:
        super().__init__()
        self.loss = loss
        self.miner = miner

    def forward(self, embeddings: Tensor, labels: Tensor) -> LossValue:
        """Loss of a batch: embeddings float32 [n, d], labels int64 [n]."""
        found = None if self.miner is None else self.miner(embeddings, labels)
        return as_value(self.loss(embeddings, labels, found))


def as_value(loss: Tensor | LossValue) -> LossValue:
    """What a loss returned, as a `LossValue`."""
    return loss if isinstance(loss, LossValue) else LossValue(loss, None)
