"""What earlier scans of images learnt, kept in the cache so that the next one has less to do.

Two memories lie under `cache/scan/`. `files-*`, one per data root, maps a name with its place, size
and times to the hash of the bytes: an untouched file is not even read. Files of the root
that a scan was not asked for stay in it, so that settings with several subsets of one root take
turns at no cost; those that no scan was asked for in three months go. `images-*`, one per
version of the decoders, maps a hash to what decoding gave: a touched, renamed or copied file is not
decoded again. They only save work: one that is lost, damaged (each carries a checksum) or
overwritten by another run costs time, never correctness.
"""

from __future__ import annotations

import io
import logging
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lookalike.data.labels import storable
from lookalike.data.near_duplicates import APPEARANCE_BYTES
from lookalike.errors import LookalikeError
from lookalike.storage import files
from lookalike.storage.digests import digest_of

log = logging.getLogger(__name__)

# A file may change twice within one tick of the clock and keep its time: one that is younger than
# this at the start of a scan is hashed again by the next.
_SETTLED_NS = 2_000_000_000

_DAY = 24 * 60 * 60
# Days that a file is remembered without being asked for; to the week, or every scan would write.
_KEPT_DAYS, _NOTED_DAYS = 90, 7
# Files beside those of a scan that are remembered: at least so many, and so many for each of it.
_OTHERS, _OTHERS_EACH = 1_000_000, 4


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


class ContentFacts(NamedTuple):
    """What decoding a content gave: its size as shown, format and appearance; `ok` or a reason."""

    width: int | None
    height: int | None
    format: str | None
    status: str
    detail: str | None
    appearance: bytes | None = None


class Memory:
    """What earlier scans learnt: `files`, a stamp per name of this scan, and `images`, by hash."""

    _FILES = pa.schema(
        {
            "name": pa.string(),
            "n_bytes": pa.int64(),
            "mtime_ns": pa.int64(),
            "ctime_ns": pa.int64(),
            "place": pa.string(),
            "sha256": pa.string(),
            "day": pa.int64(),  # since the epoch, when a scan was last known to be asked for it
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
            "appearance": pa.binary(APPEARANCE_BYTES),
        }
    )

    def __init__(self, root: Path, cache: Path | None, names: Sequence[str], readers: str) -> None:
        """Read what is remembered of the files of these names below a data root.

        cache: the cache folder, None for a memory that is empty and keeps nothing; readers: a
        digest of what decodes images.
        """
        self._started_ns = time.time_ns()
        self._today = self._started_ns // 10**9 // _DAY
        self._names = pa.array([name for name in names if storable(name) == name], pa.string())
        self.files: dict[str, Stamp] = {}
        self.images: dict[str, ContentFacts] = {}
        self._paths: tuple[Path, Path] | None = None
        if cache is not None:
            self._paths = (
                cache / "scan" / f"files-{digest_of(str(root.absolute()))}",
                cache / "scan" / f"images-{readers}",
            )
            known = self._read_files(self._paths[0], of_this_scan=True)
            self._noted = pc.min(known["day"]).as_py()
            self.files = {row[0]: Stamp(*row[1:]) for row in _rows(known.drop_columns("day"))}
            self.images = self._read_images(self._paths[1])

    def _read_files(self, path: Path, *, of_this_scan: bool) -> pa.Table:
        table = _read(path, self._FILES)
        # In memories of an earlier version there is no day.
        day = pc.fill_null(table["day"], self._today)
        table = table.set_column(table.num_columns - 1, self._FILES.field("day"), day)
        asked_for = pc.is_in(table["name"], self._names)
        return table.filter(asked_for if of_this_scan else pc.invert(asked_for))

    def _read_images(self, path: Path) -> dict[str, ContentFacts]:
        return {row[0]: ContentFacts(*row[1:]) for row in _rows(_read(path, self._IMAGES))}

    def save(self, stamps: Mapping[str, Stamp], decoded: Mapping[str, ContentFacts]) -> None:
        """Remember this scan's stamps in place of the last one's, and `decoded` beside the rest."""
        if self._paths is None:
            return
        files_path, images_path = self._paths
        settled = {
            name: stamp
            for name, stamp in stamps.items()
            # A time ahead of the clock is no tick that the file may change within. A name that is
            # no valid Unicode cannot be written down.
            if abs(self._started_ns - stamp.mtime_ns) > _SETTLED_NS and storable(name) == name
        }
        # `unreadable` speaks of a moment (no memory, a failing disk), not of the bytes.
        lasting = {sha: result for sha, result in decoded.items() if result.status != "unreadable"}
        is_old = self._noted is not None and self._noted < self._today - _NOTED_DAYS
        try:
            # Another run may have written meanwhile: add to what lies there now.
            if settled != self.files or is_old:
                rows = ((name, *stamp, self._today) for name, stamp in settled.items())
                others = self._others(files_path)
                _write(files_path, pa.concat_tables([_table(self._FILES, rows), others]))
            if lasting:
                images = self._read_images(images_path) | lasting
                decoded_rows = ((key, *image) for key, image in images.items())
                _write(images_path, _table(self._IMAGES, decoded_rows))
        except LookalikeError as error:
            log.warning("warning: the scan cannot be remembered: %s", error)

    def _others(self, path: Path) -> pa.Table:
        """Of files that this scan was not asked for, those that are worth remembering."""
        others = self._read_files(path, of_this_scan=False)
        others = others.filter(pc.greater_equal(others["day"], self._today - _KEPT_DAYS))
        most = max(_OTHERS, _OTHERS_EACH * len(self._names))
        return others if len(others) <= most else others.sort_by([("day", "descending")])[:most]


def _read(path: Path, schema: pa.Schema) -> pa.Table:
    """A memory file; without rows if it is not there or not what it should be."""
    try:
        content = files.read_checked(path)
        table = pq.read_table(pa.BufferReader(content), schema=schema)
    except FileNotFoundError:
        return schema.empty_table()
    except (OSError, ValueError, pa.ArrowException) as error:
        log.warning("warning: %s is left aside: %s", path, error)
        return schema.empty_table()
    files.mark_used(path)
    return table


def _rows(table: pa.Table) -> Iterable[tuple[Any, ...]]:
    return zip(*(column.to_pylist() for column in table.columns), strict=True)


def _table(schema: pa.Schema, rows: Iterable[tuple[Any, ...]]) -> pa.Table:
    columns = list(zip(*rows, strict=True)) or [()] * len(schema)
    arrays = [pa.array(column, kind) for column, kind in zip(columns, schema.types, strict=True)]
    return pa.table(arrays, schema=schema)


def _write(path: Path, table: pa.Table) -> None:
    content = io.BytesIO()
    pq.write_table(table, content, compression="zstd")
    files.write_checked(path, content.getvalue())
