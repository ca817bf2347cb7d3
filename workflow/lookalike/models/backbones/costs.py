"""What a backbone asks of a machine, as measured. Imports nothing heavy: rules ask for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Costs:
    """Of a network on a CPU.

    Attributes:
        mb: of its weights.
        train_bytes: of memory for each pixel of a batch that it is trained with.
        embed_bytes: of memory for each pixel of a batch that it embeds.
        train_rate: images a second on one core, at 224 pixels, forwards and backwards.
        embed_rate: images a second on one core, at 224 pixels, forwards.
    """

    mb: float
    train_bytes: float
    embed_bytes: float
    train_rate: float
    embed_rate: float


# Measured on two cores that other work kept busy too: peaks of 16 images of 160 pixels in training
# (two steps of AdamW), 1,618, 1,989, 1,178 and 2,136 bytes a pixel for lite0, resnet50, vit_small
# and convnext_tiny, and of passes of 32 of 224 pixels, 291, 239, 140 and 325. The others are
# estimates by their layers. By how names begin: the first that fits.
_FAMILIES = {
    "efficientnet_lite": Costs(25, 1850, 300, 1.3, 10),
    "resnet18": Costs(45, 1500, 240, 2.0, 15),
    "resnet34": Costs(90, 2000, 240, 1.3, 10),
    "resnet50": Costs(100, 2000, 240, 0.9, 8),
    "mobilenet": Costs(25, 1850, 300, 1.3, 10),
    "efficientnet": Costs(60, 4000, 600, 0.6, 5),
    "vit_tiny": Costs(25, 1200, 140, 2.0, 15),
    "vit_small": Costs(90, 1200, 140, 0.9, 7),
    "convnext_tiny": Costs(115, 2400, 330, 0.7, 6),
}
# Of none of these: what a larger one may need. A job that it ends asks for more the second time.
_OTHERS = Costs(400, 6000, 700, 0.2, 2)


def costs_of(model: Mapping[str, Any]) -> Costs | None:
    """What a recipe's `model` settings ask of a machine; None where that is as for any network."""
    if "backbone" not in model:
        return None
    if model["name"] == "efficientnet_lite":
        return _FAMILIES["efficientnet_lite"]
    for beginning, costs in _FAMILIES.items():
        if model["backbone"].startswith(beginning):
            return costs
    return _OTHERS
