"""Seals: beside each result a checksum of what its step wrote, so that damage is found.

Snakemake goes by a file's time: a result that a failing disk or a slip of the hand has changed
would be taken for what it was. So a step seals its outputs when they are done, and a run looks at
the seals before it plans anything. The seal of `a/b.json` is `a/.b.json.seal`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from lookalike.errors import LookalikeError
from lookalike.files import sha256_of_file, write_json

SUFFIX = ".seal"

# A file whose size and time of change are as they were is hashed again once it was not for so long:
# hashing gigabytes at every start would be felt, and what fails silently does so slowly.
_TRUSTED_SECONDS = 24 * 60 * 60


def seal_of(path: Path) -> Path:
    """Where a file's seal is."""
    return path.with_name(f".{path.name}{SUFFIX}")


def unseal(paths: Iterable[str | Path]) -> None:
    """Forget what these files were: they are about to be written anew."""
    for path in map(Path, paths):
        seal_of(path).unlink(missing_ok=True)


def seal(paths: Iterable[str | Path]) -> None:
    """Note what is in these files, now that they are done."""
    for path in map(Path, paths):
        _write(path, sha256_of_file(path))


def broken(folder: Path) -> list[Path]:
    """The files under `folder` that are not what their seals say, sorted.

    A file that is gone is none of them, nor is a link: what it leads to is another's to keep.
    """
    with ThreadPoolExecutor() as pool:
        sealed = sorted(_sealed(folder))
        sound = pool.map(_is_sound, sealed)
        return [path for path, is_sound in zip(sealed, sound, strict=True) if not is_sound]


def _sealed(folder: Path) -> Iterator[Path]:
    for found in folder.rglob(f".*{SUFFIX}"):
        path = found.with_name(found.name[1:].removesuffix(SUFFIX))
        if path.is_file() and not path.is_symlink():
            yield path


def _is_sound(path: Path) -> bool:
    known = _read(path)
    if known is None:
        return True
    status = path.stat()
    as_it_was = (known.get("n_bytes"), known.get("changed_ns")) == (
        status.st_size,
        status.st_ctime_ns,
    )
    if as_it_was and time.time() - seal_of(path).stat().st_mtime < _TRUSTED_SECONDS:
        return True
    if sha256_of_file(path) == known.get("sha256"):
        # Where that cannot be noted, on a full disk say, it is hashed again the next time.
        with suppress(LookalikeError):
            _write(path, known["sha256"])
        return True
    # A step may have begun to write it meanwhile: then the seal is gone, or another.
    return _read(path) != known


def _read(path: Path) -> dict[str, Any] | None:
    """What a seal says; None where there is none, or none that can be read."""
    try:
        known = json.loads(seal_of(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return known if isinstance(known, dict) else None


def _write(path: Path, sha256: str) -> None:
    status = path.stat()
    write_json(
        seal_of(path),
        {"sha256": sha256, "n_bytes": status.st_size, "changed_ns": status.st_ctime_ns},
    )
