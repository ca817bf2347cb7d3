"""Triplets of a large angle at the negative, pytorch-metric-learning's."""

from __future__ import annotations

from pytorch_metric_learning.miners import AngularMiner
from torch import nn


def build(*, angle: float) -> nn.Module:
    """See `lookalike.training.miners.table`."""
    miner: nn.Module = AngularMiner(angle=angle)
    return miner
