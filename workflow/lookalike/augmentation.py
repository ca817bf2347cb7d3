"""Random changes to training images, by torchvision's transforms."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torchvision.transforms import InterpolationMode, v2


def build_augmentation(
    settings: Mapping[str, Any], size: int, background: Sequence[int]
) -> v2.Transform:
    """The chain of transforms that a recipe's `augment` settings ask for.

    Args:
        settings: the recipe's `augment` mapping; a change whose value is 0 (for `scale`, 1) is
            left out of the chain.
        size: pixels on each side, before and after.
        background: red, green, blue (0..255) of the corners that a rotation uncovers.
    """
    steps: list[v2.Transform] = []
    if settings["rotate"]:
        bilinear = InterpolationMode.BILINEAR
        steps.append(v2.RandomRotation(settings["rotate"], bilinear, fill=list(background)))
    if settings["scale"] < 1 or settings["aspect"]:
        stretch = math.log1p(settings["aspect"])
        ratio = (math.exp(-stretch), math.exp(stretch))
        crop = v2.RandomResizedCrop(size, (settings["scale"], 1.0), ratio, antialias=True)
        steps.append(crop)
    if settings["flip"]:
        steps.append(v2.RandomHorizontalFlip(settings["flip"]))
    names = ("brightness", "contrast", "saturation")
    jitter = {name: settings[name] for name in names if settings[name]}
    if jitter:
        steps.append(v2.ColorJitter(**jitter))
    if settings["grayscale"]:
        steps.append(v2.RandomGrayscale(settings["grayscale"]))
    return v2.Compose(steps) if steps else v2.Identity()


def augment(images: Tensor, transform: v2.Transform, seed: int) -> Tensor:
    """Change each image of a batch in its own way.

    Args:
        images: uint8 [n, 3, size, size].
        transform: from `build_augmentation`.
        seed: the changes depend on it and on nothing else; torch's random state is left alone.

    Returns:
        uint8 [n, 3, size, size].
    """
    if isinstance(transform, v2.Identity):
        return images
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return torch.stack([transform(image) for image in images])
