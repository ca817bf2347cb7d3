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
        """Distances of [n, d] to [m, d]: [n, m]; gradients flow to the first alone, or to one."""
        return root(squared_distances(query_emb, None if ref_emb is query_emb else ref_emb))
