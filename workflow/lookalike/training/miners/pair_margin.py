"""Pairs that lie on the wrong side of a distance, pytorch-metric-learning's."""

from __future__ import annotations

from pytorch_metric_learning.miners import PairMarginMiner
from torch import nn

from lookalike.training.losses.library_distance import Euclidean


def build(*, pos_margin: float, neg_margin: float) -> nn.Module:
    """See `lookalike.training.miners.table`."""
    miner: nn.Module = PairMarginMiner(
        pos_margin=pos_margin, neg_margin=neg_margin, distance=Euclidean()
    )
    return miner
