import time
from functools import partial
from pathlib import Path

import huggingface_hub
import pytest
import torch
from torchvision.models import resnet18

from lookalike.errors import LookalikeError
from lookalike.models.backbones.downloads import from_hub
from support.backbones import backbone


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A proxy that nobody answers for, and caches that are empty."""
    for scheme in ("http", "https", "all"):
        for name in (f"{scheme}_proxy", f"{scheme}_proxy".upper()):
            monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    huggingface_hub.close_session()
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


@pytest.mark.parametrize(
    ("name", "which", "file"),
    [
        ("timm", "resnet18.a1_in1k", "timm/resnet18.a1_in1k/resolve/main/model.safetensors"),
        ("torchvision", "resnet18", "resnet18-f37072fd.pth"),
    ],
)
def test_without_a_network_the_file_to_fetch_is_named_at_once(
    name: str, which: str, file: str
) -> None:
    started = time.monotonic()
    with pytest.raises(LookalikeError) as caught:
        backbone(name, backbone=which, weights="pretrained")
    assert time.monotonic() - started < 20
    message = str(caught.value)
    assert f"pretrained weights of {which} cannot be fetched" in message
    assert file in message
    assert f"weights: {file.rpartition('/')[2]}" in message


def test_a_cached_file_needs_no_network(tmp_path: Path) -> None:
    torch.manual_seed(5)
    expected = resnet18().state_dict()
    folder = tmp_path / "torch" / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    torch.save(expected, folder / "resnet18-f37072fd.pth")
    found = backbone("torchvision", backbone="resnet18", weights="pretrained")
    for key, value in found.backbone.state_dict().items():
        assert torch.equal(value, expected[key])


def test_a_file_in_the_hubs_cache_needs_no_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "cache" / "models--timm--some.model"
    (folder / "snapshots" / "abc").mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("abc")
    (folder / "snapshots" / "abc" / "pytorch_model.bin").write_bytes(b"x")
    original = huggingface_hub.try_to_load_from_cache
    monkeypatch.setattr(
        huggingface_hub,
        "try_to_load_from_cache",
        partial(original, cache_dir=tmp_path / "cache"),
    )
    found = from_hub("timm/some.model", ["model.safetensors", "pytorch_model.bin"], "some")
    assert found == folder / "snapshots" / "abc" / "pytorch_model.bin"
