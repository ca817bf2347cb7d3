"""Random changes to training images, a whole batch at a time, by kornia."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from lookalike.training.augmentations.table import AUGMENTATIONS, CHAIN
from lookalike.training.seeding import seed_draws


def build_augmentation(settings: Mapping[str, float], size: int) -> nn.Module | None:
    """The chain of transforms that a recipe's `augment` settings ask for.

    Args:
        settings: the recipe's `augment` mapping; a change whose value is 0 (for `scale`, 1) is
            left out of the chain.
        size: pixels on each side, before and after.

    Returns:
        A module over float32 [n, 3, size, size] in 0..1; None where nothing is to be changed.
    """
    changes = [
        change.load()(size, **change.own(settings))
        for change in AUGMENTATIONS.switched_on(settings)
    ]
    if not changes:
        return None
    chain: nn.Module = CHAIN.load()(changes)
    return chain


def augment(
    images: Tensor, transform: nn.Module | None, seed: int, part: slice | None = None, n: int = 0
) -> Tensor:
    """Change each image of a batch in its own way.

    Args:
        images: float32 [own, 3, size, size] in 0..1, on any device.
        transform: from `build_augmentation`.
        seed: the changes depend on it and on nothing else; torch's random state is left alone.
        part: where `images` stand in a batch of `n`, if they are not all of it: they change as
            they would in the whole batch.
        n: see `part`.

    Returns:
        float32 [own, 3, size, size] in 0..1.
    """
    if transform is None or not len(images):
        return images
    size = torch.Size([n if part else len(images), *images.shape[1:]])
    devices = [] if images.device.type == "cpu" else [images.device]
    with torch.random.fork_rng(devices=devices, device_type=images.device.type), torch.no_grad():
        seed_draws(seed, images.device)
        drawn = transform.forward_parameters(size)  # type: ignore[operator]
        changed: Tensor = transform(images, params=drawn if part is None else _rows(drawn, part))
    return changed.clamp(0, 1)


def _rows(drawn: list[Any], part: slice) -> list[Any]:
    """Of kornia's parameters for a batch, those of some of its images.

    Each tensor has a row an image, but for two: the order of ColorJitter's changes is the batch's.
    """
    whole = {"order", "forward_input_shape"}

    def of_part(item: Any) -> Any:
        assert isinstance(item.data, dict)  # nothing here is a chain within the chain
        rows = {key: value if key in whole else value[part] for key, value in item.data.items()}
        return item._replace(data=rows)

    return [of_part(item) for item in drawn]
