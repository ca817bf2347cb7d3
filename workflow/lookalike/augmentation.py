"""Random changes to training images, a whole batch at a time, by kornia."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import kornia.augmentation as K
import torch
from torch import Tensor, nn


def build_augmentation(settings: Mapping[str, Any], size: int) -> nn.Module | None:
    """The chain of transforms that a recipe's `augment` settings ask for.

    Args:
        settings: the recipe's `augment` mapping; a change whose value is 0 (for `scale`, 1) is
            left out of the chain.
        size: pixels on each side, before and after.

    Returns:
        A module over float32 [n, 3, size, size] in 0..1; None where nothing is to be changed.
    """
    steps: list[K.AugmentationBase2D] = []
    if settings["rotate"]:
        # The corners that a rotation uncovers repeat the image's edge.
        steps.append(K.RandomAffine(settings["rotate"], padding_mode="border", p=1.0))
    if settings["scale"] < 1 or settings["aspect"]:
        stretch = math.log1p(settings["aspect"])
        ratio = (math.exp(-stretch), math.exp(stretch))
        steps.append(K.RandomResizedCrop((size, size), (settings["scale"], 1.0), ratio))
    if settings["flip"]:
        steps.append(K.RandomHorizontalFlip(p=settings["flip"]))
    jitter = [settings[name] for name in ("brightness", "contrast", "saturation")]
    if any(jitter):
        steps.append(K.ColorJitter(*jitter, hue=0.0, p=1.0))
    if settings["grayscale"]:
        steps.append(K.RandomGrayscale(p=settings["grayscale"]))
    return K.AugmentationSequential(*steps) if steps else None


def augment(images: Tensor, transform: nn.Module | None, seed: int) -> Tensor:
    """Change each image of a batch in its own way.

    Args:
        images: float32 [n, 3, size, size] in 0..1, on any device.
        transform: from `build_augmentation`.
        seed: the changes depend on it and on nothing else; torch's random state is left alone.

    Returns:
        float32 [n, 3, size, size] in 0..1.
    """
    if transform is None:
        return images
    devices = [] if images.device.type == "cpu" else [images.device]
    with torch.random.fork_rng(devices=devices, device_type=images.device.type), torch.no_grad():
        torch.manual_seed(seed)
        changed: Tensor = transform(images)
    return changed.clamp(0, 1)
