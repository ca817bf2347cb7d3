"""Taking a part of an image."""

from __future__ import annotations

import math

from kornia.augmentation import RandomResizedCrop

from lookalike.training.augmentations.chain import Change


def build(size: int, *, scale: float, aspect: float) -> Change:
    """See `lookalike.training.augmentations.table`."""
    stretch = math.log1p(aspect)
    ratio = (math.exp(-stretch), math.exp(stretch))
    change: Change = RandomResizedCrop((size, size), (scale, 1.0), ratio)
    return change
