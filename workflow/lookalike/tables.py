"""Embedding tables: parquet files of one row per image, read in blocks and written whole.

A table has the columns `image_id`, `label` and `embedding`, Lookalike's own also `sha256` of the
image file. The file's schema metadata holds, under `lookalike`, a JSON object with `model_digest`,
`image` (the image settings), `score` and `version`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from lookalike.errors import LookalikeError
from lookalike.files import whole
from lookalike.quoting import quoted
from lookalike.rows import RowSource

METADATA_KEY = b"lookalike"

# Small enough that a reader never holds more than a few megabytes of embeddings it did not ask for.
_ROWS_PER_GROUP = 8192
_BYTES_AT_ONCE = 16 * 2**20


def write_embeddings(
    path: str | Path,
    image_ids: Sequence[str],
    labels: Sequence[str],
    sha256s: Sequence[str],
    vectors: RowSource,
    metadata: Mapping[str, Any],
) -> None:
    """Write an embeddings table, in the order given; equal arguments give equal bytes.

    One group of rows is in memory at a time.

    Args:
        path: the parquet file to write.
        image_ids: n names, unique.
        labels: n labels.
        sha256s: n digests of the image files.
        vectors: [n, d], stored as fixed_size_list<float32>[d]; read in slices.
        metadata: JSON-serialisable; `model_digest`, `image`, `score` ("cosine" | "euclidean") and
            `version`.

    """
    n, dimension = vectors.shape
    text = json.dumps(metadata, sort_keys=True, allow_nan=False)
    names = ("image_id", "label", "sha256")
    schema = pa.schema(
        [*((name, pa.string()) for name in names), ("embedding", pa.list_(pa.float32(), dimension))]
    ).with_metadata({METADATA_KEY: text})
    with (
        whole(path) as beside,
        pq.ParquetWriter(beside, schema, compression="zstd", use_dictionary=["label"]) as file,
    ):
        for start in range(0, max(n, 1), _ROWS_PER_GROUP):
            rows = slice(start, start + _ROWS_PER_GROUP)
            flat = np.ascontiguousarray(vectors[rows], dtype=np.float32).ravel()
            columns = [
                pa.array(values[rows], pa.string()) for values in (image_ids, labels, sha256s)
            ]
            embedding = pa.FixedSizeListArray.from_arrays(pa.array(flat, pa.float32()), dimension)
            file.write_table(pa.table([*columns, embedding], schema=schema))


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


def read_names(path: str | Path, columns: Sequence[str]) -> dict[str, pa.StringArray]:
    """Read columns of text: `image_id`, `label`, `sha256`.

    Any reader's types will do: string, large string, view or dictionary, also whole numbers, which
    are written in decimal.

    Raises:
        LookalikeError: the file is missing or no parquet file; a column is missing or of another
            type; a value is null.

    """
    with _open(path) as file:
        present = file.schema_arrow.names
        for column in columns:
            if column not in present:
                raise LookalikeError(
                    f"{path}: there is no column '{column}'; the columns are {', '.join(present)}"
                )
        table = file.read(columns=list(columns))
    names = {column: _texts(path, column, table.column(column)) for column in columns}
    del table
    # Reading leaves several times the memory of the names with Arrow, for other reading.
    pa.default_memory_pool().release_unused()
    return names


def read_vectors(path: str | Path, *, rows: int | None = None) -> Iterator[NDArray[np.float32]]:
    """Yield the embeddings in order, at most `rows` at a time: float32 [m, d], m >= 1.

    Any list of floats will do. By default some ten megabytes are in memory at a time, however the
    file is laid out.

    Raises:
        LookalikeError: the file is missing or no parquet file; the column `embedding` is missing or
            of another type; an embedding is null, or of another length than the others.

    """
    with _open(path) as file:
        present = file.schema_arrow.names
        if "embedding" not in present:
            raise LookalikeError(
                f"{path}: there is no column 'embedding'; the columns are {', '.join(present)}"
            )
        start, dimension = 0, None
        if rows is None:
            rows = _rows_at_once(file)
        for batch in file.iter_batches(batch_size=rows, columns=["embedding"]):
            if len(batch) == 0:
                continue
            vectors = _vectors(path, batch.column("embedding"), start)
            dimension = dimension or vectors.shape[1]
            if vectors.shape[1] != dimension:
                raise _ragged(path, start, vectors.shape[1], dimension)
            yield vectors
            start += len(vectors)


def _open(path: str | Path) -> pq.ParquetFile:
    if not Path(path).is_file():
        raise LookalikeError(f"{path}: there is no such file; an embeddings table is expected here")
    try:
        # Not read ahead, nor a column of a row group at once: either may be the whole file.
        return pq.ParquetFile(path, pre_buffer=False, buffer_size=2**20)
    except pa.ArrowInvalid as error:
        raise LookalikeError(f"{path}: not a readable parquet file ({error})") from error


def _rows_at_once(file: pq.ParquetFile) -> int:
    """Rows whose embeddings take some ten megabytes, by the size of the column."""
    groups = [file.metadata.row_group(group) for group in range(file.metadata.num_row_groups)]
    size = sum(
        group.column(column).total_uncompressed_size
        for group in groups
        for column in range(group.num_columns)
        if group.column(column).path_in_schema.split(".")[0] == "embedding"
    )
    of_a_row = max(4, size // max(1, file.metadata.num_rows))
    return int(max(1024, min(32_768, _BYTES_AT_ONCE // of_a_row)))


def _texts(path: str | Path, column: str, values: pa.ChunkedArray) -> pa.StringArray:
    """The values of a text or whole-number column as text."""
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
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
    return values.cast(pa.string()).combine_chunks()


def _vectors(path: str | Path, values: pa.Array, start: int) -> NDArray[np.float32]:
    """A list column as float32 [n, d]; its rows are those from `start` on."""
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
        empty = start + values.is_null().to_pylist().index(True)
        raise LookalikeError(
            f"{path}: {_name_of(path, empty)} has no embedding. Leave such rows out"
        )
    sizes = np.asarray(values.value_lengths())
    usual = int(np.bincount(sizes).argmax())
    for row in np.flatnonzero(sizes != usual).tolist():
        raise _ragged(path, start + row, sizes[row], usual)
    if usual == 0:
        raise LookalikeError(f"{path}: the embeddings have no values (lists of length 0)")
    flat = values.flatten()
    if flat.null_count:
        rows = np.unique(np.flatnonzero(np.asarray(flat.is_null())) // usual)
        raise LookalikeError(
            f"{path}: there are empty values inside the embeddings of {len(rows)} image(s), the "
            f"first is {_name_of(path, start + int(rows[0]))}. pandas writes NaN so: the model "
            "that made them has diverged, or an image's values overflow"
        )
    with np.errstate(over="ignore"):  # Beyond float32 becomes infinite, and is refused as that.
        vectors: NDArray[np.float32] = flat.to_numpy(zero_copy_only=False).astype(
            np.float32, copy=False
        )
    return vectors.reshape(len(values), -1)


def _ragged(path: str | Path, row: int, length: int, expected: int) -> LookalikeError:
    return LookalikeError(
        f"{path}: the embedding of {_name_of(path, row)} has {length} values where others have "
        f"{expected}; one table holds the embeddings of one model"
    )


def _name_of(path: str | Path, row: int) -> str:
    """What a message calls a row: its image, or its number where there is no such column."""
    if "image_id" in pq.read_schema(path).names:
        return quoted(str(read_names(path, ["image_id"])["image_id"][row]))
    return f"row {row}"
