"""The networks by name. Imports none of them; see `lookalike.records`.

A builder is given the size of an image in pixels and the record's settings by keyword, and returns
a `torch.nn.Module` from float32 [n, 3, size, size] to float32 [n, embedding_dim], of length 1 where
`normalize` is set. Every network has these two settings.
"""

from __future__ import annotations

from lookalike.records import Setting, Table, Variant

MODELS: Table[Variant] = Table(
    "model.name",
    "network",
    Variant(
        "cnn4",
        "lookalike.models.cnn4:build",
        "four 3x3 convolutions and one fully connected layer",
        "the seed document",
        (
            Setting("embedding_dim", int, 128, "length of an embedding", minimum=2, maximum=4096),
            Setting("batch_norm", bool, True, "batch normalisation after each convolution"),
            Setting(
                "normalize",
                bool,
                True,
                "embeddings of length 1, compared by cosine; otherwise by Euclidean distance",
            ),
        ),
    ),
)
