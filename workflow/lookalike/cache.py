"""What is in the cache folder, and making it smaller.

The cache holds `scan/` (what is known of files), `pixels/<settings>/` (decoded images),
`embeddings/<model digest>/<device>/` and `training/` (unfinished trainings). All of it is kept by
content and can be made again, so anything may be removed at any time, also while jobs run.
"""

from __future__ import annotations

import math
import os
import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lookalike.errors import LookalikeError
from lookalike.guard import HALF_WRITTEN

KINDS = ("scan", "pixels", "embeddings", "training")
# A folder named by mistake may hold other files under such names, and those are not ours to remove.
_OURS = re.compile(
    r"scan/(files|images)-[^/]+|pixels/[^/]+/[^/]+\.arrow|embeddings/[^/]+/[^/]+/[^/]+\.arrow|"
    rf"training/[^/]+\.safetensors|.+/\.[^/]+{re.escape(HALF_WRITTEN)}"
)
DAY = 24 * 60 * 60


@dataclass(frozen=True)
class Entry:
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


def entries(cache: Path) -> list[Entry]:
    """What is in the cache, by kind and key.

    Raises:
        LookalikeError: there is no such folder.
    """
    if not cache.is_dir():
        raise LookalikeError(f"{cache}: there is no cache here; name it with --cache")
    found = []
    for kind in KINDS:
        groups: dict[str, list[os.stat_result]] = {}
        for path, status in _files(cache, kind):
            inside = path.relative_to(cache / kind).parts
            groups.setdefault(inside[0] if len(inside) > 1 else "", []).append(status)
        for key, stats in sorted(groups.items()):
            size, used = sum(one.st_size for one in stats), max(one.st_mtime for one in stats)
            found.append(Entry(kind, key, len(stats), size, used))
    return found


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
            the days are no such number.
    """
    known = entries(cache)
    now = time.time()
    kinds, limit = list(KINDS), -math.inf
    if model is not None:
        keys = {one.key for one in known if one.kind == "embeddings" and one.key.startswith(model)}
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
    removed = n_bytes = 0
    for path, status in (found for kind in kinds for found in _files(cache, kind)):
        half_written = path.name.startswith(".")
        if status.st_mtime >= (now - DAY if half_written else limit):
            continue
        try:
            path.unlink()
        except FileNotFoundError:
            continue  # another process was quicker
        except OSError as error:
            raise LookalikeError(f"{path}: cannot be removed: {error.strerror}") from error
        removed += 1
        n_bytes += status.st_size
    return removed, n_bytes


def table_of(found: Iterable[Entry]) -> str:
    """The entries as a table to read."""
    now = time.time()
    lines = [f"{'kind':<12}{'key':<34}{'files':>7}{'MB':>10}{'last used':>16}"]
    total = 0
    for one in found:
        total += one.n_bytes
        days = f"{(now - one.last_used) / DAY:.1f} days ago"
        size = f"{one.n_bytes / 1e6:.1f}"
        lines.append(f"{one.kind:<12}{one.key:<34}{one.files:>7}{size:>10}{days:>16}")
    lines.append(f"{'total':<12}{'':<34}{'':>7}{total / 1e6:>10.1f}")
    return "\n".join(lines)


def _files(cache: Path, inside: str) -> Iterator[tuple[Path, os.stat_result]]:
    """The cache's files in a folder of it, half-written ones too, but for those that vanish."""
    for place, _, names in os.walk(cache / inside):
        for path in (Path(place, name) for name in names):
            if not _OURS.fullmatch(path.relative_to(cache).as_posix()):
                continue
            try:
                status = path.lstat()
            except FileNotFoundError:
                continue
            yield path, status
