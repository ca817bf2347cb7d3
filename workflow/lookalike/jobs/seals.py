"""Seals: beside each result a checksum of what its step wrote, so that damage is found.

Snakemake goes by a file's time: a result that a failing disk or a slip of the hand has changed
would be taken for what it was. So a step seals its outputs when they are done, and a run looks at
the seals before it plans anything. The seal of `a/b.json` is `a/.b.json.seal`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from lookalike.errors import LookalikeError
from lookalike.storage.files import sha256_of_file, write_json
from lookalike.storage.verified import Verified

SUFFIX = ".seal"


def seal_of(path: Path) -> Path:
    """Where a file's seal is."""
    return path.with_name(f".{path.name}{SUFFIX}")


def unseal(paths: Iterable[str | Path]) -> None:
    """Forget what these files were: they are about to be written anew."""
    for path in map(Path, paths):
        with suppress(OSError):  # where it cannot be removed, the file cannot be written either
            seal_of(path).unlink()


def seal(paths: Iterable[str | Path]) -> None:
    """Note what is in these files, now that they are done."""
    for path in map(Path, paths):
        _write(path, sha256_of_file(path), path.stat())


def broken(paths: Sequence[Path], *, renew: bool = True) -> list[Path]:
    """Those of some sealed files that are not what their seals say.

    A file that is gone is none of them; one that cannot be read is: a failing disk says so.

    Args:
        paths: see `sealed`.
        renew: note in the seal that the file was verified now; without, nothing is written.
    """
    with ThreadPoolExecutor() as pool:
        sound = pool.map(lambda path: _is_sound(path, renew), paths)
        return [path for path, is_sound in zip(paths, sound, strict=True) if not is_sound]


def sealed(folder: Path) -> list[Path]:
    """The files under `folder` that have a seal, sorted.

    None is a link: what that leads to is another's to keep.
    """
    return sorted(_sealed(folder))


def _sealed(folder: Path) -> Iterator[Path]:
    for found in folder.rglob(f".?*{SUFFIX}"):
        path = found.with_name(found.name[1:].removesuffix(SUFFIX))
        if path.is_file() and not path.is_symlink():
            yield path


def _is_sound(path: Path, renew: bool) -> bool:
    try:
        known = _read(path)
        if known is None:
            return True
        before = path.stat()
        if known.verified.is_trusted(before):
            return True
        is_sound = sha256_of_file(path) == known.sha256
        # A step may have begun to write it meanwhile: then the seal is gone, or another.
        if _read(path) != known:
            return True
        if is_sound and renew:
            # Where that cannot be noted, on a full disk say, it is hashed again the next time.
            with suppress(LookalikeError):
                _write(path, known.sha256, before)
        return is_sound
    except FileNotFoundError:
        return True
    except OSError:
        return False


class _Seal(NamedTuple):
    """What a seal says of a file, and when it was written."""

    sha256: str
    verified: Verified


def _read(path: Path) -> _Seal | None:
    """What a file's seal says; None where there is none, or none that can be read."""
    try:
        with seal_of(path).open(encoding="utf-8") as stream:
            known = json.load(stream)
            verified_at = os.fstat(stream.fileno()).st_mtime
        seal = _Seal(known.pop("sha256"), Verified(**known, verified_at=verified_at))
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
    return seal if isinstance(seal.sha256, str) else None


def _write(path: Path, sha256: str, status: os.stat_result) -> None:
    write_json(
        seal_of(path),
        {"sha256": sha256, "n_bytes": status.st_size, "changed_ns": status.st_ctime_ns},
    )
