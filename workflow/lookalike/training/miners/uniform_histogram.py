"""Pairs drawn so that all distances come as often, pytorch-metric-learning's."""

from __future__ import annotations

from pytorch_metric_learning.miners import UniformHistogramMiner
from torch import nn

from lookalike.training.losses.library_distance import Euclidean


def build(*, bins: int, positives_per_bin: int, negatives_per_bin: int) -> nn.Module:
    """See `lookalike.training.miners.table`."""
    miner: nn.Module = UniformHistogramMiner(
        num_bins=bins,
        pos_per_bin=positives_per_bin,
        neg_per_bin=negatives_per_bin,
        distance=Euclidean(),
    )
    return miner
