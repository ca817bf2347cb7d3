from typing import Any

import numpy as np
import pytest
import torch

from lookalike.models.backbones.pooling import GeM
from support.backbones import backbone


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0, 5.5])
def test_the_generalised_mean_is_its_formula(p: float) -> None:
    maps = np.random.default_rng(0).normal(1, 1, (3, 4, 5, 6))
    expected = np.mean(np.maximum(maps, 1e-6) ** p, axis=(2, 3)) ** (1 / p)
    found = GeM(p, flatten=True)(torch.from_numpy(maps).float())
    np.testing.assert_allclose(found.detach().numpy(), expected, rtol=1e-5)


def test_its_ends_are_the_mean_and_the_maximum() -> None:
    maps = torch.rand(2, 3, 4, 4) + 0.1
    torch.testing.assert_close(GeM(1.0, flatten=True)(maps), maps.mean((2, 3)))
    torch.testing.assert_close(
        GeM(200.0, flatten=True)(maps / maps.amax()),
        (maps / maps.amax()).amax((2, 3)),
        atol=0.02,
        rtol=0,
    )


def test_p_is_learned() -> None:
    pool = GeM(flatten=True)
    pool(torch.rand(2, 3, 4, 4)).sum().backward()
    assert pool.p.grad is not None and pool.p.grad.abs() > 0


def test_it_takes_the_place_of_timms_average() -> None:
    plain = backbone("timm", backbone="resnet18", head="none", normalize=False)
    pooled = backbone("timm", backbone="resnet18", head="none", normalize=False, pooling="gem")
    images = torch.randn(2, 3, 64, 64)
    maps = plain.backbone.forward_features(images)  # type: ignore[operator]
    torch.testing.assert_close(plain(images), maps.mean((2, 3)))
    expected = maps.clamp(min=1e-6).pow(3).mean((2, 3)).pow(1 / 3)
    torch.testing.assert_close(pooled(images), expected)


def test_it_takes_the_place_of_torchvisions_average() -> None:
    of: dict[str, Any] = {"backbone": "resnet18", "head": "none", "normalize": False}
    plain, pooled = backbone("torchvision", **of), backbone("torchvision", **of, pooling="gem")
    maps: list[torch.Tensor] = []
    plain.backbone.get_submodule("layer4").register_forward_hook(
        lambda module, inputs, output: maps.append(output)
    )
    images = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(plain(images), maps[0].mean((2, 3)))
    expected = maps[0].clamp(min=1e-6).pow(3).mean((2, 3)).pow(1 / 3)
    torch.testing.assert_close(pooled(images), expected)
