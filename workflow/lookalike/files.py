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
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lookalike.errors import LookalikeError
from lookalike.guard import HALF_WRITTEN
from lookalike.quoting import shown_path

if TYPE_CHECKING:
    import pyarrow as pa

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
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(HALF_WRITTEN, f".{target.name[:100]}.", target.parent)
    except OSError as error:
        raise _cannot_write(target, error.strerror) from error
    os.close(handle)
    beside = Path(name)
    try:
        yield beside
        # mkstemp makes files private; an output follows the user's umask like any other.
        beside.chmod(0o666 & ~_UMASK)
        with beside.open("rb") as written:
            os.fsync(written.fileno())
        beside.replace(target)
    except Exception as error:
        in_words = _OS_ERROR.search(str(error))
        number = getattr(error, "errno", None) or (int(in_words[1]) if in_words else None)
        if number not in _NO_ROOM:
            raise
        raise _cannot_write(target, os.strerror(number)) from error
    finally:
        beside.unlink(missing_ok=True)


def _cannot_write(target: Path, why: str | None) -> LookalikeError:
    return LookalikeError(
        f"{shown_path(target)}: cannot be written: {why}. Nothing is lost: mend that, and the same "
        "command goes on from here"
    )


def write_text(path: str | Path, text: str) -> None:
    """Write `text` as UTF-8, whole or not at all."""
    with whole(path) as beside:
        beside.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: str | Path, value: Any) -> None:
    """Write `value` as indented JSON; NaN and infinity raise ValueError, since JSON has neither."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: str | Path) -> Any:
    """Read a JSON file that Lookalike wrote."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def write_parquet(path: str | Path, table: pa.Table, **options: Any) -> None:
    """Write an Arrow table as zstd parquet; equal tables give equal bytes."""
    import pyarrow.parquet as pq

    with whole(path) as beside:
        pq.write_table(table, beside, compression="zstd", **options)


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
