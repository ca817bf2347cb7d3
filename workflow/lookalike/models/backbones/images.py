"""The images that a backbone was made for: their size and how they are normalised.

Imports nothing heavy: rules ask for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Google's: (255 x - 127) / 128 for x in 0..1.
_LITE = {"mean": [127 / 255] * 3, "std": [128 / 255] * 3}
_LITE_SIZES = {"lite0": 224, "lite2": 260}


def image_of_backbone(model: Mapping[str, Any]) -> dict[str, Any]:
    """The image settings `size`, `mean` and `std` that a recipe's `model` settings bring.

    Empty for a network that is made for whatever it is given.
    """
    if model["name"] == "efficientnet_lite":
        return {"size": _LITE_SIZES[model["backbone"]], **_LITE}
    return {}
