"""Making the loss that a recipe names."""

from __future__ import annotations

import torch
from torch import nn

from lookalike.records import Chosen
from lookalike.training.losses.mined import MinedLoss
from lookalike.training.losses.record import Loss
from lookalike.training.losses.table import LOSSES
from lookalike.training.miners.table import MINERS


def build_loss(chosen: Chosen, n_classes: int, dimension: int, seed: int = 0) -> nn.Module:
    """Make the loss that a recipe's `loss` settings name.

    Args:
        chosen: the recipe's loss.
        n_classes: classes trained on.
        dimension: length of an embedding.
        seed: what a loss draws at random (proxies, say) depends on it and on nothing else; torch's
            random state is left alone.

    Returns:
        A module on the CPU, called with embeddings float32 [n, d] and class numbers int64 [n] of a
        whole batch, that returns a `LossValue`.

    Raises:
        LookalikeError: there is no such loss.
    """
    record: Loss = LOSSES[chosen.name]
    with torch.random.fork_rng(devices=[]):
        # The CPU's alone: `torch.manual_seed` would change that of a GPU too.
        torch.default_generator.manual_seed(seed)
        loss: nn.Module = record.load()(n_classes, dimension, **record.own(chosen.values))
    if record.miner is None:
        return loss
    miner = MINERS[record.miner]
    return MinedLoss(loss, miner.load()(**miner.own(chosen.values)))


def own_lr(chosen: Chosen) -> float | None:
    """Highest learning rate of the loss's own parameters; None where it has no such."""
    name = LOSSES[chosen.name].own_lr
    return None if name is None else float(chosen.values[name])
