"""Rows of numbers kept by content hash, outside every rule's output.

A store is a folder of chunk files that are only ever added: each is an Arrow file of keys and rows,
written beside and renamed, named by the hash of its content. So two jobs may write at once, a kill
loses at most the chunk being written, and readers map files into memory. Deleting a chunk, or the
folder, costs nothing but work.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lookalike.files import whole

Rows = NDArray[Any]


@dataclass
class Store:
    """Rows of one shape and dtype, keyed by hexadecimal SHA-256.

    Attributes:
        folder: where the chunks are; made when the first is written.
        shape: of one row, for example (size, size, 3) or (dim,).
        dtype: of a row's numbers.
    """

    folder: Path
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    _places: dict[str, tuple[str, int]] = field(default_factory=dict, init=False)
    _chunks: dict[str, Rows] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self.dtype = np.dtype(self.dtype)
        for path in sorted(self.folder.glob("*.arrow")):
            self._open(path)

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
        packed_keys = b"".join(bytes.fromhex(key) for key in keys)
        content = hashlib.sha256(packed_keys)
        content.update(rows.data)
        path = self.folder / f"{content.hexdigest()[:32]}.arrow"
        batch = pa.record_batch(
            {"sha256": _fixed(packed_keys, 32, len(keys)), "row": self._pack(rows)}
        )
        with (
            whole(path) as beside,
            pa.OSFile(str(beside), "wb") as sink,
            pa.ipc.new_file(sink, batch.schema) as writer,
        ):
            writer.write_batch(batch)
        self._open(path)

    def read(self, keys: Sequence[str]) -> Rows:
        """Rows of `keys`, [n, *shape]; KeyError where one is not stored."""
        for name in {self._places[key][0] for key in keys}:
            _mark_used(self.folder / name)
        out = np.empty((len(keys), *self.shape), self.dtype)
        for position, key in enumerate(keys):
            chunk, row = self._places[key]
            out[position] = self._chunks[chunk][row]
        return out

    def _pack(self, rows: Rows) -> pa.Array:
        return _fixed(rows, rows.dtype.itemsize * int(np.prod(self.shape)), len(rows))

    def _open(self, path: Path) -> None:
        # The mapping lives as long as the arrays that point into it.
        batch = pa.ipc.open_file(pa.memory_map(str(path))).get_batch(0)
        keys = np.frombuffer(batch.column(0).buffers()[1], np.uint8).reshape(-1, 32)
        rows = np.frombuffer(batch.column(1).buffers()[1], self.dtype)
        self._chunks[path.name] = rows[: len(batch) * int(np.prod(self.shape))].reshape(
            len(batch), *self.shape
        )
        for row, key in enumerate(keys[: len(batch)]):
            self._places[key.tobytes().hex()] = (path.name, row)


def _mark_used(path: Path) -> None:
    """Let the file's time say when it was last read, to the hour: pruning goes by it."""
    # Another process may have pruned it since it was opened; what is mapped stays readable.
    with contextlib.suppress(OSError):
        if time.time() - path.stat().st_mtime > 3600:
            os.utime(path)


def _fixed(content: Any, width: int, count: int) -> pa.Array:
    return pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(width), count, [None, pa.py_buffer(content)]
    )
