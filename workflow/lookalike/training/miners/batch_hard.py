"""The farthest positive and the nearest negative of each image, pytorch-metric-learning's."""

from __future__ import annotations

from pytorch_metric_learning.miners import BatchHardMiner
from torch import nn

from lookalike.training.losses.library_distance import Euclidean


def build() -> nn.Module:
    """See `lookalike.training.miners.table`."""
    miner: nn.Module = BatchHardMiner(distance=Euclidean())
    return miner
