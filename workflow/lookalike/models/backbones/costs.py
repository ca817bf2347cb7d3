"""What a backbone asks of a machine, as measured. Imports nothing heavy: rules ask for it."""

from __future__ import annotations

import re
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
# estimates by their layers. By whole names, without a tag: a longer name is mostly a larger network
# (resnet50x64_clip has 1,665 MB, efficientnet_v2_l 474).
_FAMILIES = {
    r"efficientnet_lite": Costs(25, 1850, 300, 1.3, 10),
    r"resnet18d?": Costs(47, 1500, 240, 2.0, 15),
    r"resnet34d?": Costs(90, 2000, 240, 1.3, 10),
    r"resnet50([cdst]|_gn)?": Costs(103, 2000, 240, 0.9, 8),
    r"mobilenetv[12]_\d+[dh]?|mobilenetv3_(small_\d+|large_075|large_100|rw)"
    r"|mobilenet_v2|mobilenet_v3_(small|large)": Costs(25, 1850, 300, 1.3, 10),
    r"efficientnet_b[0-2](_gn|_pruned)?|efficientnet_e[sm]": Costs(60, 4000, 600, 0.6, 5),
    r"vit_tiny_patch16_(224|384)": Costs(25, 1200, 140, 2.0, 15),
    r"vit_small_patch(16|32)_(224|384)": Costs(91, 1200, 140, 0.9, 7),
    r"convnext_tiny(_hnf)?": Costs(115, 2400, 330, 0.7, 6),
}
# Of none of these: what a larger one may need. A job that it ends asks for more the second time.
_OTHERS = Costs(600, 6000, 700, 0.2, 2)
_LARGEST = Costs(2600, 14000, 1600, 0.03, 0.3)
_NAMES_OF_LARGEST = re.compile(r"large|huge|giant|gigantic|_[lh]_\d|_l2|128gf|1280|x64|so400m")


def costs_of(model: Mapping[str, Any]) -> Costs | None:
    """What a recipe's `model` settings ask of a machine; None where that is as for any network."""
    if "backbone" not in model:
        return None
    if model["name"] == "efficientnet_lite":
        return _FAMILIES["efficientnet_lite"]
    name = model["backbone"].partition(".")[0]
    for names, costs in _FAMILIES.items():
        if re.fullmatch(names, name):
            return costs
    return _LARGEST if _NAMES_OF_LARGEST.search(name) else _OTHERS


def needs_of_training(model: Mapping[str, Any]) -> dict[str, float]:
    """What training a network needs beside what any does, by the names of `jobs.resources.Work`."""
    costs = costs_of(model)
    if costs is None:
        return {}
    # The weights, what pulls at them, and two moments of that.
    needs = {"more_mb": 4 * costs.mb, "bytes_per_pixel": costs.train_bytes}
    return needs | {"per_second": costs.train_rate}


def needs_of_embedding(model: Mapping[str, Any]) -> dict[str, float]:
    """The same of embedding by it."""
    costs = costs_of(model)
    if costs is None:
        return {}
    # The network, and the one that it is made into.
    needs = {"more_mb": 2 * costs.mb, "bytes_per_pixel": costs.embed_bytes}
    return needs | {"per_second": costs.embed_rate}
