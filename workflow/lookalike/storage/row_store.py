"""Rows of numbers kept by content hash, outside every rule's output.

A store is a folder of chunk files that are only ever added: each is an Arrow file of keys and rows,
written beside and renamed, named by the hash of its content. So two jobs may write at once, a kill
loses at most the chunk being written, and readers map files into memory. Deleting a chunk, or the
folder, costs nothing but work, also while a job uses it: what a job has opened it can read.

A chunk's content is hashed when it is new or its file was changed, and once a day, as the seals of
results are (`lookalike.jobs.seals`); a file beside the chunks remembers when. Reading all of some
gigabytes whenever a job opens the store would be felt.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lookalike.errors import LookalikeError
from lookalike.storage.files import is_marked, whole, write_text
from lookalike.storage.rows import Rows
from lookalike.storage.verified import Verified

log = logging.getLogger(__name__)

# Bytes of a file up to which it is read, not mapped: that is quicker, and a process may not have
# more than some ten thousand mappings.
SMALL = 64 * 1024

VERIFIED = ".looks.json"
"""The file in a store's folder that says when each chunk's content was last looked at."""

# Seconds between two times that the chunks in use are marked as such.
_MARK_EVERY = 3600.0
_READERS = 8  # chunks opened side by side


@dataclass(frozen=True)
class _Chunk:
    """An opened chunk file: its rows, and the place of the first counted through all chunks."""

    path: Path
    start: int
    rows: Rows


@dataclass
class Store:
    """Rows of one shape and dtype, keyed by hexadecimal SHA-256.

    It knows the chunks that were there when it was opened, and its own. A chunk that cannot be read
    is left aside with a warning: its rows are missing, and made again.

    Attributes:
        folder: where the chunks are; made when the first is written.
        shape: of one row, for example (size, size, 3) or (dim,).
        dtype: of a row's numbers.
    """

    folder: Path
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    _places: dict[str, int] = field(default_factory=dict, init=False, repr=False)
    _chunks: list[_Chunk] = field(default_factory=list, init=False, repr=False)
    _verified: dict[str, Verified] = field(default_factory=dict, init=False, repr=False)
    _newly_verified: dict[str, Verified] = field(default_factory=dict, init=False, repr=False)
    _in_use: set[int] = field(default_factory=set, init=False, repr=False)
    _marked_at: float = field(default=-math.inf, init=False, repr=False)

    def __post_init__(self) -> None:
        self.dtype = np.dtype(self.dtype)
        self._verified = self._remembered()
        paths = sorted(self.folder.glob("*.arrow"))
        with ThreadPoolExecutor(_READERS) as pool:
            for path, opened in zip(paths, pool.map(self._opened, paths), strict=True):
                if opened is not None:
                    self._include(path, *opened)
        self.remember()

    def __contains__(self, key: str) -> bool:
        return key in self._places

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def missing(self, keys: Iterable[str]) -> list[str]:
        """Those of `keys` that are not stored, each once, in order."""
        return [key for key in dict.fromkeys(keys) if key not in self._places]

    def add(self, keys: Sequence[str], rows: Rows) -> None:
        """Store `rows` [n, *shape] under `keys`, in one chunk."""
        if not keys:
            return
        rows = np.ascontiguousarray(rows, dtype=self.dtype)
        if rows.shape != (len(keys), *self.shape):
            raise ValueError(f"rows of shape {rows.shape} for {len(keys)} keys and {self.shape}")
        packed_keys = b"".join(map(bytes.fromhex, keys))
        path = self.folder / f"{_name_of(packed_keys, rows)}.arrow"
        columns = [
            pa.FixedSizeBinaryArray.from_buffers(kind, len(keys), [None, pa.py_buffer(values)])
            for kind, values in zip(self._schema.types, (packed_keys, rows), strict=True)
        ]
        batch = pa.record_batch(columns, schema=self._schema)
        with whole(path) as beside:
            with pa.OSFile(str(beside), "wb") as sink, pa.ipc.new_file(sink, self._schema) as file:
                file.write_batch(batch)
            # Opened under its first name: under its last one, another process may prune it at once.
            written = self._open(beside, path.stem)
        # Renaming was a change.
        with suppress(OSError):
            self._note_look(path, path.stat())
        self._include(path, *written)

    def remember(self) -> None:
        """Keep for the next who opens the store which chunks need not be hashed again.

        Called once the store is opened or its rows are asked for; call it when all is added.
        """
        if not self._newly_verified:
            return
        # What another process has noted meanwhile stays, what was pruned goes.
        there = {path.name for path in self.folder.glob("*.arrow")}
        known = self._remembered() | self._newly_verified
        text = json.dumps(
            {name: verified for name, verified in sorted(known.items()) if name in there}
        )
        # Where it cannot be kept, on a full disk say, they are hashed again the next time.
        with suppress(LookalikeError, OSError):
            write_text(self.folder / VERIFIED, text)
        self._verified |= self._newly_verified
        self._newly_verified.clear()

    def read(self, keys: Sequence[str]) -> Rows:
        """Rows of `keys`, [n, *shape]; KeyError where one is not stored."""
        return self.rows(keys)[:]

    def rows(self, keys: Sequence[str]) -> StoredRows:
        """Rows of `keys`, to be read when asked for; KeyError where one is not stored."""
        places = np.fromiter(map(self._places.__getitem__, keys), np.int64, len(keys))
        if len(places):
            self._in_use.update(np.unique(self._chunk_of(places)).tolist())
            self._mark_in_use()
        return StoredRows(self, places)

    def read_places(self, places: NDArray[np.int64]) -> Rows:
        """Rows by the places that `rows` found, [n, *shape]."""
        out = np.empty((len(places), *self.shape), self.dtype)
        if not len(places):
            return out
        chunk_of = self._chunk_of(places)
        order = np.argsort(chunk_of, kind="stable")
        for part in np.split(order, np.flatnonzero(np.diff(chunk_of[order])) + 1):
            chunk = self._chunks[chunk_of[part[0]]]
            out[part] = chunk.rows[places[part] - chunk.start]
        if time.monotonic() - self._marked_at > _MARK_EVERY:
            self._mark_in_use()
        return out

    @property
    def row_bytes(self) -> int:
        """Bytes of one row."""
        return self.dtype.itemsize * math.prod(self.shape)

    @property
    def _schema(self) -> pa.Schema:
        return pa.schema({"sha256": pa.binary(32), "row": pa.binary(self.row_bytes)})

    def _chunk_of(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """The number of the chunk that each row is in."""
        starts = [chunk.start for chunk in self._chunks]
        return np.searchsorted(starts, places, side="right") - 1

    def _mark_in_use(self) -> None:
        """Let the times of the chunks in use say so: pruning goes by them."""
        self._marked_at = time.monotonic()
        paths = [self._chunks[number].path for number in sorted(self._in_use)]
        known: dict[str, Verified] | None = None
        for path in paths:
            # Another process may have pruned it; what was opened stays readable.
            with suppress(OSError):
                before = path.stat()
                if is_marked(before):
                    continue
                if known is None:  # another process may have looked or marked since
                    known = self._verified | self._remembered() | self._newly_verified
                os.utime(path)
                # That changed the file's state, but not its content.
                verified = known.get(path.name)
                if verified is not None and verified.is_unchanged(before):
                    changed_ns = path.stat().st_ctime_ns
                    self._newly_verified[path.name] = verified._replace(changed_ns=changed_ns)
        self.remember()

    def _remembered(self) -> dict[str, Verified]:
        """When chunks were last looked at, by name; nothing where that cannot be read."""
        try:
            stored = json.loads((self.folder / VERIFIED).read_text(encoding="utf-8"))
            return {
                name: Verified(int(n_bytes), int(changed_ns), float(verified_at))
                for name, (n_bytes, changed_ns, verified_at) in stored.items()
            }
        except (OSError, ValueError, TypeError, AttributeError, OverflowError, RecursionError):
            return {}

    def _note_look(self, path: Path, status: os.stat_result) -> None:
        # Small chunks are read whole anyway.
        if status.st_size > SMALL:
            self._newly_verified[path.name] = Verified.now(status)

    def _opened(self, path: Path) -> tuple[list[str], Rows] | None:
        """The keys and rows of a chunk that lies in the folder, None where there is none to use."""
        try:
            return self._open(path, path.stem)
        except FileNotFoundError:
            return None  # pruned since the folder was listed
        except (OSError, ValueError, pa.ArrowException) as error:
            log.warning(
                "warning: %s is left aside, its rows are made again; delete it: %s", path, error
            )
            return None

    def _open(self, path: Path, name: str) -> tuple[list[str], Rows]:
        """The keys and rows of a chunk file; OSError or ValueError where it is damaged.

        name: what the content must hash to.
        """
        status = path.stat()
        small = status.st_size <= SMALL
        verified = self._verified.get(path.name)
        source = pa.BufferReader(path.read_bytes()) if small else pa.memory_map(str(path))
        file = pa.ipc.open_file(source)
        if file.schema != self._schema or file.num_record_batches != 1:
            raise ValueError(f"it holds {file.schema.to_string()!r} in place of this store's rows")
        batch = file.get_batch(0)
        batch.validate(full=True)
        # The bytes live as long as the arrays that point into them.
        packed_keys, packed_rows = (column.buffers()[1] for column in batch.columns)
        packed_keys = memoryview(packed_keys)[: 32 * len(batch)]
        rows = np.frombuffer(packed_rows, self.dtype, len(batch) * math.prod(self.shape))
        if small or verified is None or not verified.is_trusted(status):
            if _name_of(packed_keys, rows) != name:
                raise ValueError("its content is not what it was when it was written")
            if path.stem == name:
                self._note_look(path, status)
        text = packed_keys.hex()
        keys = [text[start : start + 64] for start in range(0, len(text), 64)]
        return keys, rows.reshape(len(batch), *self.shape)

    def _include(self, path: Path, keys: list[str], rows: Rows) -> None:
        last = self._chunks[-1] if self._chunks else None
        start = last.start + len(last.rows) if last else 0
        self._chunks.append(_Chunk(path, start, rows))
        self._places.update(zip(keys, range(start, start + len(keys)), strict=True))


@dataclass(frozen=True)
class StoredRows:
    """Some of a store's rows, in an order of their own; a RowSource.

    It holds 8 bytes a row. What is read of the mapped files is the kernel's to keep or to drop: it
    counts as this process's memory, but leaves when memory is short.

    Attributes:
        store: where the rows are; what it has opened it can read, also when it is pruned.
        places: int64 [n], where in the store each row is.
    """

    store: Store
    places: NDArray[np.int64]

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of rows, then the shape of one."""
        return len(self.places), *self.store.shape

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, rows: Any, /) -> Rows:
        return self.store.read_places(self.places[rows])


def _name_of(packed_keys: bytes | memoryview, rows: Rows) -> str:
    content = hashlib.sha256(packed_keys)
    content.update(rows.data)
    return content.hexdigest()[:32]
