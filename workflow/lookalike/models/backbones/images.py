"""The images that a backbone was made for: their size and how they are normalised.

Imports nothing heavy: rules ask for it.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

# Google's: (255 x - 127) / 128 for x in 0..1.
_LITE = {"mean": [127 / 255] * 3, "std": [128 / 255] * 3}
_LITE_SIZES = {"lite0": 224, "lite2": 260}
# Made of the libraries by tests/support/known_backbones.py, for importing them takes seconds.
_KNOWN = Path(__file__).with_name("known.json")


def image_of_backbone(model: Mapping[str, Any]) -> dict[str, Any] | None:
    """The image settings `size`, `mean` and `std` that a recipe's `model` settings bring.

    A tag (the part of a name of timm's after the dot) without an entry of its own has those of the
    name before it.

    Returns:
        Empty for a network that is made for whatever it is given; None for a backbone that is not
        known.
    """
    library, name = model["name"], model.get("backbone")
    if library == "efficientnet_lite":
        return {"size": _LITE_SIZES[model["backbone"]], **copy.deepcopy(_LITE)}
    if name is None:
        return {}
    images = _images_by_name()[library]
    found = images.get(name) or images.get(name.partition(".")[0])
    return None if found is None else _image(found)


def names_of_backbones(library: str) -> list[str]:
    """The backbones that are known of `timm` or `torchvision`."""
    return list(_images_by_name()[library])


def _image(words: str) -> dict[str, Any]:
    size, mean, std = words.split(" ")
    channels = {"mean": mean, "std": std}
    return {"size": int(size)} | {
        key: [float(value) for value in text.split(",")] for key, text in channels.items()
    }


@cache
def _images_by_name() -> dict[str, dict[str, str]]:
    known = json.loads(_KNOWN.read_text(encoding="utf-8"))
    return {
        library: {name: image for image, names in images.items() for name in names.split(" ")}
        for library, images in known.items()
    }
