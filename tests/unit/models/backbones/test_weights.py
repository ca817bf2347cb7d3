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
    path = tmp_path / "other.safetensors"
    save_file({key: value for key, value in state.items() if key != "conv1.0.weight"}, path)
    key = "conv1.0.weight" if "conv1.0.weight" in state else next(iter(state))
    save_file({name: value for name, value in state.items() if name != key}, path)
    assert re.search(rf"lacks: {re.escape(key)}\b", refusal(path))
    save_file({**state, "layer9.weight": torch.ones(1)}, path)
    assert "has no: layer9.weight" in refusal(path)
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
