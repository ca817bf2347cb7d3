"""Negatives drawn so that all distances come as often, pytorch-metric-learning's."""

from __future__ import annotations

from pytorch_metric_learning.miners import DistanceWeightedMiner
from torch import nn


def build(*, cutoff: float, nonzero_loss_cutoff: float) -> nn.Module:
    """See `lookalike.training.miners.table`."""
    miner: nn.Module = DistanceWeightedMiner(cutoff=cutoff, nonzero_loss_cutoff=nonzero_loss_cutoff)
    return miner
