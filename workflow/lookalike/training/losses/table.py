"""The losses by name. Imports none of them; see `lookalike.records`.

A builder is given the number of classes trained on, the length of an embedding, and the record's
settings by keyword. What it returns is called with embeddings float32 [n, d] and class numbers
int64 [n], 0 up to the number of classes, of a whole batch, and compares as the score will: by
Euclidean distance of embeddings as they are, or (`angles`) by the cosine of embeddings of length 1.
It returns a `lookalike.training.losses.value.LossValue`; with a miner, it is called with the tuples
that this found as well and returns a scalar tensor. It may be a `torch.nn.Module` with parameters.
"""

from __future__ import annotations

from lookalike.records import Setting, Table
from lookalike.training.losses.record import Loss
from lookalike.training.miners.table import TRIPLET_MARGIN

_LIBRARY = ("pytorch-metric-learning",)
_LARGEST = 1_000_000


LOSSES: Table[Loss] = Table(
    "loss.name",
    "loss",
    Loss(
        "contrastive",
        "lookalike.training.losses.contrastive:build",
        "pulls pairs of one class together, and pushes others apart up to a margin",
        "Hadsell, Chopra and LeCun 2006",
        (
            Setting(
                "margin",
                float,
                0.8,
                "distance beyond which a negative pair costs nothing",
                above=0,
                maximum=_LARGEST,
            ),
            Setting(
                "mean",
                str,
                "separate",
                "over all pairs, or over the positive and over the active negative pairs apart",
                choices=("all", "separate"),
            ),
        ),
        remedy="raise loss.margin",
    ),
    Loss(
        "triplet",
        "lookalike.training.losses.triplet:build",
        "an image's own class must be nearer than others by a margin",
        "Schroff, Kalenichenko and Philbin 2015",
        (TRIPLET_MARGIN,),
        libraries=_LIBRARY,
        miner="triplet_margin",
        remedy="raise loss.margin, or take loss.mining: all",
    ),
    Loss(
        "multi_similarity",
        "lookalike.training.losses.multi_similarity:build",
        "hard pairs, beside the hardest of the other kind, weigh the more the harder they are",
        "Wang et al. 2019",
        (
            Setting("alpha", float, 2.0, "weight of positive pairs", above=0, maximum=_LARGEST),
            Setting("beta", float, 50.0, "weight of negative pairs", above=0, maximum=_LARGEST),
            Setting("base", float, 0.5, "similarity at which both begin", minimum=-1, maximum=1),
        ),
        libraries=_LIBRARY,
        angles=True,
        miner="multi_similarity",
        remedy="raise loss.epsilon",
    ),
    Loss(
        "ntxent",
        "lookalike.training.losses.ntxent:build",
        "normalised temperature-scaled cross entropy of each positive pair among the negative ones",
        "Chen, Kornblith, Norouzi and Hinton 2020",
        (
            Setting(
                "temperature",
                float,
                0.1,
                "the softmax's temperature",
                above=0,
                maximum=_LARGEST,
            ),
        ),
        angles=True,
        remedy="raise loss.temperature",
    ),
    Loss(
        "proxy_anchor",
        "lookalike.training.losses.proxy_anchor:build",
        "compares images with a learnt proxy of each class, not with each other",
        "Kim, Kim, Cho and Kwak 2020",
        (
            Setting(
                "margin",
                float,
                0.1,
                "by how much cosines to the own class's proxy should be above 0, to others below",
                minimum=-1,
                maximum=1,
            ),
            Setting("alpha", float, 32.0, "how steeply the cost rises", above=0, maximum=_LARGEST),
            Setting(
                "proxy_lr",
                float,
                0.1,
                "highest learning rate of the proxies",
                above=0,
                maximum=_LARGEST,
            ),
        ),
        libraries=_LIBRARY,
        angles=True,
        own_lr="proxy_lr",
        compares_images=False,
        remedy="raise loss.margin, or lower loss.alpha",
    ),
)
