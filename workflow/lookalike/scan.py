"""Every file looked at once: its hash, its size, whether it decodes; remembered by content.

Two memories lie under `cache/scan/`. `files-*`, one per data root, maps a name with its place,
size and times to the hash of the bytes: an untouched file is not even read. `images-*`, one per
version of the decoders, maps a hash to what decoding gave: a touched, renamed or copied file is not
decoded again. They only save work: one that is lost, damaged (each carries a checksum) or
overwritten by another run costs time, never correctness.
"""

from __future__ import annotations

import errno
import hashlib
import io
import logging
import os
import stat
import threading
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple

import imagehash
import PIL
import pyarrow as pa
import pyarrow.parquet as pq

from lookalike import files
from lookalike.code import DECODING, modules_digest
from lookalike.decoding import FORMATS, open_rgb
from lookalike.digests import digest_of
from lookalike.errors import BadImageError, LookalikeError
from lookalike.image_limits import MAX_BYTES
from lookalike.looks import N_BYTES, look_of
from lookalike.progress import Progress

log = logging.getLogger(__name__)

# A file may change twice within one tick of the clock and keep its time: one that is younger than
# this at the start of a scan is hashed again by the next.
_SETTLED_NS = 2_000_000_000

_CHUNK = 64  # files a thread takes at a time


class Stamp(NamedTuple):
    """What tells that a file is the one it was, and its hash.

    n_bytes: its size. mtime_ns, ctime_ns: times of its last modification and of its last change of
    any kind (a renamed file, or one whose time was set back, has a new one), in nanoseconds. place:
    a digest of where it lies, links followed.
    """

    n_bytes: int
    mtime_ns: int
    ctime_ns: int
    place: str
    sha256: str

    def is_of(self, info: os.stat_result, place: str) -> bool:
        """Whether a file in that place, which looks so, is this one."""
        times = info.st_size, info.st_mtime_ns, info.st_ctime_ns
        return (*times, place) == self[:-1]


class Decoded(NamedTuple):
    """What decoding some bytes gave: pixels as shown, the format; `ok` or a reason; its look."""

    width: int | None
    height: int | None
    format: str | None
    status: str
    detail: str | None
    look: bytes | None = None


class Scanned(NamedTuple):
    """What is known of one file; None stands for what could not be learnt."""

    sha256: str | None
    n_bytes: int | None
    width: int | None
    height: int | None
    format: str | None
    status: str
    detail: str | None
    look: bytes | None = None


@dataclass(frozen=True)
class Counters:
    """Work of one scan.

    files: distinct names; hashed: files read; decoded: distinct contents decoded; from_cache: files
    known without either.
    """

    files: int
    hashed: int
    decoded: int
    from_cache: int


def scan(
    names: Iterable[str], root: Path, *, cache: Path | None, threads: int
) -> tuple[dict[str, Scanned], Counters]:
    """Look at every file `root / name` (a repeated name once) and return what is known of each.

    cache: the cache folder; None scans without memory. The result depends on the files alone, not
    on the cache or on `threads`. No file raises an error: what cannot be used has a status.
    """
    memory = _Memory(root, cache)
    worker = _Worker(root, memory)
    distinct = list(dict.fromkeys(names))
    chunks = [distinct[start : start + _CHUNK] for start in range(0, len(distinct), _CHUNK)]
    looks: dict[str, _Look] = {}
    with (
        ThreadPoolExecutor(max(1, threads)) as pool,
        Progress("scanning images", len(distinct)) as progress,
    ):
        for chunk, done in zip(chunks, pool.map(worker.look_at_all, chunks), strict=True):
            looks.update(zip(chunk, done, strict=True))
            progress.update(len(chunk))
    # Left to another thread, whose file was changed while it decoded it.
    while left := [name for name, look in looks.items() if not worker.knows(look)]:
        looks[left[0]] = worker.look_at(left[0])
    memory.save(
        {name: look.stamp for name, look in looks.items() if look.stamp is not None},
        worker.decoded,
    )
    counters = Counters(
        files=len(looks),
        hashed=sum(look.hashed for look in looks.values()),
        decoded=len(worker.decoded),
        from_cache=sum(
            look.stamp is not None and not look.hashed and look.stamp.sha256 in memory.images
            for look in looks.values()
        ),
    )
    log.info(
        "scanned %d files: %d read and hashed, %d decoded, %d known from the cache",
        counters.files,
        counters.hashed,
        counters.decoded,
        counters.from_cache,
    )
    known = {**memory.images, **worker.decoded}
    return {name: _scanned(look, known) for name, look in looks.items()}, counters


class _Look(NamedTuple):
    """One file looked at: its stamp, or the fault that kept it from having one."""

    stamp: Stamp | None
    hashed: bool
    fault: Decoded | None


def _scanned(look: _Look, images: Mapping[str, Decoded]) -> Scanned:
    if look.stamp is None:
        assert look.fault is not None
        return Scanned(None, None, *look.fault)
    return Scanned(look.stamp.sha256, look.stamp.n_bytes, *images[look.stamp.sha256])


def _fault(status: str, detail: str) -> _Look:
    return _Look(None, False, Decoded(None, None, None, status, detail))


class _Worker:
    """Looks at files from many threads; each content is decoded by the first to meet it."""

    def __init__(self, root: Path, memory: _Memory) -> None:
        self.root, self.memory = root, memory
        self.decoded: dict[str, Decoded] = {}
        self._places: dict[str, str] = {}
        self._claimed: set[str] = set()
        self._lock = threading.Lock()

    def look_at_all(self, names: list[str]) -> list[_Look]:
        return [self.look_at(name) for name in names]

    def knows(self, look: _Look) -> bool:
        """Whether what a look found can be told: the fault, or what its content is."""
        stamp = look.stamp
        return stamp is None or stamp.sha256 in self.memory.images or stamp.sha256 in self.decoded

    def look_at(self, name: str) -> _Look:
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
                return _Look(known, False, None)
            with _opened(path) as stream:
                sha256 = (
                    known.sha256 if known else hashlib.file_digest(stream, "sha256").hexdigest()
                )
                self._decode_once(sha256, stream, info)
            times = info.st_size, info.st_mtime_ns, info.st_ctime_ns
            return _Look(Stamp(*times, place, sha256), known is None, None)
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
    # What looks like a file may wait for ever: a pipe that took its place, or /proc/kmsg.
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")


def _decoded(stream: IO[bytes]) -> Decoded:
    try:
        image = open_rgb(stream, background="white")
    except BadImageError as error:
        return Decoded(None, None, None, error.status, error.detail)
    return Decoded(image.width, image.height, image.format, "ok", None, look_of(image))


def _kind(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "a folder"
    return "a named pipe" if stat.S_ISFIFO(mode) else "a device or a socket"


class _Memory:
    """What earlier scans learnt: `files`, a stamp per name, and `images`, by hash."""

    _FILES = pa.schema(
        {
            "name": pa.string(),
            "n_bytes": pa.int64(),
            "mtime_ns": pa.int64(),
            "ctime_ns": pa.int64(),
            "place": pa.string(),
            "sha256": pa.string(),
        }
    )
    _IMAGES = pa.schema(
        {
            "sha256": pa.string(),
            "width": pa.int32(),
            "height": pa.int32(),
            "format": pa.string(),
            "status": pa.string(),
            "detail": pa.string(),
            "look": pa.binary(N_BYTES),
        }
    )

    def __init__(self, root: Path, cache: Path | None) -> None:
        self._started_ns = time.time_ns()
        self.files: dict[str, Stamp] = {}
        self.images: dict[str, Decoded] = {}
        self._paths: tuple[Path, Path] | None = None
        if cache is not None:
            readers = digest_of(
                [
                    modules_digest(*DECODING, "looks"),
                    PIL.__version__,
                    list(FORMATS),
                    imagehash.__version__,
                ]
            )
            self._paths = (
                cache / "scan" / f"files-{digest_of(str(root.absolute()))}",
                cache / "scan" / f"images-{readers}",
            )
            self.files = {row[0]: Stamp(*row[1:]) for row in _rows(self._paths[0], self._FILES)}
            self.images = self._read_images(self._paths[1])

    def _read_images(self, path: Path) -> dict[str, Decoded]:
        return {row[0]: Decoded(*row[1:]) for row in _rows(path, self._IMAGES)}

    def save(self, stamps: Mapping[str, Stamp], decoded: Mapping[str, Decoded]) -> None:
        """Remember this scan's stamps in place of the last one's, and `decoded` beside the rest."""
        if self._paths is None:
            return
        files_path, images_path = self._paths
        settled = {
            name: stamp
            for name, stamp in stamps.items()
            # A time ahead of the clock is no tick that the file may change within.
            if abs(self._started_ns - stamp.mtime_ns) > _SETTLED_NS
        }
        # `unreadable` speaks of a moment (no memory, a failing disk), not of the bytes.
        lasting = {sha: result for sha, result in decoded.items() if result.status != "unreadable"}
        try:
            if settled != self.files:
                _write(files_path, self._FILES, settled)
            if lasting:
                # Another run may have written meanwhile: add to what lies there now.
                _write(images_path, self._IMAGES, self._read_images(images_path) | lasting)
        except LookalikeError as error:
            log.warning("warning: the scan cannot be remembered: %s", error)


def _rows(path: Path, schema: pa.Schema) -> Iterable[tuple[Any, ...]]:
    """The rows of a memory file; none if it is not there or not what it should be."""
    try:
        content = files.read_checked(path)
        table = pq.read_table(pa.BufferReader(content), schema=schema)
    except FileNotFoundError:
        return []
    except (OSError, ValueError, pa.ArrowException) as error:
        log.warning("warning: %s is left aside: %s", path, error)
        return []
    files.mark_used(path)
    return zip(*(column.to_pylist() for column in table.columns), strict=True)


def _write(path: Path, schema: pa.Schema, rows: Mapping[str, tuple[Any, ...]]) -> None:
    columns = zip(*((key, *row) for key, row in rows.items()), strict=True)
    arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=False)]
    content = io.BytesIO()
    table = pa.table(arrays or [[]] * len(schema), schema=schema)
    pq.write_table(table, content, compression="zstd")
    files.write_checked(path, content.getvalue())
