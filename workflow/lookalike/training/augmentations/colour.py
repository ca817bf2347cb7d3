"""Small changes of colour."""

from __future__ import annotations

from kornia.augmentation import ColorJitter

from lookalike.training.augmentations.chain import Change


def build(size: int, *, brightness: float, contrast: float, saturation: float) -> Change:
    """See `lookalike.training.augmentations.table`."""
    change: Change = ColorJitter(brightness, contrast, saturation, hue=0.0, p=1.0)
    return change
