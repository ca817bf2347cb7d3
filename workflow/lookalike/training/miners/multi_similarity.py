"""Hard pairs of each image, pytorch-metric-learning's."""

from __future__ import annotations

from pytorch_metric_learning.miners import MultiSimilarityMiner
from torch import nn


def build(*, epsilon: float) -> nn.Module:
    """See `lookalike.training.miners.table`."""
    miner: nn.Module = MultiSimilarityMiner(epsilon=epsilon)
    return miner
