"""Triplets of a batch by their margin, pytorch-metric-learning's."""

from __future__ import annotations

from pytorch_metric_learning.miners import TripletMarginMiner
from torch import nn

from lookalike.training.losses.library_distance import Euclidean


def build(*, margin: float, mining: str) -> nn.Module:
    """See `lookalike.training.miners.table`."""
    miner: nn.Module = TripletMarginMiner(
        margin=margin, type_of_triplets=mining, distance=Euclidean()
    )
    return miner
