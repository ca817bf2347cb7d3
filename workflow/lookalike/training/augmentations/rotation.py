"""Turning an image."""

from __future__ import annotations

from kornia.augmentation import RandomAffine

from lookalike.training.augmentations.chain import Change


def build(size: int, *, rotate: float) -> Change:
    """See `lookalike.training.augmentations.table`."""
    # The corners that a rotation uncovers repeat the image's edge.
    change: Change = RandomAffine(rotate, padding_mode="border", p=1.0)
    return change
