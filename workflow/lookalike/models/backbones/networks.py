"""A backbone, which makes features of an image, and a head, which makes an embedding of these."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lookalike.errors import LookalikeError
from lookalike.jobs.torch_devices import one_thread
from lookalike.models.backbones.fusion import fused


@dataclass(frozen=True)
class Backbone:
    """What a network of the table that is a backbone is built as; a head is put on it.

    Attributes:
        network: from images float32 [n, 3, size, size] to features [n, n_features].
        n_features: that it makes.
        weights: what it came with: `none`, or the SHA-256 of the file.
    """

    network: nn.Module
    n_features: int
    weights: str


def features_by(backbone: nn.Module, images: Tensor) -> Tensor:
    """A backbone's features of images: float32 [n, 3, size, size] to float32 [n, n_features]."""
    features: Tensor = backbone(images)
    return features.flatten(1).float()


def embeddings_by(head: nn.Module, features: Tensor, *, normalize: bool) -> Tensor:
    """A head's embeddings of features: float32 [n, n_features] to float32 [n, d]."""
    # On several threads a CPU's matrix product may add up in another order.
    with nullcontext() if head.training else one_thread():
        embeddings: Tensor = head(features)
    # float32 whatever the precision of the layers: distances are differences of near equals.
    embeddings = embeddings.float()
    return F.normalize(embeddings, dim=1) if normalize else embeddings


class EmbeddingNetwork(nn.Module):
    """A backbone and a head: the embedding is the head's, of length 1 where `normalize` is set.

    Args:
        backbone: from images float32 [n, 3, size, size] to features [n, n_features].
        head: from these to [n, d].
        n_features: of the backbone.
        embedding_dim: d, the length of an embedding.
        normalize: scale embeddings to length 1.
        weights: what the backbone came with: `none`, or the SHA-256 of the file.
    """

    def __init__(
        self,
        backbone: nn.Module,
        head: nn.Module,
        *,
        n_features: int,
        embedding_dim: int,
        normalize: bool,
        weights: str,
    ) -> None:
        super().__init__()
        self.backbone, self.head = backbone, head
        self.n_features, self.embedding_dim = n_features, embedding_dim
        self.normalize, self.weights = normalize, weights

    def features(self, images: Tensor) -> Tensor:
        """The backbone's features of images: float32 [n, 3, size, size] to [n, n_features]."""
        return features_by(self.backbone, images)

    def embed_features(self, features: Tensor) -> Tensor:
        """The embeddings of features: float32 [n, n_features] to [n, embedding_dim]."""
        return embeddings_by(self.head, features, normalize=self.normalize)

    def forward(self, images: Tensor) -> Tensor:
        """Embed a batch: float32 [n, 3, size, size], standardised, to [n, embedding_dim]."""
        return self.embed_features(self.features(images))

    def for_embedding(self, image_size: int) -> EmbeddingNetwork:
        """The same network with less work to do, where it is not trained: see `fused`.

        Args:
            image_size: pixels on each side of its input.
        """
        network = fused(self.eval(), image_size)
        assert isinstance(network, EmbeddingNetwork)
        return network

    def without_head(self) -> EmbeddingNetwork:
        """The same backbone, whose features are the embeddings."""
        return EmbeddingNetwork(
            self.backbone,
            nn.Identity(),
            n_features=self.n_features,
            embedding_dim=self.n_features,
            normalize=self.normalize,
            weights=self.weights,
        )


def count_features(backbone: nn.Module, image_size: int, name: str) -> int:
    """How many features a backbone makes, told by sending one image through it.

    Raises:
        LookalikeError: it takes no images of this size, or makes no features [n, f] of them.
    """
    was_training = backbone.training
    try:
        with torch.inference_mode():
            features = backbone.eval()(torch.zeros(1, 3, image_size, image_size))
            shape = tuple(features.flatten(1).shape)
    except (RuntimeError, AssertionError, ValueError, AttributeError) as error:
        raise LookalikeError(
            f"model.backbone: {name} cannot be given images of {image_size} pixels: "
            f"{str(error).splitlines()[0] if str(error) else type(error).__name__}; set image.size "
            "in the recipe to what it takes"
        ) from error
    finally:
        backbone.train(was_training)
    return int(shape[1])
