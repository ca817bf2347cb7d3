"""Every file looked at once: its hash, its size, whether it decodes; remembered by content."""

from __future__ import annotations

import errno
import hashlib
import io
import logging
import os
import stat
import threading
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, NamedTuple

import imagehash
import PIL

from lookalike.data.near_duplicates import appearance_of
from lookalike.data.scan_memory import ContentFacts, Memory, Stamp
from lookalike.errors import BadImageError
from lookalike.images.decoding import FORMATS, open_rgb
from lookalike.images.limits import MAX_BYTES
from lookalike.jobs.progress import Progress
from lookalike.provenance import module_digest
from lookalike.storage.digests import digest_of

log = logging.getLogger(__name__)

SCAN_READERS = ("images.decoding", "data.near_duplicates")
"""The code that what is known of a file comes from."""

_CHUNK = 64  # files a thread takes at a time


class Scanned(NamedTuple):
    """What is known of one file; None stands for what could not be learnt."""

    sha256: str | None
    n_bytes: int | None
    width: int | None
    height: int | None
    format: str | None
    status: str
    detail: str | None
    appearance: bytes | None = None


def scan(
    names: Iterable[str], root: Path, *, cache: Path | None, threads: int
) -> dict[str, Scanned]:
    """Look at every file `root / name` (a repeated name once) and return what is known of each.

    cache: the cache folder; None scans without memory. The result depends on the files alone, not
    on the cache or on `threads`. No file raises an error: what cannot be used has a status.
    """
    distinct = list(dict.fromkeys(names))
    memory = Memory(root, cache, distinct, _readers())
    worker = _Worker(root, memory)
    chunks = [distinct[start : start + _CHUNK] for start in range(0, len(distinct), _CHUNK)]
    results: dict[str, _Examined] = {}
    with (
        ThreadPoolExecutor(max(1, threads)) as pool,
        Progress("scanning images", len(distinct)) as progress,
    ):
        for chunk, done in zip(chunks, pool.map(worker.examine_all, chunks), strict=True):
            results.update(zip(chunk, done, strict=True))
            progress.update(len(chunk))
    # Left to another thread, whose file was changed while it decoded it.
    while left := [name for name, result in results.items() if not worker.is_complete(result)]:
        results[left[0]] = worker.examine(left[0])
    memory.save(
        {name: result.stamp for name, result in results.items() if result.stamp is not None},
        worker.decoded,
    )
    log.info(
        "scanned %d files: %d read and hashed, %d decoded, %d known from the cache",
        len(results),
        sum(result.hashed for result in results.values()),
        len(worker.decoded),
        sum(
            result.stamp is not None and not result.hashed and result.stamp.sha256 in memory.images
            for result in results.values()
        ),
    )
    known = {**memory.images, **worker.decoded}
    return {name: _scanned(result, known) for name, result in results.items()}


class _Examined(NamedTuple):
    """One file looked at: its stamp, or the fault that kept it from having one."""

    stamp: Stamp | None
    hashed: bool
    fault: ContentFacts | None


def _scanned(result: _Examined, images: Mapping[str, ContentFacts]) -> Scanned:
    if result.stamp is None:
        assert result.fault is not None
        return Scanned(None, None, *result.fault)
    return Scanned(result.stamp.sha256, result.stamp.n_bytes, *images[result.stamp.sha256])


def _fault(status: str, detail: str) -> _Examined:
    return _Examined(None, False, ContentFacts(None, None, None, status, detail))


class _Worker:
    """Looks at files from many threads; each content is decoded by the first to meet it."""

    def __init__(self, root: Path, memory: Memory) -> None:
        self.root, self.memory = root, memory
        self.decoded: dict[str, ContentFacts] = {}
        self._places: dict[str, str] = {}
        self._claimed: set[str] = set()
        self._lock = threading.Lock()

    def examine_all(self, names: list[str]) -> list[_Examined]:
        return [self.examine(name) for name in names]

    def is_complete(self, result: _Examined) -> bool:
        """Whether all is known of a file: its fault, or what its content is."""
        stamp = result.stamp
        return stamp is None or stamp.sha256 in self.memory.images or stamp.sha256 in self.decoded

    def examine(self, name: str) -> _Examined:
        path = os.path.join(self.root, name)  # noqa: PTH118 - as below
        try:
            info = os.lstat(path)  # a Path takes twice as long, for every file
            is_link = stat.S_ISLNK(info.st_mode)
            if is_link:
                info = os.stat(path)  # noqa: PTH116 - as above
            if not stat.S_ISREG(info.st_mode):  # opening a named pipe would wait for ever
                return _fault("not_a_file", f"is {_kind(info.st_mode)}, not a file")
            if info.st_size > MAX_BYTES:
                return _fault("too_large", f"more than the {MAX_BYTES // 2**20} MB that are read")
            place = digest_of(os.path.realpath(path)) if is_link else self._folder_of(path)
            known = self.memory.files.get(name)
            if known is not None and not known.is_of(info, place):
                known = None
            if known is not None and known.sha256 in self.memory.images:
                return _Examined(known, False, None)
            with _opened(path) as stream:
                sha256 = (
                    known.sha256 if known else hashlib.file_digest(stream, "sha256").hexdigest()
                )
                self._decode_once(sha256, stream, info)
            times = info.st_size, info.st_mtime_ns, info.st_ctime_ns
            return _Examined(Stamp(*times, place, sha256), known is None, None)
        except (FileNotFoundError, NotADirectoryError):
            what = (
                "a link to a file that is not there" if Path(path).is_symlink() else "no such file"
            )
            return _fault("missing_file", what)
        except OSError as error:
            status = "missing_file" if error.errno == errno.ENAMETOOLONG else "unreadable"
            return _fault(status, f"cannot be read: {error.strerror}")

    def _folder_of(self, path: str) -> str:
        """A digest of where the folder of a path lies, links followed; resolved once."""
        folder = path.rpartition("/")[0]
        if folder not in self._places:
            self._places[folder] = digest_of(os.path.realpath(folder))
        return self._places[folder]

    def _decode_once(self, sha256: str, stream: IO[bytes], before: os.stat_result) -> None:
        """Decode a content unless another thread does; OSError where the file changes meanwhile."""
        with self._lock:
            if sha256 in self.memory.images or sha256 in self._claimed:
                return
            self._claimed.add(sha256)
        stream.seek(0)
        decoded = _decoded(stream)
        # What was decoded must be what was hashed: it is remembered under that.
        if _state(os.fstat(stream.fileno())) != _state(before):
            with self._lock:
                self._claimed.discard(sha256)
            raise OSError(errno.EBUSY, "it was changed meanwhile")
        self.decoded[sha256] = decoded


def _state(info: os.stat_result) -> tuple[int, ...]:
    return info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns


def _opened(path: str) -> io.BufferedReader:
    # What results like a file may wait for ever: a pipe that took its place, or /proc/kmsg.
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")


def _decoded(stream: IO[bytes]) -> ContentFacts:
    try:
        image = open_rgb(stream, background="white")
    except BadImageError as error:
        return ContentFacts(None, None, None, error.status, error.detail)
    return ContentFacts(image.width, image.height, image.format, "ok", None, appearance_of(image))


def _kind(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "a folder"
    return "a named pipe" if stat.S_ISFIFO(mode) else "a device or a socket"


def _readers() -> str:
    """A digest of what decodes images: other code may find something else in the same bytes."""
    modules = module_digest(*SCAN_READERS, step="manifest")
    return digest_of([modules, PIL.__version__, list(FORMATS), imagehash.__version__])
