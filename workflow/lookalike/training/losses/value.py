"""What a loss is called for."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


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
