from typing import Any

import pytest

from lookalike.config import image_settings, resolve
from lookalike.errors import LookalikeError
from lookalike.models.backbones.images import image_of_backbone, names_of_backbones
from support.known_backbones import KNOWN, known, of_timm
from support.training import SETTINGS_SCHEMA

HALVES = [0.5, 0.5, 0.5]
IMAGENET = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])


def image(model: dict[str, Any], own: dict[str, Any], common: dict[str, Any]) -> dict[str, Any]:
    overlay = {"image": common, "recipes": {"mine": {"model": model, "image": own}}}
    # Settled settings that are settled again are the same.
    settings = resolve([resolve([overlay], SETTINGS_SCHEMA)], SETTINGS_SCHEMA)
    assert image_settings(settings, "default") == image_settings(
        resolve([{"image": common}], SETTINGS_SCHEMA), "default"
    )
    return image_settings(settings, "mine")


def test_what_is_known_of_backbones_is_what_their_libraries_say() -> None:
    assert KNOWN.read_text(encoding="utf-8") == known(), "run make docs"
    assert len(names_of_backbones("timm")) >= len(of_timm()) > 1000


LITE2 = {"name": "efficientnet_lite", "backbone": "lite2"}
VIT = {"name": "timm", "backbone": "vit_small_patch16_224"}


@pytest.mark.parametrize(
    ("model", "own", "common", "size", "mean"),
    [
        ({}, {}, {}, 224, IMAGENET[0]),
        (LITE2, {}, {}, 260, [127 / 255] * 3),
        (VIT, {}, {}, 224, HALVES),
        ({"name": "timm", "backbone": "tinynet_e"}, {}, {}, 106, IMAGENET[0]),
        # A tag of its own images, and one that is as its network.
        ({"name": "timm", "backbone": "resnet50.a3_in1k"}, {}, {}, 160, IMAGENET[0]),
        ({"name": "timm", "backbone": "resnet50.tv_in1k"}, {}, {}, 224, IMAGENET[0]),
        ({"name": "torchvision", "backbone": "efficientnet_b1"}, {}, {}, 240, IMAGENET[0]),
        # The recipe's own word.
        (LITE2, {"size": 96}, {}, 96, [127 / 255] * 3),
        (LITE2, {"size": 96, "mean": HALVES}, {"size": 64}, 96, HALVES),
        # A size for all, and a mean for all; what is given as it is anyway says nothing.
        (LITE2, {}, {"size": 64}, 64, [127 / 255] * 3),
        (LITE2, {}, {"size": 224}, 260, [127 / 255] * 3),
        (LITE2, {}, {"mean": HALVES}, 260, HALVES),
    ],
)
def test_a_backbone_brings_its_images_unless_the_settings_say_otherwise(
    model: dict[str, Any],
    own: dict[str, Any],
    common: dict[str, Any],
    size: int,
    mean: list[float],
) -> None:
    found = image(model, own, common)
    assert (found["size"], found["mean"]) == (size, mean)


def test_mean_and_deviation_belong_together() -> None:
    assert image(LITE2, {}, {"mean": HALVES})["std"] == IMAGENET[1]
    assert image(LITE2, {}, {})["std"] == [128 / 255] * 3
    # In a recipe too: the backbone's deviation is that of its own mean.
    assert image(LITE2, {"mean": HALVES}, {})["std"] == IMAGENET[1]
    assert image(LITE2, {"std": HALVES}, {})["mean"] == IMAGENET[0]
    assert image(LITE2, {"mean": HALVES}, {"std": [0.25] * 3})["std"] == [0.25] * 3
    assert image(LITE2, {"mean": HALVES}, {})["size"] == 260


def test_a_backbone_that_is_not_known_is_told_with_the_nearest() -> None:
    unknown = {"name": "timm", "backbone": "resnet5O"}
    with pytest.raises(
        LookalikeError, match=r"no backbone 'resnet5O'.*did you mean 'resnet50'\? If .*mean: "
    ):
        image(unknown, {}, {})
    with pytest.raises(LookalikeError, match=r"no backbone '0' of timm is known\. If your"):
        image(unknown | {"backbone": "0"}, {}, {})
    with pytest.raises(LookalikeError, match=r"'resnet19' of torchvision.*did you mean 'resnet1"):
        image({"name": "torchvision", "backbone": "resnet19"}, {}, {})
    # A later version of timm may have it.
    own = {"size": 64, "mean": HALVES, "std": HALVES}
    assert image(unknown, own, {})["size"] == 64
    assert image_of_backbone(unknown) is None


@pytest.mark.parametrize(
    "backbone",
    [
        *("googlenet", "inception_v3", "maxvit_t", "squeezenet1_0", "resnet18 "),
        *("fcn_resnet50", "fasterrcnn_resnet50_fpn", "raft_small", "mc3_18", "quantized_resnet18"),
    ],
)
def test_what_of_torchvision_is_no_backbone_is_refused_whatever_images_it_takes(
    backbone: str,
) -> None:
    model = {"name": "torchvision", "backbone": backbone}
    own = {"size": 64, "mean": HALVES, "std": HALVES}
    for images in ({}, own):
        with pytest.raises(LookalikeError, match=f"no backbone {backbone!r} of torchvision"):
            image(model, images, {})


def test_a_network_without_a_class_token_pools_maps_only() -> None:
    with pytest.raises(LookalikeError, match=r"model.pooling: 'cls' is not one of avg, gem"):
        image(LITE2 | {"pooling": "cls"}, {}, {})
    assert image(LITE2 | {"pooling": "gem"}, {}, {})["size"] == 260
