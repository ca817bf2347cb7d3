import pickle
import re
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from torchvision.models import resnet18

from lookalike.errors import LookalikeError
from lookalike.models.backbones.networks import EmbeddingNetwork
from lookalike.models.backbones.weights import read_weights
from support.backbones import backbone


class Surprise:
    def __reduce__(self) -> Any:
        return (print, ("code was run",))


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    torch.manual_seed(5)
    weights: dict[str, torch.Tensor] = timm.create_model("test_resnet").state_dict()
    return weights


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"epoch": 3, "state_dict": state},
        lambda state: {"model": {f"module.{key}": value for key, value in state.items()}},
        lambda state: {key: value for key, value in state.items() if not key.startswith("fc.")},
    ],
    ids=["plain", "checkpoint", "of several processes", "without classifier"],
)
@pytest.mark.parametrize("kind", ["torch", "torch before 1.6", "safetensors"])
def test_a_file_gives_its_weights(
    state: dict[str, torch.Tensor], wrap: Any, kind: str, tmp_path: Path
) -> None:
    path, content = tmp_path / "weights.any", wrap(state)
    if kind == "safetensors":
        tensors = content.get("state_dict") or content.get("model") or content
        save_file({key: value.clone() for key, value in tensors.items()}, path)
    else:
        torch.save(content, path, _use_new_zipfile_serialization=kind == "torch")
    found = backbone("timm", backbone="test_resnet", weights=str(path))
    assert found.weights.startswith("sha256:")
    for key, value in found.backbone.state_dict().items():
        assert torch.equal(value, state[key]), key


@pytest.mark.parametrize("length", [0x80, 0x4B50])
def test_a_header_as_long_as_torchs_files_begin_is_one(
    state: dict[str, torch.Tensor], length: int, tmp_path: Path
) -> None:
    path = tmp_path / "weights"
    saved = {"conv1.0.weight": state["conv1.0.weight"]} if length == 0x80 else state

    def header(note: int) -> int:
        save_file(saved, path, metadata={"note": "x" * note})
        return int.from_bytes(path.read_bytes()[:8], "little")

    assert header(1) < length
    header(1 + length - header(1))
    assert path.read_bytes()[:2] == length.to_bytes(2, "little")
    assert read_weights(path).keys() == saved.keys()


def test_a_file_for_torchvision_gives_its_weights(tmp_path: Path) -> None:
    path = tmp_path / "resnet18.pth"
    torch.manual_seed(5)
    expected = resnet18()
    torch.save(expected.state_dict(), path)
    found = backbone("torchvision", backbone="resnet18", weights=str(path)).backbone.state_dict()
    assert all(torch.equal(value, expected.state_dict()[key]) for key, value in found.items())


def refusal(path: Path, name: str = "timm", which: str = "test_resnet") -> str:
    with pytest.raises(LookalikeError) as caught:
        backbone(name, backbone=which, weights=str(path))
    assert path.name in str(caught.value)
    return str(caught.value)


def test_code_in_a_file_is_not_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for save in (torch.save, lambda value, path: path.write_bytes(pickle.dumps(value))):
        save({"weights": Surprise()}, tmp_path / "bad.pth")
        assert "safetensors" in refusal(tmp_path / "bad.pth")
    assert "code was run" not in capsys.readouterr().out


@pytest.mark.parametrize(
    "content",
    [b"", b"PK\x03\x04", b"\x80\x02", b"\xff" * 100, b"\x08\0\0\0\0\0\0\0{broken}", b"{}"],
)
def test_a_file_that_is_none_is_told(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "bad.pt").write_bytes(content)
    refusal(tmp_path / "bad.pt")


def test_a_file_cut_short_is_told(state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    for save in (torch.save, save_file):
        save(state, tmp_path / "cut")
        whole = (tmp_path / "cut").read_bytes()
        for share in (3, 2):
            (tmp_path / "cut").write_bytes(whole[: len(whole) // share])
            refusal(tmp_path / "cut")


def test_what_is_no_mapping_of_tensors_is_told(tmp_path: Path) -> None:
    for content in ([torch.ones(2)], {"a": 1}, torch.ones(2), {1: torch.ones(2)}):
        torch.save(content, tmp_path / "list.pt")
        assert "state_dict" in refusal(tmp_path / "list.pt")


def test_keys_that_do_not_fit_are_named(state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    path, key = tmp_path / "other.safetensors", "conv1.0.weight"
    save_file({name: state[name] for name in state.keys() - {key}}, path)
    assert re.search(rf"lacks: {re.escape(key)}\b", refusal(path))
    save_file({**state, "layer9.weight": torch.ones(1)}, path)
    assert "has no: layer9.weight" in refusal(path)
    assert key in state
    save_file({**state, key: torch.ones(1)}, path)
    assert f"another shape are: {key} (1 for " in refusal(path)
    save_file(state, path)
    assert "not the weights of resnet18" in refusal(path, "torchvision", "resnet18")


@pytest.mark.parametrize("weights", ["/no/such/file", "pretraind", "~nobody-here/x", "a\0b", "."])
def test_a_file_that_is_not_there_is_told(weights: str) -> None:
    for name in ("timm", "torchvision", "efficientnet_lite"):
        which = {"efficientnet_lite": "lite0"}.get(name, "resnet18")
        with pytest.raises(LookalikeError, match=r"there is no such file.*pretrained or none"):
            backbone(name, backbone=which, weights=weights)


# timm adapts files to these in ways of their own, each with another fault for files of others.
ADAPTED = [
    *("convnext_atto", "edgenext_xx_small", "poolformer_s12", "test_vit", "test_mambaout"),
    *(
        pytest.param(name, marks=pytest.mark.slow)
        for name in ("beit_base_patch16_224", "mvitv2_tiny")
    ),
]


@pytest.mark.parametrize("which", ADAPTED)
def test_a_file_of_another_network_is_told(which: str, tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    size = 224 if which.startswith(("beit", "mvit")) else 64
    for other in (resnet18().state_dict(), timm.create_model("vit_tiny_patch16_224").state_dict()):
        save_file(other, path)
        with pytest.raises(LookalikeError, match=rf"weights\.\S+: these are not .* of {which}"):
            backbone("timm", size, backbone=which, weights=str(path))


@pytest.mark.parametrize(
    "state",
    [
        {"encoder.pos_embedding": torch.ones(3)},
        {"encoder.pos_embedding": torch.ones(1, 5, 768, dtype=torch.int8)},
        {"encoder.pos_embedding": torch.ones(1, 0, 768)},
    ],
    ids=["of one dimension", "of integers", "empty"],
)
def test_positions_that_are_none_are_told(state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    save_file(state, tmp_path / "weights")
    with pytest.raises(LookalikeError, match="these are not the weights of vit_b_32"):
        backbone(
            "torchvision", backbone="vit_b_32", pooling="cls", weights=str(tmp_path / "weights")
        )


@pytest.mark.parametrize("name", ["_blocks.x._bn1.weight", "_blocks.-1.a.b", "_bn0", "_conv_stem"])
def test_a_malformed_name_is_told(name: str, tmp_path: Path) -> None:
    path = tmp_path / "weights"
    save_file({"_conv_stem.weight": torch.ones(2), name: torch.ones(2)}, path)
    assert "these are not the weights of lite0" in refusal(path, "efficientnet_lite", "lite0")


def marked(network: EmbeddingNetwork, path: Path) -> dict[str, torch.Tensor]:
    """The backbone's tensors as trained, in a file as a model's, with a head."""
    with torch.no_grad():
        for key, value in network.backbone.named_parameters():
            value.copy_(torch.full_like(value, 4.5) if key.endswith(".p") else value + 0.25)
    save_file({key: value.clone() for key, value in network.state_dict().items()}, path)
    return network.backbone.state_dict()


@pytest.mark.parametrize("of_recipe", ["avg", "gem"])
@pytest.mark.parametrize("of_file", ["avg", "gem"])
@pytest.mark.parametrize(
    ("name", "which"),
    [
        ("efficientnet_lite", "lite0"),
        ("timm", "test_resnet"),
        ("timm", "convnext_atto"),
        ("torchvision", "resnet18"),
    ],
)
def test_a_models_own_file_serves_however_its_maps_are_pooled(
    name: str, which: str, of_file: str, of_recipe: str, tmp_path: Path
) -> None:
    path = tmp_path / "model.safetensors"
    expected = marked(backbone(name, backbone=which, pooling=of_file), path)
    found = backbone(name, backbone=which, pooling=of_recipe, weights=str(path)).backbone
    exponents = [key for key in found.state_dict() if key.endswith(".p")]
    assert len(exponents) == (of_recipe == "gem")
    for key, value in found.state_dict().items():
        if key in exponents:
            assert value.item() == (4.5 if of_file == "gem" else 3.0)
        else:
            assert torch.equal(value, expected[key]), key


@pytest.mark.parametrize("own", [True, False], ids=["a model's own", "a published one"])
def test_a_transformer_that_pools_by_attention_serves_pooled_by_the_mean(
    own: bool, tmp_path: Path
) -> None:
    path, which = tmp_path / "model.safetensors", "test_vit3"
    if own:
        expected = marked(backbone("timm", 64, backbone=which), path)
        assert not any("attn_pool" in key for key in expected)
    else:
        torch.manual_seed(5)
        network = timm.create_model(which, img_size=64)
        expected = network.state_dict()
        assert any("attn_pool" in key for key in expected)
        save_file(expected, path)
    found = backbone("timm", 64, backbone=which, weights=str(path)).backbone.state_dict()
    assert all(torch.equal(value, expected[key]) for key, value in found.items())


@pytest.mark.parametrize(
    "which",
    [
        pytest.param("swin_tiny_patch4_window7_224", marks=pytest.mark.slow),
        "test_efficientnet",
        "test_vit",
    ],
)
def test_a_models_own_file_serves_a_network_whose_published_ones_are_adapted(
    which: str, tmp_path: Path
) -> None:
    path = tmp_path / "model.safetensors"
    size = 224 if which.startswith("swin") else 64
    expected = marked(backbone("timm", size, backbone=which), path)
    found = backbone("timm", size, backbone=which, weights=str(path)).backbone.state_dict()
    assert all(torch.equal(value, expected[key]) for key, value in found.items())
