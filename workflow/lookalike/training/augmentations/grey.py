"""Losing all colour."""

from __future__ import annotations

from kornia.augmentation import RandomGrayscale

from lookalike.training.augmentations.chain import Change


def build(size: int, *, grayscale: float) -> Change:
    """See `lookalike.training.augmentations.table`."""
    change: Change = RandomGrayscale(p=grayscale)
    return change
