"""Of each image one positive and one negative, or all of a kind, pytorch-metric-learning's."""

from __future__ import annotations

from pytorch_metric_learning.miners import BatchEasyHardMiner
from torch import nn

from lookalike.training.losses.library_distance import Euclidean


def build(*, positives: str, negatives: str) -> nn.Module:
    """See `lookalike.training.miners.table`."""
    miner: nn.Module = BatchEasyHardMiner(
        pos_strategy=positives, neg_strategy=negatives, distance=Euclidean()
    )
    return miner
