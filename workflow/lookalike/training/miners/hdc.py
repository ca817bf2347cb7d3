"""A share of the pairs, the hardest, pytorch-metric-learning's."""

from __future__ import annotations

from pytorch_metric_learning.miners import HDCMiner
from torch import nn

from lookalike.training.losses.library_distance import Euclidean


def build(*, share: float) -> nn.Module:
    """See `lookalike.training.miners.table`."""
    miner: nn.Module = HDCMiner(filter_percentage=share, distance=Euclidean())
    return miner
