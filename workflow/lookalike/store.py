"""Rows of numbers kept by content hash, outside every rule's output.

A store is a folder of chunk files that are only ever added: each is an Arrow file of keys and rows,
written beside and renamed, named by the hash of its content. So two jobs may write at once, a kill
loses at most the chunk being written, and readers map files into memory. Deleting a chunk, or the
folder, costs nothing but work, also while a job uses it: what a job has opened it can read.
"""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lookalike.files import mark_used, whole
from lookalike.rows import Rows

log = logging.getLogger(__name__)

# Bytes of a file up to which it is read, not mapped: that is quicker, and a process may not have
# more than some ten thousand mappings.
SMALL = 64 * 1024


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

    def __post_init__(self) -> None:
        self.dtype = np.dtype(self.dtype)
        for path in sorted(self.folder.glob("*.arrow")):
            try:
                keys, rows = self._open(path, path.stem)
            except FileNotFoundError:
                continue  # pruned since the folder was listed
            except (OSError, ValueError, pa.ArrowException) as error:
                log.warning(
                    "warning: %s is left aside, its rows are made again; delete it: %s", path, error
                )
                continue
            self._include(path, keys, rows)

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
        self._include(path, *written)

    def read(self, keys: Sequence[str]) -> Rows:
        """Rows of `keys`, [n, *shape]; KeyError where one is not stored."""
        return self.rows(keys)[:]

    def rows(self, keys: Sequence[str]) -> StoredRows:
        """Rows of `keys`, to be read when asked for; KeyError where one is not stored."""
        places = np.fromiter(map(self._places.__getitem__, keys), np.int64, len(keys))
        return StoredRows(self, places)

    def read_places(self, places: NDArray[np.int64]) -> Rows:
        """Rows by the places that `rows` found, [n, *shape]."""
        out = np.empty((len(places), *self.shape), self.dtype)
        if not len(places):
            return out
        starts = [chunk.start for chunk in self._chunks]
        chunk_of = np.searchsorted(starts, places, side="right") - 1
        order = np.argsort(chunk_of, kind="stable")
        for part in np.split(order, np.flatnonzero(np.diff(chunk_of[order])) + 1):
            chunk = self._chunks[chunk_of[part[0]]]
            out[part] = chunk.rows[places[part] - chunk.start]
            mark_used(chunk.path)
        return out

    @property
    def row_bytes(self) -> int:
        """Bytes of one row."""
        return self.dtype.itemsize * math.prod(self.shape)

    @property
    def _schema(self) -> pa.Schema:
        return pa.schema({"sha256": pa.binary(32), "row": pa.binary(self.row_bytes)})

    def _open(self, path: Path, name: str) -> tuple[list[str], Rows]:
        """The keys and rows of a chunk file; OSError or ValueError where it is damaged.

        name: what the content must hash to.
        """
        small = path.stat().st_size <= SMALL
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
        if _name_of(packed_keys, rows) != name:
            raise ValueError("its content is not what it was when it was written")
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
