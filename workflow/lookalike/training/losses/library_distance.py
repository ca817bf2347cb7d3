"""The Euclidean distance, for pytorch-metric-learning."""

from __future__ import annotations

from pytorch_metric_learning.distances import BaseDistance
from torch import Tensor

from lookalike.training.losses.distances import root, squared_distances


class Euclidean(BaseDistance):
    """Distances of embeddings as they are, for pytorch-metric-learning.

    Its own make embeddings unit vectors first, which would train another distance than is scored,
    and round near distances away in larger batches.
    """

    def __init__(self) -> None:
        super().__init__(normalize_embeddings=False)

    def compute_mat(self, query_emb: Tensor, ref_emb: Tensor) -> Tensor:
        """Distances within a batch [n, d]: [n, n]."""
        assert query_emb is ref_emb  # no loss here compares two batches
        return root(squared_distances(query_emb))
