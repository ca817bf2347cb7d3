from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from lookalike.embedding.forward import embed_pixels
from lookalike.errors import LookalikeError
from lookalike.images.resizing import ImageSettings
from lookalike.models.backbones.networks import Backbone, EmbeddingNetwork
from lookalike.models.building import with_head
from support.backbones import backbone, with_statistics
from support.models import IMAGE

LONG = pytest.mark.long
# What docs/backbones.md lists as tested.
TESTED: list[tuple[str, str, Any]] = [
    ("efficientnet_lite", "lite0", ()),
    ("efficientnet_lite", "lite2", LONG),
    ("timm", "resnet18", ()),
    ("timm", "resnet50", LONG),
    ("timm", "mobilenetv3_large_100", LONG),
    ("timm", "convnext_tiny", LONG),
    ("timm", "vit_small_patch16_224", LONG),
    ("torchvision", "resnet18", LONG),
    ("torchvision", "efficientnet_b0", LONG),
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "which"),
    [pytest.param(name, which, marks=marks) for name, which, marks in TESTED],
)
def test_an_embedding_has_the_same_bytes_in_every_batch(name: str, which: str) -> None:
    size = 64
    image = ImageSettings(size, "squash", "white", IMAGE.mean, IMAGE.std, "fast")
    network = with_statistics(backbone(name, size, backbone=which))
    assert isinstance(network, EmbeddingNetwork)
    ready = network.for_embedding(size).to(memory_format=torch.channels_last)
    rng = np.random.default_rng(0)
    images, others = rng.integers(0, 256, (2, 40, size, size, 3), np.uint8)
    expected = embed_pixels(ready, images, image)
    assert expected.std() > 1e-3
    before = torch.get_num_threads()
    for threads in (1, 2):
        torch.set_num_threads(threads)
        try:
            among = others.copy()
            among[[0, 17, 39]] = images[33]
            found = embed_pixels(ready, among, image)[[0, 17, 39]]
            alone = embed_pixels(ready, images[33:34], image)
            backwards = embed_pixels(ready, images[::-1], image)[::-1]
        finally:
            torch.set_num_threads(before)
        assert np.array_equal(np.concatenate([found, alone]), expected[[33] * 4])
        assert np.array_equal(backwards, expected)


@pytest.mark.parametrize(
    ("name", "which"),
    [
        ("efficientnet_lite", "lite0"),
        ("timm", "test_resnet"),
        ("timm", "test_vit"),
        ("torchvision", "mobilenet_v3_small"),
    ],
)
def test_what_embeds_is_the_network_but_for_rounding(name: str, which: str) -> None:
    network = with_statistics(backbone(name, 64, backbone=which, normalize=False))
    assert isinstance(network, EmbeddingNetwork)
    names, images = list(network.state_dict()), torch.randn(3, 3, 64, 64)
    expected = network(images)
    ready = network.for_embedding(64)
    torch.testing.assert_close(ready(images), expected, rtol=1e-4, atol=1e-5)
    # The one that is trained and kept is left as it was.
    assert list(network.state_dict()) == names
    assert torch.equal(network(images), expected)
    left = [layer for layer in ready.modules() if isinstance(layer, nn.BatchNorm2d)]
    assert not left


def test_a_convolution_that_others_use_too_keeps_its_normalisation_apart() -> None:
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.convolution, self.normal = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            maps = self.convolution(images)
            added: torch.Tensor = maps + self.normal(maps)
            return added.mean((2, 3))

    torch.manual_seed(0)
    shared = with_statistics(Shared()).eval()
    network = with_head(
        Backbone(shared, 4, "none"), "none", embedding_dim=9, normalize=False
    ).eval()
    images = torch.randn(2, 3, 8, 8)
    assert torch.equal(network.for_embedding(8)(images), network(images))


@pytest.mark.parametrize(
    ("head", "layers"),
    [
        ("linear", [nn.Linear]),
        ("bn_linear", [nn.BatchNorm1d, nn.Linear]),
        ("mlp", [nn.Linear, nn.ReLU, nn.Linear]),
        ("none", []),
    ],
)
def test_an_embedding_is_the_heads_of_the_features(head: str, layers: list[type]) -> None:
    network = backbone("timm", 64, backbone="test_resnet", head=head, embedding_dim=24)
    images = torch.randn(4, 3, 64, 64)
    features = network.features(images)
    assert features.shape == (4, network.n_features)
    assert torch.equal(network(images), F.normalize(network.head(features), dim=1))
    found = [
        type(layer)
        for layer in network.head.modules()
        if not isinstance(layer, nn.Sequential | nn.Identity)
    ]
    assert found == layers
    # Without a head an embedding is as long as the features are, whatever is set.
    assert network.embedding_dim == (24 if layers else network.n_features)
    assert network(images).shape == (4, network.embedding_dim)
    bare = network.without_head()
    assert torch.equal(bare(images), F.normalize(features, dim=1))
    assert bare.embedding_dim == network.n_features


@pytest.mark.parametrize(
    ("name", "changes", "parts"),
    [
        ("timm", {"backbone": "vit_small_patch16_224", "size": 70}, ["16 pixels", "70", "64"]),
        ("timm", {"backbone": "resnet18.nope"}, ["resnet18.nope"]),
        ("timm", {"backbone": "resnet81"}, ["no 'resnet81'", "list_models"]),
        ("timm", {"backbone": "test_resnet", "pooling": "cls"}, ["pooling", "class token"]),
        ("timm", {"backbone": "test_vit", "pooling": "gem"}, ["pooling", "tokens"]),
        ("timm", {"backbone": "deit_tiny_distilled_patch16_224"}, ["pooling: cls"]),
        ("torchvision", {"backbone": "vit_b_16"}, ["pooling: cls"]),
        ("torchvision", {"backbone": "vit_b_16", "pooling": "cls", "size": 70}, ["70 pixels"]),
        ("torchvision", {"backbone": "resnet18", "pooling": "cls"}, ["pooling: avg"]),
        ("torchvision", {"backbone": "densenet121", "pooling": "gem"}, ["pooling: avg"]),
        ("torchvision", {"backbone": "googlenet"}, ["no classifier of torchvision"]),
        ("torchvision", {"backbone": "fcn_resnet50"}, ["no classifier of torchvision"]),
        ("torchvision", {"backbone": "resnet81"}, ["did you mean 'resnet1"]),
        ("torchvision", {"backbone": "vgg11", "size": 16}, ["vgg11", "16 pixels", "image.size"]),
    ],
)
def test_what_a_backbone_cannot_do_is_told(
    name: str, changes: dict[str, Any], parts: list[str]
) -> None:
    with pytest.raises(LookalikeError) as caught:
        backbone(name, **changes)
    for part in parts:
        assert part in str(caught.value)
