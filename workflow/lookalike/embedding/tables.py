"""Embedding tables: parquet files of one row per image, read in blocks and written whole.

A table is one file, or a folder of parts (see `lookalike.embedding.parts`). It has the columns
`image_id`, `label` and `embedding`, Lookalike's own also `sha256` of the image file. The file's
schema metadata holds, under `lookalike`, a JSON object with `model_digest`, `image` (the image
settings), `score` and `version`.
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

from lookalike.embedding.columns import is_number, texts_of
from lookalike.embedding.parts import Part, folder_values, parts_of, require_agreement
from lookalike.errors import LookalikeError
from lookalike.storage.files import whole
from lookalike.storage.parquet import (
    columns_of,
    opened,
    read_columns,
    reading,
    require_all,
    require_columns,
)
from lookalike.storage.rows import RowSource
from lookalike.text import quoted, shown_path

METADATA_KEY = b"lookalike"
GIVEN_KEY = "given"
"""In the metadata where embeddings came from elsewhere: then no model is known that made them."""

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
            `version`; of embeddings from elsewhere `given`, too.

    """
    n, dimension = vectors.shape
    text = json.dumps(metadata, sort_keys=True, allow_nan=False)
    names = ("image_id", "label", "sha256")
    schema = pa.schema(
        [*((name, pa.string()) for name in names), ("embedding", pa.list_(pa.float32(), dimension))]
    ).with_metadata({METADATA_KEY: text})
    with (
        whole(path) as beside,
        pq.ParquetWriter(
            beside, schema, compression="zstd", use_dictionary=["label"], write_page_checksum=True
        ) as file,
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
        LookalikeError: the file is missing, is no parquet file, or its metadata is no JSON object;
            two parts of a folder have not the same.

    """
    parts = parts_of(path)
    first = _metadata_of(parts[0].path)
    for part in parts[1:]:
        if _metadata_of(part.path) != first:
            raise LookalikeError(
                f"{shown_path(path)}: the parts are not of one table: {parts[0].path.name} and "
                f"{part.path.name} name another model, score or image settings"
            )
    return first


def _metadata_of(path: Path) -> dict[str, Any]:
    with opened(path) as file:
        text = (columns_of(path, file).metadata or {}).get(METADATA_KEY, b"{}")
    try:
        metadata = json.loads(text)
    except (ValueError, RecursionError):
        metadata = None
    if not isinstance(metadata, dict):
        raise LookalikeError(
            f"{shown_path(path)}: the schema metadata under 'lookalike' is not a JSON object"
        )
    return metadata


def read_names(path: str | Path, columns: Sequence[str]) -> dict[str, pa.StringArray]:
    """Read columns of text: `image_id`, `label`, `sha256`.

    Any reader's types will do: string, large string, view or dictionary, also whole numbers, which
    are written in decimal; those that pandas has made floating-point (7.0) too.

    Raises:
        LookalikeError: the file is missing or no parquet file; a column is missing or of another
            type, or there twice; a value is null, or not what its part's folder says; a column
            holds text in one part and numbers in another.

    """
    parts = parts_of(path)
    found: dict[str, list[pa.StringArray]] = {column: [] for column in columns}
    kinds: dict[tuple[str, bool], Part] = {}
    of_folders = {column: folder_values(parts, column) for column in columns}
    for place, part in enumerate(parts):
        with opened(part.path) as file:
            present = columns_of(part.path, file).names
            here = [name for name in columns if name in present or name not in part.values]
            table = read_columns(part.path, file, here)
        for column in columns:
            if column not in here:
                value = of_folders[column][place]
                found[column].append(_repeated(part, column, value, len(table)))
                continue
            values = table.column(column)
            if len(values):
                kinds.setdefault((column, is_number(values.type)), part)
            texts = texts_of(part.path, column, values, _name_of)
            require_agreement(part, column, texts, of_numbers=is_number(values.type))
            found[column].append(texts)
    for column in columns:
        if (column, True) in kinds and (column, False) in kinds:
            one, other = (kinds[column, number].path for number in (False, True))
            raise LookalikeError(
                f"{shown_path(path)}: column '{column}' holds text in {one.name} and numbers in "
                f"{other.name}; write all parts alike"
            )
    del table
    with reading(Path(path)):
        names = {
            column: values[0] if len(values) == 1 else pa.concat_arrays(values)
            for column, values in found.items()
        }
    # Reading leaves several times the memory of the names with Arrow, for other reading.
    pa.default_memory_pool().release_unused()
    return names


def _repeated(part: Part, column: str, value: str | None, n_rows: int) -> pa.StringArray:
    """What a part's folders say of a column, for each of its rows."""
    if value is None or not n_rows:
        if n_rows:
            raise LookalikeError(
                f"{shown_path(part.path)}: column '{column}' has empty values, as its folder says; "
                "each row needs one. Leave such rows out"
            )
        return pa.array([], pa.string())
    return pa.repeat(pa.scalar(value, pa.string()), n_rows)


def read_vectors(path: str | Path, *, rows: int | None = None) -> Iterator[NDArray[np.float32]]:
    """Yield the embeddings in order, at most `rows` at a time: float32 [m, d], m >= 1.

    Any list of numbers will do. By default some ten megabytes are in memory at a time, however the
    file is laid out.

    Raises:
        LookalikeError: the file is missing or no parquet file; the column `embedding` is missing or
            of another type; an embedding is null, or of another length than the others.

    """
    for vectors in read_numbers(path, rows=rows):
        # Beyond float32 becomes infinite, and is refused as that; so is any NaN.
        with np.errstate(over="ignore", invalid="ignore"):
            yield vectors.astype(np.float32, copy=False)


def read_numbers(path: str | Path, *, rows: int | None = None) -> Iterator[NDArray[Any]]:
    """As `read_vectors`, in the table's own type of number."""
    parts = parts_of(path)
    vectors = _numbers_of(parts, rows)
    yield from vectors if len(parts) == 1 else _gathered(vectors, rows or 1024)


def is_exact_in_float32(path: str | Path) -> bool:
    """Whether every number that the embeddings' type can hold is a float32."""
    exact = {"halffloat", "float", "int8", "uint8", "int16", "uint16"}
    for part in parts_of(path):
        with opened(part.path) as file:
            schema = columns_of(part.path, file)
        require_columns(part.path, schema, ["embedding"])
        kind = schema.field("embedding").type
        kind = kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind
        if _is_list(kind) and str(kind.value_type) not in exact:
            return False
    return True


def _numbers_of(parts: Sequence[Part], rows: int | None) -> Iterator[NDArray[Any]]:
    dimension = None
    for part in parts:
        start, path = 0, part.path
        with opened(path) as file:
            require_columns(path, columns_of(path, file), ["embedding"])
            with reading(path):
                at_once = rows or _rows_at_once(file)
                batches = file.iter_batches(batch_size=at_once, columns=["embedding"])
            while True:
                with reading(path):
                    batch = next(batches, None)
                if batch is None:
                    break
                if len(batch) == 0:
                    continue
                vectors = _vectors(path, batch.column("embedding"), start)
                dimension = dimension or vectors.shape[1]
                if vectors.shape[1] != dimension:
                    raise _ragged(path, start, vectors.shape[1], dimension)
                yield vectors
                start += len(vectors)
            with reading(path):
                require_all(start, file)


def _gathered(arrays: Iterator[NDArray[Any]], rows: int) -> Iterator[NDArray[Any]]:
    """The same rows in fewer arrays: small parts are joined up to so many rows."""
    held: list[NDArray[Any]] = []
    for array in arrays:
        if held and sum(map(len, held)) + len(array) > rows:
            yield np.concatenate(held)
            held = []
        held.append(array)
    if held:
        yield np.concatenate(held)


def _rows_at_once(file: pq.ParquetFile) -> int:
    """Rows whose embeddings take some ten megabytes, by the first of them.

    The file's own word on the size of a column is not asked for: where that is damaged, pyarrow
    ends the process.
    """
    first = next(file.iter_batches(batch_size=1, columns=["embedding"]), None)
    of_a_row = max(4, 0 if first is None else first.nbytes)
    return int(max(1024, min(32_768, _BYTES_AT_ONCE // of_a_row)))


def _is_list(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )


def _vectors(path: Path, values: pa.Array, start: int) -> NDArray[Any]:
    """A list column as numbers [n, d]; its rows are those from `start` on."""
    if isinstance(values, pa.ExtensionArray):
        values = values.storage
    kind = values.type
    if not _is_list(kind) or not (
        pa.types.is_floating(kind.value_type) or pa.types.is_integer(kind.value_type)
    ):
        raise LookalikeError(
            f"{shown_path(path)}: column 'embedding' is of type {kind}; it must hold a list of "
            "numbers a row"
        )
    if values.null_count:
        empty = start + values.is_null().to_pylist().index(True)
        raise LookalikeError(
            f"{shown_path(path)}: {_name_of(path, empty)} has no embedding. Leave such rows out"
        )
    sizes = np.asarray(values.value_lengths())
    usual = int(np.bincount(sizes).argmax())
    for row in np.flatnonzero(sizes != usual).tolist():
        raise _ragged(path, start + row, sizes[row], usual)
    if usual == 0:
        raise LookalikeError(
            f"{shown_path(path)}: the embeddings have no values (lists of length 0)"
        )
    flat = values.flatten()
    if flat.null_count:
        rows = np.unique(np.flatnonzero(np.asarray(flat.is_null())) // usual)
        raise LookalikeError(
            f"{shown_path(path)}: there are empty values inside the embeddings of {len(rows)} "
            f"image(s), the first is {_name_of(path, start + int(rows[0]))}. pandas writes NaN so: "
            "the model that made them has diverged, or an image's values overflow"
        )
    vectors: NDArray[Any] = flat.to_numpy(zero_copy_only=False)
    return vectors.reshape(len(values), -1)


def _ragged(path: Path, row: int, length: int, expected: int) -> LookalikeError:
    return LookalikeError(
        f"{shown_path(path)}: the embedding of {_name_of(path, row)} has {length} values where "
        f"others have {expected}; one table holds the embeddings of one model"
    )


def _name_of(path: Path, row: int) -> str:
    """What a message calls a row: its image, or its number where that cannot be told."""
    try:
        with opened(path) as file:
            ids = read_columns(path, file, ["image_id"]).column("image_id")
        return quoted(str(ids[row].as_py()))
    except LookalikeError:
        return f"row {row}"
