"""What is said of a network. Imports nothing heavy: rules read it."""

from __future__ import annotations

from dataclasses import dataclass

from lookalike.records import Variant


@dataclass(frozen=True)
class Network(Variant):
    """A network that a recipe can name.

    Attributes:
        is_backbone: it is a backbone and a head (see `lookalike.models.backbones.networks`), and
            brings the image settings that it was made for (see `backbones.images` there).
    """

    is_backbone: bool = False
