"""Making the loss that a recipe names."""

from __future__ import annotations

import torch
from torch import nn

from lookalike.records import Chosen
from lookalike.training.losses.mined import MinedLoss
from lookalike.training.losses.record import Loss
from lookalike.training.losses.table import LOSSES, MEMORY
from lookalike.training.miners.table import OWN

OWN_MINER = Chosen(OWN, {})


def build_loss(
    chosen: Chosen,
    n_classes: int,
    dimension: int,
    seed: int = 0,
    *,
    miner: Chosen = OWN_MINER,
    memory: int = 0,
) -> nn.Module:
    """Make the loss that a recipe's `loss`, `miner` and `memory` settings name.

    Args:
        chosen: the recipe's loss.
        n_classes: classes trained on.
        dimension: length of an embedding.
        seed: what a loss draws at random (proxies, say) depends on it and on nothing else; torch's
            random state is left alone.
        miner: the recipe's miner.
        memory: embeddings of past images to compare with.

    Returns:
        A module on the CPU, called with embeddings float32 [n, d] and class numbers int64 [n] of a
        whole batch, that returns a `LossValue`.

    Raises:
        LookalikeError: there is no such loss, or no such miner.
    """
    record: Loss = LOSSES[chosen.name]
    with torch.random.fork_rng(devices=[]):
        # The CPU's alone: `torch.manual_seed` would change that of a GPU too.
        torch.default_generator.manual_seed(seed)
        loss: nn.Module = record.load()(n_classes, dimension, **record.own(chosen.values))
    if not record.takes_miner:
        return loss
    of_miner = record.miner_of(miner.name)
    # The settings of a loss's own miner stand beside the loss's.
    values = chosen.values if miner.name == OWN else miner.values
    built = of_miner.load()(**of_miner.own(values)) if of_miner else None
    if not memory:
        return MinedLoss(loss, built)
    remembering: nn.Module = MEMORY.load()(loss, built, dimension, memory)
    return remembering


def own_lr(chosen: Chosen) -> float | None:
    """Highest learning rate of the loss's own parameters; None where it has no such."""
    name = LOSSES[chosen.name].own_lr
    return None if name is None else float(chosen.values[name])
