import pytest
import timm
import torch
import torchvision

from lookalike.jobs.resources import Work, memory_mb, minutes
from lookalike.models.backbones.costs import costs_of
from lookalike.models.backbones.images import names_of_backbones
from support.backbones import settings_of_backbone

# Bytes a pixel as measured: of training, and of embedding.
MEASURED = {
    ("efficientnet_lite", "lite0"): (1618, 291),
    ("timm", "resnet50"): (1989, 239),
    ("timm", "vit_small_patch16_224"): (1178, 140),
    ("timm", "convnext_tiny"): (2136, 325),
}


@pytest.mark.parametrize(("named", "measured"), MEASURED.items(), ids=lambda value: str(value))
def test_no_job_asks_for_less_memory_than_was_measured(
    named: tuple[str, str], measured: tuple[int, int]
) -> None:
    costs = costs_of(settings_of_backbone(named[0], backbone=named[1]))
    assert costs is not None
    assert costs.train_bytes >= measured[0]
    assert costs.embed_bytes >= measured[1]


def test_a_network_that_is_not_known_asks_for_the_most() -> None:
    unknown = costs_of(settings_of_backbone("timm", backbone="eva_giant_patch14_224"))
    known = costs_of(settings_of_backbone("timm", backbone="resnet50.a1_in1k"))
    assert unknown is not None and known is not None
    assert unknown.train_bytes > known.train_bytes
    assert unknown.embed_rate < known.embed_rate


@pytest.mark.parametrize("name", names_of_backbones("torchvision"))
def test_no_network_of_torchvision_has_more_weights_than_it_counts_by(name: str) -> None:
    costs = costs_of(settings_of_backbone("torchvision", backbone=name))
    parameters = torchvision.models.get_model_weights(name).DEFAULT.meta["num_params"]
    assert costs is not None
    assert costs.mb >= 4 * parameters / 1e6


@pytest.mark.parametrize(
    "name",
    [
        *("resnet50", "resnet50x4_clip", "resnet50x64_clip", "mobilenetv3_large_100"),
        *("mobilenetv4_hybrid_large", "efficientnet_b0", "efficientnet_b7", "efficientnet_l2"),
        *("vit_small_patch16_224", "vit_small_resnet26d_224", "vit_tiny_patch16_224"),
    ],
)
def test_no_network_of_timm_has_more_weights_than_its_name_counts_by(name: str) -> None:
    with torch.device("meta"):
        network = timm.create_model(name, pretrained=False, num_classes=0)
    costs = costs_of(settings_of_backbone("timm", backbone=name))
    assert costs is not None
    assert costs.mb >= sum(4 * one.numel() for one in network.parameters()) / 1e6


def test_a_network_of_its_own_needs_counts_by_them() -> None:
    assert costs_of({"name": "cnn4"}) is None
    usual = Work(1000, image_size=224, batch=32)
    heavy = Work(1000, image_size=224, batch=32, more_mb=100, bytes_per_pixel=6000, per_second=0.5)
    more = 1.5 * (100 + (6000 - 1320) * 32 * 224**2 / 1e6)
    assert memory_mb("train", heavy) - memory_mb("train", usual) == pytest.approx(more, abs=100)
    assert minutes("train", heavy) > minutes("train", usual)
