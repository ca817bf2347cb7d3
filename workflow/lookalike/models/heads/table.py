"""The heads by name. Imports none of them; see `lookalike.records`.

A builder is given the number of a backbone's features and the length of an embedding, and returns a
`torch.nn.Module` from float32 [n, n_features] to float32 [n, embedding_dim].
"""

from __future__ import annotations

from lookalike.records import Table, Variant

HEADS: Table[Variant] = Table(
    "model.head",
    "head",
    Variant(
        "none",
        "lookalike.models.heads.none:build",
        "the features are the embeddings, as long as they are",
        "torch",
    ),
    Variant("linear", "lookalike.models.heads.linear:build", "one fully connected layer", "torch"),
    Variant(
        "bn_linear",
        "lookalike.models.heads.bn_linear:build",
        "one fully connected layer after batch normalisation",
        "torch",
    ),
    Variant(
        "mlp",
        "lookalike.models.heads.mlp:build",
        "two fully connected layers with ReLU between, the first as wide as the features",
        "torch",
    ),
)
