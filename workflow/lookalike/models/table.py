"""The networks by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lookalike.errors import LookalikeError
from lookalike.models.cnn4 import ImageSimilarityModel


def build_model(settings: Mapping[str, Any], image_size: int) -> ImageSimilarityModel:
    """Make the network that a recipe's `model` settings name, with fresh random weights.

    The weights come from torch's global random state: seed it first.
    """
    if settings["name"] != "cnn4":
        raise LookalikeError(f"model.name: there is no network {settings['name']!r}; known: cnn4")
    return ImageSimilarityModel(
        image_size,
        settings["embedding_dim"],
        batch_norm=settings["batch_norm"],
        normalize=settings["normalize"],
    )


def score_of(settings: Mapping[str, Any]) -> str:
    """How embeddings of a model with these `model` settings are compared."""
    return "cosine" if settings["normalize"] else "euclidean"
