"""The images that the backbones of timm and torchvision were made for, as these libraries say.

Written anew by running this file, once another version of them is installed.
"""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import timm
import torchvision
from timm.models import get_pretrained_cfg
from torchvision.transforms._presets import ImageClassification

KNOWN = (
    Path(__file__).resolve().parents[2] / "workflow" / "lookalike" / "models" / "backbones"
) / "known.json"
# They make more than one output, have no fully connected layer, or take images of one size only.
LEFT_OUT = ("googlenet", "inception_v3", "maxvit_t", "squeezenet1_0", "squeezenet1_1")


def of_timm() -> dict[str, str]:
    """Size, mean and deviation by name; a name with a tag only where its own are others."""
    found: dict[str, str] = {}
    for name in [*timm.list_models(), *timm.list_models(pretrained=True)]:
        config = get_pretrained_cfg(name)
        assert config
        channels, height, width = config.input_size
        if channels == 3 and height == width:
            image = _in_words(height, config.mean, config.std)
            if found.get(name.partition(".")[0]) != image:
                found[name] = image
    return found


def of_torchvision() -> dict[str, str]:
    """The same, of the classifiers by which a backbone can be had."""
    found = {}
    for name in torchvision.models.list_models(module=torchvision.models):
        if name not in LEFT_OUT:
            made = torchvision.models.get_model_weights(name).DEFAULT.transforms()
            assert isinstance(made, ImageClassification)
            found[name] = _in_words(made.crop_size[0], made.mean, made.std)
    return found


def _in_words(size: int, mean: tuple[float, ...], std: tuple[float, ...]) -> str:
    return f"{size} {','.join(map(str, mean))} {','.join(map(str, std))}"


def known() -> str:
    """The text of the file: for each library, the names by their image."""
    libraries = {}
    for library, images in {"timm": of_timm(), "torchvision": of_torchvision()}.items():
        names = defaultdict(list)
        for name, image in sorted(images.items()):
            names[image].append(name)
        libraries[library] = {image: " ".join(names[image]) for image in sorted(names)}
    return json.dumps(libraries, indent=0) + "\n"


if __name__ == "__main__":
    KNOWN.write_text(known(), encoding="utf-8")
