"""One fully connected layer after batch normalisation."""

from __future__ import annotations

from torch import nn


def build(n_features: int, embedding_dim: int) -> nn.Module:
    """See `lookalike.models.heads.table`."""
    return nn.Sequential(nn.BatchNorm1d(n_features), nn.Linear(n_features, embedding_dim))
