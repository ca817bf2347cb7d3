"""One fully connected layer."""

from __future__ import annotations

from torch import nn


def build(n_features: int, embedding_dim: int) -> nn.Module:
    """See `lookalike.models.heads.table`."""
    return nn.Linear(n_features, embedding_dim)
