"""The losses by name. Imports none of them; see `lookalike.records`.

A builder is given the number of classes trained on, the length of an embedding, and the record's
settings by keyword. What it returns is called with embeddings float32 [n, d] and class numbers
int64 [n], 0 up to the number of classes, of a whole batch, and compares as the score will: by
Euclidean distance of embeddings as they are, or (`angles`) by the cosine of embeddings of length 1.
It returns a `lookalike.training.losses.value.LossValue`. It may be a `torch.nn.Module` with
parameters. One that `takes_miner` is called with what a miner found as well, or None for all there
is (see `lookalike.training.losses.pairs`), and may return a scalar tensor; one that `takes_memory`
may be called with embeddings [m, d] and class numbers [m] of the memory besides, which the second
of a pair, or the second and third of a triplet, then are indices into.
"""

from __future__ import annotations

from lookalike.records import Setting, Table, Variant
from lookalike.training.losses.record import Loss
from lookalike.training.miners.table import TRIPLET_MARGIN

_LIBRARY = ("pytorch-metric-learning",)
_LARGEST = 1_000_000


def _proxy_lr(default: float) -> Setting:
    """The setting that every loss with parameters has."""
    meaning = "highest learning rate of the proxies"
    return Setting("proxy_lr", float, default, meaning, above=0, maximum=_LARGEST)


def _temperature(default: float) -> Setting:
    """The setting of what a softmax or a sigmoid is taken of."""
    meaning = "cosines are divided by it"
    return Setting("temperature", float, default, meaning, above=0, maximum=_LARGEST)


def _angle(default: float) -> Setting:
    """The setting of a margin that is added to an angle."""
    meaning = "degrees that the angle to the own class's centre is made wider by"
    return Setting("margin", float, default, meaning, minimum=0, maximum=180)


def _scale(default: float) -> Setting:
    """The setting of what a softmax is taken of."""
    meaning = "what similarities are multiplied by"
    return Setting("scale", float, default, meaning, above=0, maximum=_LARGEST)


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
                "over all pairs, or over the positive and over the active negative pairs apart, "
                "without pairs of distance 0 (nonzero) or with them (separate)",
                choices=("all", "separate", "nonzero"),
            ),
            Setting(
                "power",
                int,
                2,
                "of the distance that a positive pair costs, and of what a negative one lacks",
                minimum=1,
                maximum=2,
            ),
        ),
        takes_miner=True,
        takes_memory=True,
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
        takes_miner=True,
        takes_memory=True,
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
        takes_miner=True,
        takes_memory=True,
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
        takes_miner=True,
        takes_memory=True,
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
            _proxy_lr(0.1),
        ),
        libraries=_LIBRARY,
        angles=True,
        own_lr="proxy_lr",
        compares_images=False,
        remedy="raise loss.margin, or lower loss.alpha",
    ),
    Loss(
        "supcon",
        "lookalike.training.losses.supcon:build",
        "cross entropy of each image's positives among all others of the batch",
        "Khosla et al. 2020",
        (_temperature(0.1),),
        libraries=_LIBRARY,
        angles=True,
        takes_miner=True,
        takes_memory=True,
        remedy="raise loss.temperature",
    ),
    Loss(
        "circle",
        "lookalike.training.losses.circle:build",
        "pairs weigh the more the farther their cosine is from its goal",
        "Sun et al. 2020",
        (
            Setting(
                "margin",
                float,
                0.4,
                "of positives from 1, of negatives from 0",
                minimum=-1,
                maximum=1,
            ),
            Setting("gamma", float, 80.0, "how steeply the cost rises", above=0, maximum=_LARGEST),
        ),
        libraries=_LIBRARY,
        angles=True,
        takes_miner=True,
        takes_memory=True,
        remedy="lower loss.margin or loss.gamma",
    ),
    Loss(
        "lifted_structure",
        "lookalike.training.losses.lifted_structure:build",
        "each positive pair against all negatives of both of its images",
        "Oh Song, Xiang, Jegelka and Savarese 2016",
        (
            Setting(
                "margin",
                float,
                1.0,
                "by how much negatives should be farther than the positive",
                above=0,
                maximum=_LARGEST,
            ),
        ),
        takes_miner=True,
        remedy="raise loss.margin",
    ),
    Loss(
        "fastap",
        "lookalike.training.losses.fastap:build",
        "average precision by a histogram of distances",
        "Cakir, He, Xia, Kulis and Sclaroff 2019",
        (Setting("bins", int, 10, "of the histogram", minimum=2, maximum=1000),),
        libraries=_LIBRARY,
        angles=True,
        remedy="lower loss.bins",
    ),
    Loss(
        "smooth_ap",
        "lookalike.training.losses.smooth_ap:build",
        "average precision with a sigmoid in place of each comparison",
        "Brown, Xie, Kalogeiton and Zisserman 2020",
        (_temperature(0.01),),
        angles=True,
        equal_counts=True,
        remedy="raise loss.temperature",
    ),
    Loss(
        "arcface",
        "lookalike.training.losses.arcface:build",
        "classification by the angle to a learnt centre of each class, with a margin",
        "Deng, Guo, Xue and Zafeiriou 2019",
        (_angle(28.6), _scale(64.0), _proxy_lr(0.01)),
        libraries=_LIBRARY,
        angles=True,
        own_lr="proxy_lr",
        compares_images=False,
        remedy="raise loss.margin, or lower loss.scale",
    ),
    Loss(
        "subcenter_arcface",
        "lookalike.training.losses.subcenter_arcface:build",
        "as arcface, with several centres of a class, the nearest of which counts",
        "Deng, Guo, Liu, Gong and Zafeiriou 2020",
        (
            _angle(28.6),
            _scale(64.0),
            Setting("centers", int, 3, "centres of each class", minimum=1, maximum=1000),
            _proxy_lr(0.01),
        ),
        libraries=_LIBRARY,
        angles=True,
        own_lr="proxy_lr",
        compares_images=False,
        remedy="raise loss.margin, or lower loss.scale",
    ),
    Loss(
        "softtriple",
        "lookalike.training.losses.softtriple:build",
        "classification by the similarity to the nearest, softly, of learnt centres of each class",
        "Qian et al. 2019",
        (
            Setting("centers", int, 10, "centres of each class", minimum=1, maximum=1000),
            _scale(20.0),
            Setting(
                "gamma",
                float,
                0.1,
                "temperature of the softmax over a class's centres",
                above=0,
                maximum=_LARGEST,
            ),
            Setting(
                "margin",
                float,
                0.01,
                "by how much the own class should be more similar",
                minimum=0,
                maximum=2,
            ),
            Setting(
                "tau",
                float,
                0.2,
                "pull of a class's centres to each other",
                minimum=0,
                maximum=_LARGEST,
            ),
            _proxy_lr(0.01),
        ),
        libraries=_LIBRARY,
        angles=True,
        own_lr="proxy_lr",
        compares_images=False,
        remedy="raise loss.margin, or lower loss.scale",
    ),
    Loss(
        "proxy_nca",
        "lookalike.training.losses.proxy_nca:build",
        "ProxyNCA++: classification by the distance to a learnt proxy of each class",
        "Teh, DeVries and Taylor 2020",
        (_scale(9.0), _proxy_lr(0.1)),
        angles=True,
        own_lr="proxy_lr",
        compares_images=False,
        remedy="lower loss.scale",
    ),
)

MEMORY = Variant(
    "memory",
    "lookalike.training.losses.remembering:build",
    "a loss of pairs of a batch's image and one of the latest images",
    "Wang, Zhang, Huang and Scott 2020",
    libraries=_LIBRARY,
)
"""What a loss is put into where a recipe's `memory` is not 0."""
