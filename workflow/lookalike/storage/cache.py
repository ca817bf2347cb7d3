"""What is in the cache folder, and making it smaller.

The cache holds `scan/` (what is known of files), `pixels/<settings>/` (decoded images),
`features/<digest of a backbone>/<device>/`, `embeddings/<model digest>/<device>/`, `training/`
(unfinished trainings) and `speed/` (how fast this machine does what). All of it is kept by content
and can be made again, so anything may be removed at any time, also while jobs run.

A folder named by mistake, or one that others use too, may hold any other file: ours are those whose
whole name is one that Lookalike gives. Nothing else is touched, and no link is followed.
"""

from __future__ import annotations

import json
import math
import os
import re
import stat
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lookalike.errors import LookalikeError
from lookalike.storage.files import HALF_WRITTEN
from lookalike.text import shown, shown_path

KINDS = ("scan", "pixels", "features", "embeddings", "training", "speed")
DAY = 24 * 60 * 60

DONE = ".done.safetensors"
"""Ending of the states of trainings that are done."""

_DIGEST, _LONG_DIGEST = "[0-9a-f]{16}", "[0-9a-f]{32}"
_STATE = rf"{_LONG_DIGEST}(\.{_LONG_DIGEST}\.done)?\.safetensors"
_STORE = rf"{_LONG_DIGEST}\.arrow|\.looks\.json"
# The names that are given below the cache, by the folders that they are given in.
_NAMES = {
    "scan": rf"(files|images)-{_DIGEST}",
    f"pixels/{_DIGEST}": _STORE,
    f"(features|embeddings)/{_LONG_DIGEST}/[a-z]+-{_DIGEST}": _STORE,
    "training": _STATE,
    "speed": f"seconds-{_DIGEST}",
}
# While it is written, see `storage.files.whole`, a file has its name and a few letters more.
_OURS = re.compile(
    "|".join(
        rf"{folder}/(?:(?:{name})|(?P<half{number}>\.(?:{name})\.[a-z0-9_]+{re.escape(HALF_WRITTEN)}))"
        for number, (folder, name) in enumerate(_NAMES.items())
    )
)


@dataclass(frozen=True)
class CachedFiles:
    """Files of one kind that belong together.

    Attributes:
        kind: one of `KINDS`.
        key: digest of the model or of the image settings; empty where there is none.
        files: how many.
        n_bytes: their size.
        last_used: seconds since the epoch, of the one written or read last.
    """

    kind: str
    key: str
    files: int
    n_bytes: int
    last_used: float


@dataclass(frozen=True)
class _File:
    """A file of the cache.

    Attributes:
        path: where it is.
        status: its stats; of no link.
        is_half_written: a job is writing it, or was killed while it was.
    """

    path: Path
    status: os.stat_result
    is_half_written: bool


def entries(cache: Path) -> list[CachedFiles]:
    """What is in the cache, by kind and key.

    Raises:
        LookalikeError: there is no such folder, or entry in it that cannot be looked into.
    """
    _require_folder(cache)
    found = []
    for kind in KINDS:
        groups: dict[str, list[os.stat_result]] = {}
        for file in _files(cache, kind):
            inside = file.path.relative_to(cache / kind).parts
            groups.setdefault(inside[0] if len(inside) > 1 else "", []).append(file.status)
        for key, stats in sorted(groups.items()):
            size, used = (
                sum(entry.st_size for entry in stats),
                max(entry.st_mtime for entry in stats),
            )
            found.append(CachedFiles(kind, key, len(stats), size, used))
    return found


def foreign(cache: Path) -> list[str]:
    """What lies in the cache folder and is not Lookalike's, as sorted paths below it.

    Beside the folders of `KINDS`, a folder stands for all that is in it.

    Raises:
        LookalikeError: as for `entries`.
    """
    _require_folder(cache)
    found = [path.name for path in cache.iterdir() if path.name not in KINDS or _is_no_folder(path)]
    for kind in KINDS:
        found += [inside for inside, path in _walk(cache, kind) if _ours(inside, path) is None]
    return sorted(found)


def is_done(cache: Path, path: Path) -> bool:
    """Whether a path below the cache has the name of a file of ours that is wholly written."""
    match = _OURS.fullmatch(path.relative_to(cache).as_posix())
    return match is not None and not any(match.groupdict().values())


def doomed(
    cache: Path, *, older_than_days: float | None = None, model: str | None = None
) -> Iterator[tuple[Path, int]]:
    """What `prune` would remove, each with its bytes.

    Raises:
        LookalikeError: as for `prune`.
    """
    known = entries(cache)
    now = time.time()
    kinds, limit = list(KINDS), -math.inf
    if model is not None:
        keys = {
            entry.key
            for entry in known
            if entry.kind == "embeddings" and entry.key.startswith(model)
        }
        if len(keys) != 1 or not model:
            found = ", ".join(sorted(keys)) or "none"
            raise LookalikeError(
                f"{cache}: the digest {model!r} must mean one model; found {found}"
            )
        kinds, limit = [f"embeddings/{keys.pop()}"], math.inf
    elif older_than_days is not None:
        if not 0 <= older_than_days < math.inf:
            raise LookalikeError(f"{older_than_days} is no number of days")
        limit = now - older_than_days * DAY
    for file in (file for kind in kinds for file in _files(cache, kind)):
        if file.status.st_mtime < (now - DAY if file.is_half_written else limit):
            yield file.path, file.status.st_size


def prune(
    cache: Path, *, older_than_days: float | None = None, model: str | None = None
) -> tuple[int, int]:
    """Remove what was neither written nor read for so long, or what belongs to one model.

    What killed jobs left half written goes with either, once it is a day old: before that, a job
    may still be writing it.

    Args:
        cache: the cache folder.
        older_than_days: remove files that were last used longer ago; 0 or more.
        model: remove the embeddings of the model whose digest begins so.

    Returns:
        Files removed, and their bytes.

    Raises:
        LookalikeError: there is no such folder, or no embeddings of such a model, or of several, or
            the days are no such number, or a file cannot be removed.
    """
    removed = n_bytes = 0
    for path, size in doomed(cache, older_than_days=older_than_days, model=model):
        try:
            path.unlink()
        except FileNotFoundError:
            continue  # another process was quicker
        except OSError as error:
            raise LookalikeError(f"{path}: cannot be removed: {error.strerror}") from error
        removed += 1
        n_bytes += size
    return removed, n_bytes


def forget(folder: Path, model_digest: str) -> None:
    """Remove the state of the training that made a model."""
    for path in folder.glob(f"*.{model_digest}{DONE}"):
        path.unlink(missing_ok=True)


def cache_table(found: Iterable[CachedFiles]) -> str:
    """The entries as a table to read."""
    now = time.time()
    lines = [f"{'kind':<12}{'key':<34}{'files':>7}{'MB':>10}{'last used':>16}"]
    total = 0
    for entry in found:
        total += entry.n_bytes
        days = f"{(now - entry.last_used) / DAY:.1f} days ago"
        size = f"{entry.n_bytes / 1e6:.1f}"
        lines.append(f"{entry.kind:<12}{entry.key:<34}{entry.files:>7}{size:>10}{days:>16}")
    lines.append(f"{'total':<12}{'':<34}{'':>7}{total / 1e6:>10.1f}")
    return "\n".join(lines)


def foreign_note(names: list[str]) -> str:
    """A sentence about what is not Lookalike's."""
    more = len(names) - 5
    return (
        f"left alone, for it is not Lookalike's: {', '.join(map(shown, names[:5]))}"
        f"{f' and {more:,} more' if more > 0 else ''}"
    )


def _require_folder(cache: Path) -> None:
    """See that there is a cache: a folder that is empty, or that holds one of `KINDS`."""
    if not cache.is_dir():
        raise LookalikeError(f"{cache}: there is no cache here; name it with --cache")
    try:
        names = {path.name for path in cache.iterdir() if not path.name.startswith(".")}
    except OSError as error:
        raise _cannot_read(cache, error) from error
    if names and not names & set(KINDS):
        raise LookalikeError(
            f"{shown_path(cache)}: is no cache of Lookalike's, which would hold one of the folders "
            f"{', '.join(KINDS)}; name it with --cache"
        )


def _is_no_folder(path: Path) -> bool:
    return path.is_symlink() or not path.is_dir()


def _files(cache: Path, inside: str) -> Iterator[_File]:
    """The cache's files in a folder of it, half-written ones too, but for those that vanish."""
    for name, path in _walk(cache, inside):
        file = _ours(name, path)
        if file is not None:
            yield file


def _walk(cache: Path, inside: str) -> Iterator[tuple[str, Path]]:
    """All that is no folder below a folder of the cache: its path inside the cache, and whole."""
    if _is_no_folder(cache / inside):
        return

    def cannot_read(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            raise _cannot_read(Path(error.filename), error)

    for place, folders, names in os.walk(cache / inside, onerror=cannot_read):
        links = [name for name in folders if Path(place, name).is_symlink()]
        for path in (Path(place, name) for name in [*names, *links]):
            yield path.relative_to(cache).as_posix(), path


def _ours(name: str, path: Path) -> _File | None:
    """A file if Lookalike made it; None if not, or if it vanished meanwhile."""
    match = _OURS.fullmatch(name)
    try:
        status = path.lstat() if match else None
        if match is None or status is None or not stat.S_ISREG(status.st_mode):
            return None
        # The one name that others may well give: weights called by a hash of theirs.
        if re.fullmatch(f"training/{_STATE}", name) and not _is_state(path):
            return None
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _cannot_read(path, error) from error
    return _File(path, status, any(match.groupdict().values()))


def _is_state(path: Path) -> bool:
    """Whether a safetensors file is the state of a training, by what it says of itself."""
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        # As much as safetensors itself would read.
        head = stream.read(length) if length <= 100_000_000 else b""
    try:
        metadata = json.loads(head)["__metadata__"]
        return {"position", "sha256"} <= set(metadata)
    except (ValueError, KeyError, TypeError, RecursionError):
        return False


def _cannot_read(path: Path, error: OSError) -> LookalikeError:
    return LookalikeError(f"{shown_path(path)}: cannot be read: {error.strerror}")
