"""Losses of pytorch-metric-learning that take embeddings and class numbers alone."""

from __future__ import annotations

from torch import Tensor, nn

from lookalike.training.losses.value import LossValue


class LibraryLoss(nn.Module):
    """A loss of the library's as the losses here are called.

    Args:
        loss: called with embeddings and class numbers; returns a scalar tensor.
    """

    def __init__(self, loss: nn.Module) -> None:
        super().__init__()
        self.loss = loss

    def forward(self, embeddings: Tensor, labels: Tensor) -> LossValue:
        """Loss of a batch: embeddings float32 [n, d], class numbers int64 [n]."""
        return LossValue(self.loss(embeddings, labels), None)
