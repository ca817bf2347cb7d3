"""A network whose weights are the running mean of a trained one's."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


def decay_after(updates: int, decay: float) -> float:
    """What share of the mean stays in an update: less at first, when the weights change most.

    So the mean of a short training is not that of its beginning.

    Args:
        updates: of the mean before this one.
        decay: the share in the long run.
    """
    return min(decay, (1 + updates) / (10 + updates))


class Average:
    """An exponential moving average of a network's weights, and of its running statistics.

    Attributes:
        network: has these weights. What is no floating-point number (a count of batches) is the
            trained network's.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        """Begin with the weights of `network`, on its device."""
        self.decay = decay
        self.network = copy.deepcopy(network).requires_grad_(False)

    @torch.no_grad()
    def update(self, network: nn.Module, updates: int) -> None:
        """Take in the weights of the trained network after a step.

        Args:
            network: the trained one.
            updates: made before this one: the steps of the whole training.
        """
        means = self.network.state_dict()
        old, new = list[Tensor](), list[Tensor]()
        for name, value in network.state_dict().items():
            if value.is_floating_point():
                old.append(means[name])
                new.append(value)
            else:
                means[name].copy_(value)
        average = get_ema_multi_avg_fn(decay_after(updates, self.decay))  # type: ignore[no-untyped-call]
        average(old, new, None)
