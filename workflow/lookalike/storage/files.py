"""Files that appear whole or not at all, and digests of what is in them.

Imports nothing heavy at once: the Snakefile uses it.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lookalike.errors import LookalikeError
from lookalike.text import shown_path

if TYPE_CHECKING:
    import pyarrow as pa

HALF_WRITTEN = ".lookalike-part"
"""Ending of files that are being written; see `whole`."""

# A full disk, a quota, a limit of the process, a disk that became read-only: none comes of reading.
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}
# It is the whole process's and can be read only by setting it: not while other threads make files.
_UMASK = os.umask(0)
os.umask(_UMASK)
_OS_ERROR = re.compile(r"os error (\d+)")  # safetensors has it in words only


@contextmanager
def whole(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it there when the block ends without error.

    A reader sees the old file or the new one, never a part. The folder is made if need be. Raises
    LookalikeError where there is no room, or no permission.
    """
    with all_whole([path]) as (beside,):
        yield beside


@contextmanager
def all_whole(paths: Sequence[str | Path]) -> Iterator[list[Path]]:
    """As `whole` for several files: all take their places, or none does and the old ones stay.

    The last is the first to go and the last to come: where it is, all are of one making.
    """
    targets = list(map(Path, paths))
    with ExitStack() as made:
        besides = [made.enter_context(_beside(target)) for target in targets]
        try:
            yield besides
        except Exception as error:
            in_words = _OS_ERROR.search(str(error))
            number = getattr(error, "errno", None) or (int(in_words[1]) if in_words else None)
            if number not in _NO_ROOM:
                raise
            raise _cannot_write(targets[0], os.strerror(number)) from error
        for beside, target in zip(besides, targets, strict=True):
            with _naming(target):
                # mkstemp makes files private; an output follows the user's umask like any other.
                beside.chmod(0o666 & ~_UMASK)
                with beside.open("rb") as written:
                    os.fsync(written.fileno())
        _take_places(besides, targets)


@contextmanager
def _beside(target: Path) -> Iterator[Path]:
    """A new file beside another, gone when the block ends unless it was renamed."""
    with _naming(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(HALF_WRITTEN, f".{target.name[:100]}.", target.parent)
    os.close(handle)
    try:
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def _take_places(besides: Sequence[Path], targets: Sequence[Path]) -> None:
    """Rename each file to its target; where one cannot be, put back what was there."""
    if len(targets) == 1:
        with _naming(targets[0]):
            besides[0].replace(targets[0])
        return
    with ExitStack() as undo:
        old = []
        for target in reversed(targets):
            with _naming(target):
                if target.is_dir() and not target.is_symlink():
                    raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
                if os.path.lexists(target):
                    place = target.with_name(f".{target.name[:100]}.{os.getpid()}{HALF_WRITTEN}")
                    undo.callback(_put_back, place, target)
                    target.replace(place)
                    old.append(place)
        for beside, target in zip(besides, targets, strict=True):
            with _naming(target):
                undo.callback(target.unlink, missing_ok=True)
                beside.replace(target)
        undo.pop_all()
        for place in old:
            with suppress(OSError):
                place.unlink()


def _put_back(place: Path, target: Path) -> None:
    if os.path.lexists(place):
        place.replace(target)


@contextmanager
def _naming(target: Path) -> Iterator[None]:
    """Say which file cannot be written, and why."""
    try:
        yield
    except OSError as error:
        raise _cannot_write(target, error.strerror) from error


def _cannot_write(target: Path, why: str | None) -> LookalikeError:
    return LookalikeError(
        f"{shown_path(target)}: cannot be written: {why}. Nothing is lost: mend that, and the same "
        "command goes on from here"
    )


def remove_half_written(folders: Iterable[Path], older_than: float) -> None:
    """Remove what killed jobs left half written in these folders before a time, in seconds."""
    for folder in folders:
        for path in folder.glob(f".*{HALF_WRITTEN}"):
            with suppress(OSError):
                if path.lstat().st_mtime < older_than:
                    path.unlink()


def write_text(path: str | Path, text: str) -> None:
    """Write `text` as UTF-8, whole or not at all."""
    with whole(path) as beside:
        save_text(beside, text)


def save_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8."""
    path.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: str | Path, value: Any) -> None:
    """Write `value` as `json_text`, whole or not at all."""
    write_text(path, json_text(value))


def nearest_there(path: Path) -> Path:
    """The path itself, or the first folder above it that is there: where making it begins."""
    place = path.absolute()
    while not os.path.lexists(place):
        place = place.parent
    return place


def json_text(value: Any) -> str:
    """Indented JSON; NaN and infinity raise ValueError, since JSON has neither."""
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def read_json(
    path: str | Path,
    keys: Mapping[str, type | tuple[type, ...]] | None = None,
    *,
    remedy: str = "Delete it, and the same command makes it anew",
) -> Any:
    """Read a JSON file that Lookalike wrote.

    Args:
        path: the file.
        keys: what it holds where it is one object, at the least, and of which type.
        remedy: what a message on a damaged file ends with.

    Raises:
        LookalikeError: it is missing, or not what was written.

    """
    try:
        value = json.loads(Path(path).read_text(encoding="utf-8"))
        if keys is not None and not (
            isinstance(value, dict)
            and all(isinstance(value.get(key), kind) for key, kind in keys.items())
        ):
            raise ValueError("it should be an object" + f" with {', '.join(keys)}" * bool(keys))
    except OSError as error:
        raise LookalikeError(f"{shown_path(path)}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise LookalikeError(f"{shown_path(path)}: is damaged: {error}. {remedy}") from error
    return value


def write_parquet(path: str | Path, table: pa.Table, **options: Any) -> None:
    """Write an Arrow table as `save_parquet` does, whole or not at all."""
    with whole(path) as beside:
        save_parquet(beside, table, **options)


def save_parquet(path: Path, table: pa.Table, **options: Any) -> None:
    """Write an Arrow table as zstd parquet with checksums; equal tables give equal bytes."""
    import pyarrow.parquet as pq

    pq.write_table(table, path, compression="zstd", write_page_checksum=True, **options)


def write_checked(path: str | Path, content: bytes) -> None:
    """Write bytes and their SHA-256, whole or not at all."""
    with whole(path) as beside, beside.open("wb") as stream:
        stream.write(content)
        stream.write(hashlib.sha256(content).digest())


def read_checked(path: str | Path) -> bytes:
    """Read what `write_checked` wrote; ValueError where it is not what it was then."""
    both = Path(path).read_bytes()
    content, digest = both[:-32], both[-32:]
    if hashlib.sha256(content).digest() != digest:
        raise ValueError("its content is not what it was when it was written")
    return content


def content_of(path: Path, sha256: str, at_most: int) -> bytes | None:
    """A file's bytes if that is their hash; None where they are others, or more than `at_most`.

    Raises OSError where it cannot be read.
    """
    content = path.read_bytes() if path.stat().st_size <= at_most else b""
    return content if hashlib.sha256(content).hexdigest() == sha256 else None


def sha256_of_file(path: str | Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


_MARKED_SECONDS = 3600


def is_marked(status: os.stat_result) -> bool:
    """Whether a cache file's time says that it was used within the last hour."""
    return time.time() - status.st_mtime <= _MARKED_SECONDS


def mark_used(path: Path) -> None:
    """Let a cache file's time say when it was last read, to the hour: pruning goes by it."""
    # Another process may have pruned it since it was opened; what was opened stays readable.
    with suppress(OSError):
        if not is_marked(path.stat()):
            os.utime(path)
