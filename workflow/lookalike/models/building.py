"""Making the network that settings name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from torch import nn

from lookalike.models.backbones.networks import Backbone, EmbeddingNetwork
from lookalike.models.backbones.sources import is_pretrained
from lookalike.models.heads.table import HEADS
from lookalike.models.settings import ModelSettings
from lookalike.models.table import MODELS


def build_model(settings: ModelSettings, image_size: int) -> nn.Module:
    """Make the network that a recipe's `model` settings name, as it is before it is trained.

    Random weights come from torch's global random state: seed it first.

    Args:
        settings: which network, and how.
        image_size: pixels on each side of its square input.

    Returns:
        A module on the CPU, from float32 [n, 3, image_size, image_size], normalised, to float32
        [n, d]; d is `embedding_dim_of` it.

    Raises:
        LookalikeError: there is no such network, or weights that it should start from are not
            there, or it takes no images of this size.
    """
    network = MODELS[settings.name]
    dimension, normalize, own = settings.embedding_dim, settings.normalize, dict(settings.own)
    if network.is_backbone:
        head = str(own.pop("head"))
        backbone: Backbone = network.load()(image_size, **own)
        return with_head(backbone, head, embedding_dim=dimension, normalize=normalize)
    model: nn.Module = network.load()(
        image_size, embedding_dim=dimension, normalize=normalize, **own
    )
    return model


def with_head(
    backbone: Backbone, head: str, *, embedding_dim: int, normalize: bool
) -> EmbeddingNetwork:
    """A backbone and a new head on it, with random weights.

    Args:
        backbone: what stands below.
        head: a name of `lookalike.models.heads.table`. Without one, an embedding is as long as the
            features are, whatever `embedding_dim` says.
        embedding_dim: length of an embedding.
        normalize: embeddings of length 1.
    """
    n_features = backbone.n_features
    length = n_features if head == "none" else embedding_dim
    return EmbeddingNetwork(
        backbone.network,
        HEADS[head].load()(n_features, length),
        n_features=n_features,
        embedding_dim=length,
        normalize=normalize,
        weights=backbone.weights,
    )


def embedding_dim_of(model: nn.Module, settings: ModelSettings) -> int:
    """How long the embeddings of a network are: without a head, as its features."""
    return int(getattr(model, "embedding_dim", settings.embedding_dim))


def before_training(
    model: nn.Module, settings: Mapping[str, Any], *, trains_head: bool
) -> tuple[nn.Module, dict[str, Any]]:
    """What a network is before its first training step, and the `model` settings that say so.

    A network with random weights is itself. What a pretrained backbone knows is in its features,
    which a new head would only blur: so it is the backbone without the head. So it is too where no
    head is trained, for nothing is: then the network is the same before and after.
    """
    if trains_head and not is_pretrained(settings):
        return model, dict(settings)
    return _without_head(model, settings)


def _without_head(
    model: nn.Module, settings: Mapping[str, Any]
) -> tuple[nn.Module, dict[str, Any]]:
    """The network whose embeddings are the features of a backbone, and its `model` settings."""
    bare = cast(EmbeddingNetwork, model).without_head()
    return bare, dict(settings) | {"head": "none", "embedding_dim": bare.embedding_dim}
