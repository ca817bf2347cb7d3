"""Mirror images."""

from __future__ import annotations

from kornia.augmentation import RandomHorizontalFlip

from lookalike.training.augmentations.chain import Change


def build(size: int, *, flip: float) -> Change:
    """See `lookalike.training.augmentations.table`."""
    change: Change = RandomHorizontalFlip(p=flip)
    return change
