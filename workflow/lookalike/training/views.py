"""Random changes of an image that are the same whenever and among whatever they are made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from lookalike.embedding.filling import Change
from lookalike.images.normalisation import scale
from lookalike.training.augmentation import augment, build_augmentation


def view_changes(view: int, changes: Mapping[str, float], size: int) -> Change:
    """Random changes of images, each a function of the image's content and the view's number.

    Args:
        view: 1 for the first changed view.
        changes: a recipe's `augment` mapping.
        size: pixels on each side.
    """
    transform = build_augmentation(changes, size)

    def change(pixels: NDArray[np.uint8], sha256s: Sequence[str]) -> NDArray[np.uint8]:
        out = np.empty_like(pixels)
        for row, sha256 in enumerate(sha256s):
            seed = int(np.random.SeedSequence([int(sha256, 16), view]).generate_state(1)[0])
            image = scale(torch.from_numpy(pixels[row : row + 1]))
            changed = augment(image, transform, seed).mul(255).round().to(torch.uint8)
            out[row] = changed[0].permute(1, 2, 0).numpy()
        return out

    return change
