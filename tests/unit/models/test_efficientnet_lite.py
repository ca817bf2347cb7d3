from pathlib import Path

import numpy as np
import pytest
import torch
from efficientnet_lite_pytorch import EfficientNet
from safetensors.torch import save_file

from lookalike.images.normalisation import normalise
from lookalike.images.resizing import ImageSettings
from lookalike.models import efficientnet_lite
from lookalike.models.backbones.images import image_of_backbone
from lookalike.models.backbones.sources import packaged_weights
from support.backbones import backbone, settings_of_backbone


@pytest.mark.parametrize(("which", "size"), [("lite0", 224), ("lite0", 64), ("lite2", 260)])
def test_its_features_are_those_of_the_package_that_made_the_weights(which: str, size: int) -> None:
    package = EfficientNet.from_name(f"efficientnet-{which}", image_size=size).eval()
    package.load_state_dict(torch.load(packaged_weights(which), weights_only=True))
    own = backbone(
        "efficientnet_lite",
        size,
        backbone=which,
        weights="pretrained",
        head="none",
        normalize=False,
    )
    torch.manual_seed(0)
    images = torch.randn(2, 3, size, size)
    with torch.no_grad():
        expected = package.extract_features(images).mean((2, 3))
        torch.testing.assert_close(own(images), expected, rtol=1e-5, atol=1e-5)
    assert expected.std() > 0.1


def test_its_images_are_standardised_as_its_authors_did() -> None:
    brought = image_of_backbone(settings_of_backbone("efficientnet_lite", backbone="lite2"))
    assert brought is not None and brought["size"] == 260
    image = ImageSettings(
        8, "squash", "white", tuple(brought["mean"]), tuple(brought["std"]), "fast"
    )
    pixels = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), np.uint8)
    expected = (pixels.astype(np.float64) - 127) / 128
    found = normalise(torch.from_numpy(pixels), image).permute(0, 2, 3, 1).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("kind", ["package", "timm", "own"])
def test_weights_are_found_by_the_packages_names_by_timms_and_by_its_own(
    kind: str, tmp_path: Path
) -> None:
    expected = backbone("efficientnet_lite", weights="pretrained")
    path = tmp_path / "weights"
    if kind == "package":
        path = packaged_weights("lite0")
    elif kind == "timm":
        torch.save(expected.backbone.state_dict(), path)
    else:
        save_file(expected.state_dict(), path)
    found = backbone("efficientnet_lite", weights=str(path)).backbone.state_dict()
    assert all(
        torch.equal(value, found[key]) for key, value in expected.backbone.state_dict().items()
    )


def test_all_of_the_packages_tensors_have_a_place() -> None:
    network = backbone("efficientnet_lite").backbone
    state = torch.load(packaged_weights("lite0"), weights_only=True)
    named = efficientnet_lite.timm_names(state, network)
    assert set(named) - set(network.state_dict()) == {"_fc.weight", "_fc.bias"}
