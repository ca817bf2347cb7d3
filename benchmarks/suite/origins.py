"""What data sets and the peer's runs come from: code, libraries, images."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from lookalike.models.table import MODELS
from lookalike.provenance import NAMED, code_digest, versions
from lookalike.storage.digests import digest_of, digest_of_file

SUITE = Path(__file__).parent
PEER = SUITE / "peer.py"
# What each data set is made with, whatever else its module takes.
_MAKERS = (SUITE / "layouts.py", SUITE / "debian.py", SUITE.parent / "digits.py")
_OF_DATA = ("numpy", "pillow", "scikit-learn", *NAMED["demo"])
_OF_PEER = ("numba", "numpy", "pillow", "pytorch-metric-learning", "torch")


@cache
def origin_of_data(module: Path) -> str:
    """Digest of what makes a data set: the code of its module and of what this takes, libraries."""
    return _digest((module, *_MAKERS), (), _OF_DATA)


@cache
def origin_of_peer(network: str) -> str:
    """Digest of what makes the peer's runs of data at hand: its code, our code in it, libraries.

    `network`: of ours, by its name.
    """
    return _digest((PEER,), (MODELS[network].module,), _OF_PEER)


def _digest(files: Iterable[Path], variants: tuple[str, ...], libraries: Iterable[str]) -> str:
    code = [code_digest("suite", file, also=variants) for file in files]
    return digest_of([code, versions(libraries)])


def digest_of_folder(folder: Path) -> str:
    """Digest of the names and contents of all files below a folder."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(f"{path.relative_to(folder).as_posix()}\0{digest_of_file(path)}\0".encode())
    return digest.hexdigest()[:16]
