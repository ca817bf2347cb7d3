"""Which layers of a network are trained: by what is left of their weights after some steps."""

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from torch import nn

from lookalike.config import merge, resolve
from lookalike.errors import LookalikeError
from lookalike.models.backbones.layers import layers_of
from lookalike.models.backbones.networks import Backbone, EmbeddingNetwork
from lookalike.models.building import with_head
from lookalike.training.checkpoints import Checkpoint
from lookalike.training.layer_rates import layer_rates
from lookalike.training.loop import train
from lookalike.training.optimization import build_optimizer, set_learning_rates
from lookalike.training.recipe import Recipe
from support.backbones import backbone
from support.training import ALONE, SETTINGS_SCHEMA, blobs, recipe

# Networks whose layers are written down here by their authors' tables.
LAYERS = {
    # A stem and sixteen blocks; the last convolution belongs to the last block.
    "tf_efficientnet_lite0": 17,
    # A stem and four times two blocks.
    "resnet18": 9,
    # The embedding of patches and twelve blocks; the last norm belongs to the last block.
    "vit_tiny_patch16_224": 13,
}


@pytest.mark.parametrize(("name", "count"), LAYERS.items())
def test_layers_of_timm_are_its_blocks(name: str, count: int) -> None:
    network = timm.create_model(name, pretrained=False, num_classes=0)
    layers = layers_of(network)
    assert len(layers) == count
    assert sorted(key for layer in layers for key in layer) == sorted(
        key for key, _ in network.named_parameters()
    )


# By the tables of the papers: stems and blocks, what is between stages, and what follows the last.
LAYERS_OF_TORCHVISION = {
    "resnet18": 1 + 8,
    "vit_b_16": 1 + 12,
    "mobilenet_v3_small": 1 + 11 + 2,
    "efficientnet_b0": 1 + 16 + 1,
    "efficientnet_v2_s": 1 + 40 + 1,
    "shufflenet_v2_x0_5": 1 + 16 + 1,
    "mnasnet0_5": 3 + 16 + 1,
    "regnet_y_400mf": 1 + 16,
    "convnext_tiny": 1 + 18 + 3,
    "swin_t": 1 + 12 + 3,
    "densenet121": 1 + 58 + 3,
    "vgg11_bn": 8 + 2,
    "alexnet": 5 + 2,
}


@pytest.mark.parametrize(("name", "count"), LAYERS_OF_TORCHVISION.items())
def test_layers_of_torchvision_are_its_blocks(name: str, count: int) -> None:
    pooling = "cls" if name.startswith("vit_") else "avg"
    network = backbone("torchvision", backbone=name, pooling=pooling).backbone
    layers = layers_of(network)
    assert len(layers) == count
    named = dict(network.named_parameters())
    assert [key for layer in layers for key in layer] == list(named)
    # Each has weights, not only what scales and shifts what another one gives.
    assert all(any(named[key].ndim > 1 for key in layer) for layer in layers)


@pytest.mark.parametrize(
    ("own", "peer"),
    [("resnet18", "resnet18"), ("resnet50", "resnet50"), ("vit_b_16", "vit_base_patch16_224")],
)
def test_layers_of_torchvision_are_those_that_timm_tells_of_the_same_network(
    own: str, peer: str
) -> None:
    pooling = "cls" if own.startswith("vit_") else "avg"
    own_network = backbone("torchvision", 224, backbone=own, pooling=pooling).backbone
    found, expected = (
        [sum(network.get_parameter(key).numel() for key in layer) for layer in layers_of(network)]
        for network in (own_network, timm.create_model(peer, pretrained=False, num_classes=0))
    )
    assert found == expected


@pytest.mark.parametrize(
    ("name", "which", "count"),
    [
        ("efficientnet_lite", "lite0", 17),
        ("timm", "resnet18", 9),
        ("torchvision", "resnet18", 9),
        # A stem and twelve blocks, three of them with what is between stages.
        ("timm", "convnext_atto", 13),
    ],
)
def test_the_exponent_of_the_generalised_mean_is_no_layer(
    name: str, which: str, count: int
) -> None:
    plain = layers_of(backbone(name, backbone=which).backbone)
    assert len(plain) == count
    pooled = layers_of(backbone(name, backbone=which, pooling="gem").backbone)
    assert pooled[:-1] == plain[:-1]
    (exponent,) = set(pooled[-1]) - set(plain[-1])
    assert exponent.endswith(".p") and set(plain[-1]) <= set(pooled[-1])
    named = dict(backbone(name, backbone=which).backbone.named_parameters())
    assert all(any(named[key].ndim > 1 for key in layer) for layer in plain)


class Small(nn.Module):
    """Four layers, one with a batch normalisation, and a parameter beside them."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(3, 1, 1))
        self.blocks = nn.Sequential(
            nn.Conv2d(3, 4, 3),
            nn.Sequential(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 3)),
        )
        self.last = nn.Conv2d(4, 6, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.last(self.blocks(images * self.scale)).mean(dim=(2, 3))  # type: ignore[no-any-return]


def network() -> EmbeddingNetwork:
    torch.manual_seed(0)
    return with_head(Backbone(Small(), 6, "none"), "bn_linear", embedding_dim=8, normalize=True)


def made(**changes: Any) -> Recipe:
    """A recipe with changes that the settings allow for other networks."""
    return Recipe.from_dict(merge(recipe(epochs=2), changes))


def changed(folder: Path, settings: Recipe) -> set[str]:
    """The tensors of a network that a training has changed."""
    model = network()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    train(model, blobs(), settings, 0, ALONE, Checkpoint(folder, "run"))
    after = model.state_dict()
    return {name for name, value in before.items() if not torch.equal(after[name], value)}


def test_layers_that_are_not_trained_stay_as_they_came(tmp_path: Path) -> None:
    assert [{key.rsplit(".", 1)[0] for key in layer} for layer in layers_of(Small())] == [
        {"scale", "blocks.0"},
        {"blocks.1.0", "blocks.1.1"},
        {"blocks.1.3"},
        {"last"},
    ]
    every = changed(tmp_path / "all", made(train="all"))
    assert any("running_mean" in name and "backbone" in name for name in every)
    two = changed(tmp_path / "two", made(train={"unfreeze": 2}))
    assert {name for name in two if name.startswith("backbone")} == {
        f"backbone.{layer}.{part}"
        for layer in ("blocks.1.3", "last")
        for part in ("weight", "bias")
    }
    assert {name for name in every if name.startswith("head")} <= two
    # More layers than there are: all of them.
    assert changed(tmp_path / "many", made(train={"unfreeze": 99})) == every


def test_rates_fall_from_layer_to_layer() -> None:
    settings = made(
        optimizer={"lr": 0.5, "backbone_lr": 0.1, "layer_decay": 0.5, "decay_norms": False}
    ).optimizer
    model = network()
    optimizer = build_optimizer(model, settings)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    rates = {
        names[id(parameter)]: group["initial_lr"]
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    assert rates.keys() == dict(model.named_parameters()).keys()
    expected = {"head": 0.5, "last": 0.05, "blocks.1.3": 0.025, "blocks.1.0": 0.0125}
    expected |= {"blocks.1.1": 0.0125, "blocks.0": 0.00625, "scale": 0.00625}
    for name, rate in rates.items():
        (layer,) = (part for part in expected if name.removeprefix("backbone.").startswith(part))
        assert rate == pytest.approx(expected[layer]), name
    flat = {
        id(one)
        for group in optimizer.param_groups
        if not group["weight_decay"]
        for one in group["params"]
    }
    assert {names[key] for key in flat} == {
        name for name, parameter in model.named_parameters() if parameter.ndim <= 1
    }


def test_layers_thaw_one_after_the_other() -> None:
    settings = made(optimizer={"thaw_epochs": 4.0}).optimizer
    model = network()
    assert [rate.thaws_at for rate in layer_rates(model, settings)] == [0, 1, 2, 3, 4]
    optimizer = build_optimizer(model, settings)
    for done, moving in ((0.0, 1), (0.99, 1), (1.0, 2), (3.5, 4), (4.0, 5), (9.0, 5)):
        set_learning_rates(optimizer, 0.5, done)
        rates = [group["lr"] for group in optimizer.param_groups]
        assert rates == [0.5 * settings.lr] * moving + [0.0] * (5 - moving)


def test_a_layer_that_has_not_thawed_keeps_its_weights(tmp_path: Path) -> None:
    # Of four layers the last thaws after a quarter of that, in the second of two epochs.
    slow = changed(tmp_path, made(train="all", optimizer={"thaw_epochs": 5.0}))
    parameters = {f"backbone.{name}" for name, _ in network().backbone.named_parameters()}
    assert slow & parameters == {"backbone.last.weight", "backbone.last.bias"}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"train": "head"}, "cnn4 has none; set train: all, or take the model"),
        ({"train": {"unfreeze": 2}}, "cnn4 has none"),
        ({"train": "hed"}, "'hed' is not one of all, head, none, nor a mapping .*unfreeze: 2"),
        ({"train": {"unfreeze": 0}}, "is not one of all, head, none"),
        ({"optimizer": {"layer_decay": 0.5}}, "optimizer.layer_decay speaks of the layers"),
        (
            {"model": {"name": "efficientnet_lite", "head": "none"}, "train": "head"},
            "there is nothing to train; set train: none",
        ),
        (
            {
                "model": {"name": "efficientnet_lite"},
                "train": "head",
                "optimizer": {"thaw_epochs": 3},
            },
            "optimizer.thaw_epochs speaks of the layers of a backbone that is trained",
        ),
    ],
    ids=str,
)
def test_what_asks_for_a_part_that_is_not_there_is_refused(
    changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(LookalikeError, match=said):
        resolve([{"recipes": {"mine": changes}}], SETTINGS_SCHEMA)
