"""Tables of embeddings that were made of another table's, not by a network."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.embedding.tables import read_metadata, read_names, write_embeddings
from lookalike.storage.digests import digest_of


def write_transformed(
    source: Path,
    output: Path,
    vectors: Iterable[NDArray[np.float32]],
    width: int,
    *,
    score: str | None = None,
    made_by: Any = None,
) -> None:
    """Write a table of the same images with other embeddings.

    Args:
        source: the table that they were made of.
        output: the table to write.
        vectors: in the order of `source`, in blocks of any size: float32 [m, width]; read as they
            are written.
        width: numbers in an embedding.
        score: what they are compared by; None for what those of `source` are.
        made_by: what was done to them, as JSON holds it, where they cannot be compared with those
            of `source` any more: the table then names a model of its own.

    Raises:
        ValueError: there are not as many as in `source`.

    """
    names = read_names(source, ["image_id", "label", "sha256"])
    metadata = read_metadata(source)
    write_embeddings(
        output,
        names["image_id"].to_pylist(),
        names["label"].to_pylist(),
        names["sha256"].to_pylist(),
        _InOrder(iter(vectors), (len(names["image_id"]), width)),
        transformed_metadata(metadata, score, made_by),
    )


def transformed_metadata(
    metadata: Mapping[str, Any], score: str | None, made_by: Any
) -> dict[str, Any]:
    """What a table says of itself that was made of another one, see `write_transformed`."""
    digest = metadata["model_digest"]
    if made_by is not None:
        digest = digest_of([digest, made_by], length=32)
    return {**metadata, "model_digest": digest, "score": score or metadata["score"]}


class _InOrder:
    """Rows that come in blocks, as slices that are asked for one after the other."""

    def __init__(self, blocks: Iterator[NDArray[np.float32]], shape: tuple[int, int]) -> None:
        self.shape: tuple[int, ...] = shape
        self._blocks, self._done = blocks, 0
        self._held = np.empty((0, shape[1]), np.float32)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any, /) -> NDArray[np.float32]:
        start, stop, _ = rows.indices(len(self))
        if start != self._done:
            raise ValueError(f"rows from {start} were asked for after those up to {self._done}")
        pieces, n = [self._held], len(self._held)
        while n < stop - start:
            block = next(self._blocks, None)
            if block is None:
                raise ValueError(f"{start + n} rows came in place of {len(self)}")
            pieces, n = [*pieces, block], n + len(block)
        joined = np.concatenate(pieces)
        self._done, self._held = stop, joined[stop - start :]
        if stop == len(self) and (len(self._held) or next(self._blocks, None) is not None):
            raise ValueError(f"more than {len(self)} rows came")
        return joined[: stop - start]
