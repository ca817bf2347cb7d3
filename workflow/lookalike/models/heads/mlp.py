"""Two fully connected layers."""

from __future__ import annotations

from torch import nn


def build(n_features: int, embedding_dim: int) -> nn.Module:
    """See `lookalike.models.heads.table`."""
    return nn.Sequential(
        nn.Linear(n_features, n_features), nn.ReLU(), nn.Linear(n_features, embedding_dim)
    )
