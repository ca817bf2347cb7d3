"""The miners by name. Imports none of them; see `lookalike.records`.

A builder is given the record's settings by keyword; what it returns is called with embeddings
float32 [n, d] and class numbers int64 [n], and with those of a memory [m, d] and [m] where a recipe
has one, and returns indices: see `lookalike.training.losses.pairs`. What it draws at random, it
draws by torch.
"""

from __future__ import annotations

from lookalike.records import Setting, Table
from lookalike.training.miners.record import Miner

_LIBRARY = ("pytorch-metric-learning",)
_LARGEST = 1_000_000

TRIPLET_MARGIN = Setting(
    "margin",
    float,
    0.1,
    "by how much a negative must be farther than a positive",
    above=0,
    maximum=1_000_000,
)
_HARDNESS = ("hard", "semihard", "easy", "all")

MINERS: Table[Miner] = Table(
    "miner.name",
    "miner",
    Miner(
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
    Miner(
        "multi_similarity",
        "lookalike.training.miners.multi_similarity:build",
        "of each image's pairs, those that are hard beside the hardest of the other kind",
        "Wang et al. 2019",
        (Setting("epsilon", float, 0.1, "mining margin", minimum=0, maximum=1_000_000),),
        libraries=_LIBRARY,
        angles=True,
    ),
    Miner(
        "batch_hard",
        "lookalike.training.miners.batch_hard:build",
        "of each image, the triplet with its farthest positive and its nearest negative",
        "Hermans, Beyer and Leibe 2017",
        libraries=_LIBRARY,
    ),
    Miner(
        "batch_easy_hard",
        "lookalike.training.miners.batch_easy_hard:build",
        "of each image, one positive and one negative as hard as is asked for, or all of a kind",
        "Xuan, Stylianou and Pless 2020",
        (
            Setting(
                "positives",
                str,
                "easy",
                "the farthest, the farthest that is nearer than the negative, the nearest, or all",
                choices=_HARDNESS,
            ),
            Setting(
                "negatives",
                str,
                "semihard",
                "the nearest, the nearest that is farther than the positive, the farthest, or all",
                choices=_HARDNESS,
            ),
        ),
        libraries=_LIBRARY,
    ),
    Miner(
        "pair_margin",
        "lookalike.training.miners.pair_margin:build",
        "positive pairs beyond a distance, and negative pairs nearer than one",
        "pytorch-metric-learning",
        (
            Setting(
                "pos_margin",
                float,
                0.2,
                "distance beyond which a positive pair is used",
                minimum=0,
                maximum=_LARGEST,
            ),
            Setting(
                "neg_margin",
                float,
                0.8,
                "distance below which a negative pair is used",
                above=0,
                maximum=_LARGEST,
            ),
        ),
        libraries=_LIBRARY,
    ),
    Miner(
        "distance_weighted",
        "lookalike.training.miners.distance_weighted:build",
        "triplets whose negatives are drawn so that all distances come equally often",
        "Wu, Manmatha, Smola and Krähenbühl 2017",
        (
            Setting(
                "cutoff",
                float,
                0.5,
                "distance below which all are taken to be as near",
                above=0,
                below=2,
            ),
            Setting(
                "nonzero_loss_cutoff",
                float,
                1.4,
                "distance from which on no negative is drawn",
                above=0,
                maximum=2,
            ),
        ),
        libraries=_LIBRARY,
        angles=True,
    ),
    Miner(
        "angular",
        "lookalike.training.miners.angular:build",
        "triplets that form a large angle at the negative",
        "Wang, Zhou, Wen, Liu and Lin 2017",
        (
            Setting(
                "angle", float, 20.0, "degrees beyond which a triplet is used", minimum=0, below=90
            ),
        ),
        libraries=_LIBRARY,
        angles=True,
    ),
    Miner(
        "hdc",
        "lookalike.training.miners.hdc:build",
        "the hardest share of all positive pairs, and that of all negative ones",
        "Yuan, Yang and Zhang 2017",
        (Setting("share", float, 0.5, "of the pairs of a kind", above=0, maximum=1),),
        libraries=_LIBRARY,
    ),
    Miner(
        "uniform_histogram",
        "lookalike.training.miners.uniform_histogram:build",
        "pairs drawn so that all distances come equally often",
        "pytorch-metric-learning",
        (
            Setting("bins", int, 100, "of equal width, of distances", minimum=1, maximum=10_000),
            Setting("positives_per_bin", int, 10, "drawn", minimum=1, maximum=10_000),
            Setting("negatives_per_bin", int, 10, "drawn", minimum=1, maximum=10_000),
        ),
        libraries=_LIBRARY,
    ),
)

OWN, NONE = "own", "none"
MINER_CHOICES: Table[Miner] = Table(
    "miner.name",
    "miner",
    Miner(
        OWN,
        "",
        "the miner that the loss was published with, if any; its settings are the loss's",
        "",
    ),
    Miner(NONE, "", "all pairs or triplets of the batch", ""),
    *MINERS,
)
"""What a recipe's `miner` chooses from; for the first two, nothing is built by that name."""
