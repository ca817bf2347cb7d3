"""Embedding tables: parquet files of one row per image, read in blocks and written whole.

A table has the columns `image_id`, `label` and `embedding`, Lookalike's own also `sha256` of the
image file. The file's schema metadata holds, under `lookalike`, a JSON object with `model_digest`,
`image` (the image settings), `score` and `version`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from lookalike.errors import LookalikeError
from lookalike.files import write_parquet

METADATA_KEY = b"lookalike"

# Small enough that a reader never holds more than a few megabytes of embeddings it did not ask for.
_ROWS_PER_GROUP = 8192


@dataclass(frozen=True)
class Rows:
    """Some rows of an embeddings table.

    Attributes:
        image_ids: n names.
        labels: n labels as text; whole numbers are written in decimal.
        vectors: float32 [n, d].
        sha256s: n digests, or None where the table has no such column or it was not asked for.

    """

    image_ids: list[str]
    labels: list[str]
    vectors: NDArray[np.float32]
    sha256s: list[str] | None = None


def write_embeddings(
    path: str | Path,
    image_ids: Sequence[str],
    labels: Sequence[str],
    sha256s: Sequence[str],
    vectors: NDArray[np.float32],
    metadata: Mapping[str, Any],
) -> None:
    """Write an embeddings table, in the order given; equal arguments give equal bytes.

    Args:
        path: the parquet file to write.
        image_ids: n names, unique.
        labels: n labels.
        sha256s: n digests of the image files.
        vectors: [n, d], stored as fixed_size_list<float32>[d].
        metadata: JSON-serialisable; `model_digest`, `image`, `score` ("cosine" | "euclidean") and
            `version`.

    """
    flat = pa.array(np.ascontiguousarray(vectors, dtype=np.float32).ravel(), pa.float32())
    embedding = pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1])
    table = pa.table(
        {
            "image_id": pa.array(image_ids, pa.string()),
            "label": pa.array(labels, pa.string()),
            "sha256": pa.array(sha256s, pa.string()),
            "embedding": embedding,
        },
        metadata={METADATA_KEY: json.dumps(metadata, sort_keys=True, allow_nan=False)},
    )
    write_parquet(path, table, row_group_size=_ROWS_PER_GROUP, use_dictionary=["label"])


def read_metadata(path: str | Path) -> dict[str, Any]:
    """Return the table's `lookalike` metadata, empty where the file was made elsewhere.

    Raises:
        LookalikeError: the file is missing, is no parquet file, or its metadata is no JSON object.

    """
    with _open(path) as file:
        text = (file.schema_arrow.metadata or {}).get(METADATA_KEY, b"{}")
    try:
        metadata = json.loads(text)
    except ValueError:
        metadata = None
    if not isinstance(metadata, dict):
        raise LookalikeError(f"{path}: the schema metadata under 'lookalike' is not a JSON object")
    return metadata


def read_blocks(path: str | Path, *, rows: int = 8192, sha256: bool = False) -> Iterator[Rows]:
    """Yield the table's rows in order, at most `rows` at a time.

    Any reader's types will do: text as string, large string, view or dictionary, labels also as
    whole numbers, embeddings as any list of floats.

    Args:
        path: a parquet file with `image_id`, `label`, `embedding`.
        rows: the size of a block.
        sha256: read the `sha256` column too, which must then be there.

    Raises:
        LookalikeError: the file is missing or no parquet file; a column is missing or of another
            type; a value is null; the embeddings are of different lengths.

    """
    columns = ["image_id", "label", "embedding", *(["sha256"] if sha256 else [])]
    with _open(path) as file:
        present = file.schema_arrow.names
        for column in columns:
            if column not in present:
                raise LookalikeError(
                    f"{path}: there is no column '{column}'; the columns are {', '.join(present)}"
                )
        dimension = None
        for batch in file.iter_batches(batch_size=rows, columns=columns):
            if len(batch) == 0:
                continue
            image_ids = _texts(path, "image_id", batch.column("image_id"))
            vectors = _vectors(path, batch.column("embedding"), image_ids)
            dimension = dimension or vectors.shape[1]
            if vectors.shape[1] != dimension:
                raise _ragged(path, image_ids[0], vectors.shape[1], dimension)
            yield Rows(
                image_ids=image_ids,
                labels=_texts(path, "label", batch.column("label")),
                vectors=vectors,
                sha256s=_texts(path, "sha256", batch.column("sha256")) if sha256 else None,
            )


def _open(path: str | Path) -> pq.ParquetFile:
    if not Path(path).is_file():
        raise LookalikeError(f"{path}: there is no such file; an embeddings table is expected here")
    try:
        return pq.ParquetFile(path)
    except pa.ArrowInvalid as error:
        raise LookalikeError(f"{path}: not a readable parquet file ({error})") from error


def _texts(path: str | Path, column: str, values: pa.Array) -> list[str]:
    """The values of a text or whole-number column as text."""
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    kind = values.type
    if not (
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_string_view(kind)
        or pa.types.is_integer(kind)
        or pa.types.is_null(kind)
    ):
        raise LookalikeError(
            f"{path}: column '{column}' is of type {kind}; it must be text or whole numbers"
        )
    if values.null_count:
        raise LookalikeError(
            f"{path}: column '{column}' has empty values; each row needs one. Leave such rows out"
        )
    return [str(value) for value in values.to_pylist()]


def _vectors(path: str | Path, values: pa.Array, image_ids: list[str]) -> NDArray[np.float32]:
    """A list column as float32 [n, d]."""
    if isinstance(values, pa.ExtensionArray):
        values = values.storage
    kind = values.type
    listed = (
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )
    if not (listed and pa.types.is_floating(kind.value_type)):
        raise LookalikeError(
            f"{path}: column 'embedding' is of type {kind}; it must hold a list of floats a row"
        )
    if values.null_count:
        empty = image_ids[values.is_null().to_pylist().index(True)]
        raise LookalikeError(f"{path}: image '{empty}' has no embedding. Leave such rows out")
    lengths = np.asarray(values.value_lengths())
    usual = int(np.bincount(lengths).argmax())
    for row in np.flatnonzero(lengths != usual):
        raise _ragged(path, image_ids[row], lengths[row], usual)
    if lengths[0] == 0:
        raise LookalikeError(f"{path}: the embeddings have no values (lists of length 0)")
    flat = values.flatten()
    if flat.null_count:
        raise LookalikeError(f"{path}: there are empty values inside the embeddings")
    with np.errstate(over="ignore"):  # Beyond float32 becomes infinite, and is refused as that.
        vectors: NDArray[np.float32] = flat.to_numpy(zero_copy_only=False).astype(np.float32)
    return vectors.reshape(len(values), -1)


def _ragged(path: str | Path, image_id: str, length: int, expected: int) -> LookalikeError:
    return LookalikeError(
        f"{path}: the embedding of '{image_id}' has {length} values where others have {expected}; "
        "one table holds the embeddings of one model"
    )
