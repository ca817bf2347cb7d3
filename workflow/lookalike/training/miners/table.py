"""The miners by name. Imports none of them; see `lookalike.records`.

A loss names its miner. A builder is given the record's settings by keyword; what it returns is
called with embeddings float32 [n, d] and class numbers int64 [n], and returns indices into them.
"""

from __future__ import annotations

from lookalike.records import Setting, Table, Variant

_LIBRARY = ("pytorch-metric-learning",)

TRIPLET_MARGIN = Setting(
    "margin",
    float,
    0.1,
    "by how much a negative must be farther than a positive",
    above=0,
    maximum=1_000_000,
)

MINERS: Table[Variant] = Table(
    "loss",
    "miner",
    Variant(
        "triplet_margin",
        "lookalike.training.miners.triplet_margin:build",
        "all triplets, those whose margin is not kept, or those in the wrong order",
        "Schroff, Kalenichenko and Philbin 2015",
        (
            TRIPLET_MARGIN,
            Setting(
                "mining",
                str,
                "semihard",
                "which triplets of the batch are used",
                choices=("all", "semihard", "hard"),
            ),
        ),
        libraries=_LIBRARY,
    ),
    Variant(
        "multi_similarity",
        "lookalike.training.miners.multi_similarity:build",
        "of each image's pairs, those that are hard beside the hardest of the other kind",
        "Wang et al. 2019",
        (Setting("epsilon", float, 0.1, "mining margin", minimum=0, maximum=1_000_000),),
        libraries=_LIBRARY,
    ),
)
