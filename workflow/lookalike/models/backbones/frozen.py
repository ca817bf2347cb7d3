"""The two parts of a network whose backbone is left as it came.

The features that such a backbone makes of an image serve every head that is put on it. So they are
computed once and kept, and a head is trained on, and applied to, what is kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from lookalike.models.backbones.fusion import fused
from lookalike.models.backbones.networks import (
    EmbeddingNetwork,
    embeddings_by,
    features_by,
)
from lookalike.models.packing import packed
from lookalike.storage.digests import digest_of

# What of the settings of a network decides the features.
_OF_BACKBONE = ("name", "backbone", "pooling")


class FeaturePart(nn.Module):
    """The backbone: float32 [n, 3, size, size], standardised, to float32 [n, n_features].

    Args:
        backbone: of a network, which shares its parameters.
    """

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, images: Tensor) -> Tensor:
        """See the class."""
        return features_by(self.backbone, images)

    def for_embedding(self, image_size: int) -> FeaturePart:
        """The same with less work to do; see `EmbeddingNetwork.for_embedding`."""
        return FeaturePart(fused(self.backbone.eval(), image_size))


class HeadPart(nn.Module):
    """The head and what follows it: float32 [n, n_features] to float32 [n, embedding_dim].

    Args:
        head: of a network, which shares its parameters.
        normalize: scale embeddings to length 1.
    """

    def __init__(self, head: nn.Module, *, normalize: bool) -> None:
        super().__init__()
        self.head, self.normalize = head, normalize

    @classmethod
    def of(cls, network: EmbeddingNetwork) -> HeadPart:
        """That of a network."""
        return cls(network.head, normalize=network.normalize)

    def forward(self, features: Tensor) -> Tensor:
        """See the class."""
        return embeddings_by(self.head, features, normalize=self.normalize)


def features_digest(
    network: EmbeddingNetwork, settings: Mapping[str, Any], image: Mapping[str, Any]
) -> str:
    """32 hexadecimal digits of what decides the features of an image, beside the code.

    Args:
        network: whose backbone it is.
        settings: the recipe's `model` mapping.
        image: the image settings.
    """
    parts = {
        "weights": hashlib.sha256(packed(network.backbone)).hexdigest(),
        "model": {key: settings[key] for key in _OF_BACKBONE},
        "image": dict(image),
    }
    return digest_of(parts, length=32)
