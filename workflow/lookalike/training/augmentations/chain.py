"""Kornia's transforms, one after the other."""

from __future__ import annotations

from collections.abc import Sequence

from kornia.augmentation import AugmentationBase2D as Change
from kornia.augmentation import AugmentationSequential
from torch import nn

__all__ = ["Change", "chained"]


def chained(changes: Sequence[Change]) -> nn.Module:
    """All changes, in order, as one module with `forward_parameters` (see `..augmentation`)."""
    chain: nn.Module = AugmentationSequential(*changes)
    return chain
