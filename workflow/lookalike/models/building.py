"""Making the network that settings name."""

from __future__ import annotations

from torch import nn

from lookalike.models.settings import ModelSettings
from lookalike.models.table import MODELS


def build_model(settings: ModelSettings, image_size: int) -> nn.Module:
    """Make the network that a recipe's `model` settings name, with fresh random weights.

    The weights come from torch's global random state: seed it first.

    Args:
        settings: which network, and how.
        image_size: pixels on each side of its square input.

    Returns:
        A module on the CPU, from float32 [n, 3, image_size, image_size], normalised, to float32 [n,
        embedding_dim].

    Raises:
        LookalikeError: there is no such network.
    """
    build = MODELS[settings.name].load()
    model: nn.Module = build(
        image_size,
        embedding_dim=settings.embedding_dim,
        normalize=settings.normalize,
        **settings.own,
    )
    return model
