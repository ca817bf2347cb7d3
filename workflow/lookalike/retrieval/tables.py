"""Tables of embeddings, by their path or in memory, as items to rank: read and checked."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lookalike.data.links import resolved_files
from lookalike.embedding.columns import NamedColumns, texts_of
from lookalike.embedding.tables import (
    is_exact_in_float32,
    read_metadata,
    read_names,
    read_numbers,
    read_vectors,
)
from lookalike.errors import LookalikeError
from lookalike.retrieval.relevance import Texts, as_texts, repeated
from lookalike.retrieval.streams import Items
from lookalike.storage.parquet import read_table
from lookalike.text import quoted, shown_path, visible

log = logging.getLogger(__name__)

_ROWS_AT_ONCE = 32_768

TableSource: TypeAlias = (
    "str | os.PathLike[str] | Mapping[str, Any] | pa.Table | NDArray[Any] | NamedColumns"
)
"""A table of embeddings: the path of a parquet file or of a folder of such; its columns in a
mapping, a data frame or an Arrow table; or the embeddings alone, an array [n, d] of numbers.

Embeddings that are read from a file, or lie in a memory map, are never in memory all at once.
"""

Folders: TypeAlias = "tuple[Path | None, Path | None]"

AttributeFiles: TypeAlias = "tuple[Path, Path]"
"""Tables of attributes of the queries and of the gallery, see `lookalike.data.attributes`."""


def attribute_files(
    queries: str | Sequence[str], gallery: str | Sequence[str]
) -> AttributeFiles | None:
    """Both tables by their paths; None where there are none, and a job's input is an empty list."""
    return (Path(str(queries)), Path(str(gallery))) if queries and gallery else None


@dataclass(frozen=True)
class EmbeddingTable(Items):
    """Items that may have been read from a file.

    Attributes:
        numbers: as `vectors`, in the table's own type of number.
        metadata: what the table says of itself, see `lookalike.embedding.tables`.
        is_exact: whether every number that the embeddings' type can hold is a float32.
        is_file: whether it was read from a file.

    """

    numbers: Callable[[], Iterable[NDArray[Any]]] = list
    metadata: Callable[[], Mapping[str, Any]] = dict
    is_exact: Callable[[], bool] = bool
    is_file: bool = False


def two_tables(
    queries: TableSource,
    gallery: TableSource,
    exclude: str = "none",
    folders: Folders = (None, None),
    *,
    same: Sequence[str] = (),
    within: Sequence[str] = (),
    attributes: AttributeFiles | None = None,
    labelled: bool = True,
) -> tuple[EmbeddingTable, EmbeddingTable]:
    """Open the queries and the gallery of an evaluation, or of what looks at no label.

    Args:
        queries: a table with `image_id` and `label`; with `sha256` if `exclude` compares that.
        gallery: likewise.
        exclude: see `lookalike.retrieval.settings.MetricsSettings`.
        folders: where the images lie, for `exclude="same_file"`.
        same, within: names of attributes, see `MetricsSettings`.
        attributes: tables that have them; None where they are columns of the two themselves.
        labelled: whether labels are read.

    Raises:
        LookalikeError: a table cannot be used, or the two are not of one model.

    """
    columns = [
        "image_id",
        *(["label"] if labelled else []),
        *(["sha256"] if exclude == "same_content" else []),
    ]
    named = list(dict.fromkeys([*same, *within]))
    sides = []
    for source, name, folder, known in zip(
        (queries, gallery),
        ("the queries", "the gallery"),
        folders,
        attributes or (None, None),
        strict=True,
    ):
        own = [] if known else named
        table, names = open_table(source, name, [*columns, *own])
        require_rows(table, "evaluate")
        if known:
            names |= _attributes_of(known, table.ids, named)
        sides.append(
            replace(
                table,
                labels=names.get("label", table.labels),
                keys=_exclusion_keys(names, exclude, folder),
                same=[names[column] for column in same],
                within=[names[column] for column in within],
            )
        )
    asked, searched = sides
    require_one_width(asked, searched)
    if exclude == "none":
        _warn_of_itself(asked, searched)
    if exclude in ("same_id", "same_content"):
        _tell_what_is_left_out(asked, searched, exclude)
    return asked, searched


def _attributes_of(path: Path, ids: Texts, columns: Sequence[str]) -> dict[str, pa.StringArray]:
    """Some attributes of images, null where an image has none, in the order of `ids`."""
    table = read_table(path, ["image_id", *columns])
    rows = pc.index_in(as_texts(ids), as_texts(table["image_id"]))
    return {column: as_texts(table[column]).take(rows) for column in columns}


def open_table(
    source: TableSource, name: str, columns: Sequence[str]
) -> tuple[EmbeddingTable, dict[str, pa.StringArray]]:
    """Open a table: its names are read and checked, its embeddings are read when needed.

    Args:
        source: the table.
        name: what messages call a table that is in memory.
        columns: those of text to read. Without `image_id` among them, a table that lacks it is
            taken as well; its rows are then called by their number, from 0.

    Returns:
        The table, without labels, and the columns.

    Raises:
        LookalikeError: the message says which table, which column or rows, and why.

    """
    if isinstance(source, NamedColumns):
        name, source = source.name, source.columns
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        names = read_names(path, list(dict.fromkeys(["image_id", *columns])))
        table = _table_of_file(path, names["image_id"])
    else:
        names, numbers = _columns_in_memory(source, Path(name), columns)
        table = _table_in_memory(name, names["image_id"], numbers)
    ids = names["image_id"]
    if (twice := repeated(ids)) is not None:
        raise LookalikeError(
            f"{shown_path(table.name)}: image_id {quoted(twice)} is there twice; each id names one "
            "row"
        )
    for column, values in names.items():
        _require_visible(table.name, column, values, ids)
    return table, names


def _table_of_file(path: Path, ids: pa.StringArray) -> EmbeddingTable:
    return EmbeddingTable(
        ids=ids,
        labels=pa.nulls(len(ids), pa.string()),
        vectors=lambda: read_vectors(path),
        name=str(path),
        numbers=lambda: read_numbers(path),
        metadata=lambda: read_metadata(path),
        is_exact=lambda: is_exact_in_float32(path),
        is_file=True,
    )


def _table_in_memory(name: str, ids: pa.StringArray, numbers: NDArray[Any]) -> EmbeddingTable:
    def pieces() -> Iterator[NDArray[Any]]:
        # A memory map is then read as it is used.
        yield from (
            numbers[at : at + _ROWS_AT_ONCE] for at in range(0, len(numbers), _ROWS_AT_ONCE)
        )

    def vectors() -> Iterator[NDArray[np.float32]]:
        for piece in pieces():
            with np.errstate(over="ignore"):  # beyond float32 becomes infinite, and is refused
                yield piece.astype(np.float32, copy=False)

    return EmbeddingTable(
        ids=ids,
        labels=pa.nulls(len(ids), pa.string()),
        vectors=vectors,
        name=name,
        numbers=pieces,
        is_exact=lambda: np.can_cast(numbers.dtype, np.float32, "safe"),
    )


def _columns_in_memory(
    source: Any, name: Path, columns: Sequence[str]
) -> tuple[dict[str, pa.StringArray], NDArray[Any]]:
    """Columns of text, and the embeddings [n, d]; `image_id` is always there."""
    if isinstance(source, pa.Table):
        source = {column: source.column(column) for column in source.column_names}
    elif not (isinstance(source, Mapping) or hasattr(source, "columns")):
        source = {"embedding": source}
    missing = [column for column in [*columns, "embedding"] if column not in source]
    if missing:
        raise LookalikeError(f"{shown_path(name)}: there is no column '{missing[0]}'")
    numbers = _matrix(name, source["embedding"])
    names = {
        column: _texts(name, column, source[column])
        for column in dict.fromkeys(["image_id", *columns])
        if column in source
    }
    for column, values in names.items():
        if len(values) != len(numbers):
            raise LookalikeError(
                f"{shown_path(name)}: column '{column}' has {len(values)} rows, 'embedding' has "
                f"{len(numbers)}"
            )
    if "image_id" not in names:
        names["image_id"] = pa.array(np.arange(len(numbers))).cast(pa.string())
    return names, numbers


def _texts(name: Path, column: str, values: Any) -> pa.StringArray:
    try:
        array = values if isinstance(values, pa.ChunkedArray) else pa.array(values)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise LookalikeError(
            f"{shown_path(name)}: column '{column}' must be text or whole numbers: {error}"
        ) from error
    chunks = array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array])
    return texts_of(name, column, chunks, lambda _, row: f"row {row}")


def _matrix(name: Path, values: Any) -> NDArray[Any]:
    """Embeddings as one array [n, d] of numbers."""
    if isinstance(values, pa.Array | pa.ChunkedArray):
        values = values.to_numpy(zero_copy_only=False)
    try:
        array: NDArray[Any] = np.asanyarray(values)
        if array.dtype == object and array.ndim == 1 and len(array):
            array = np.stack(array.tolist())
    except (ValueError, TypeError):  # lists of different lengths, or no lists
        array = np.empty(0, object)
    if array.ndim != 2 or array.dtype.kind not in "fiu" or array.shape[1] == 0:
        raise LookalikeError(
            f"{shown_path(name)}: the embeddings must be numbers, as many in each row: an array "
            f"[n, d] (what is there has the shape {list(array.shape)} and holds {array.dtype})"
        )
    return array


def require_rows(table: EmbeddingTable, purpose: str) -> None:
    """Raise a LookalikeError where there is no row."""
    if len(table.ids) == 0:
        raise LookalikeError(
            f"{shown_path(table.name)}: the table has no rows; there is nothing to {purpose}"
        )


def require_one_width(queries: EmbeddingTable, gallery: EmbeddingTable) -> None:
    """Raise a LookalikeError where the embeddings have not as many values; both have rows."""
    widths = [next(iter(side.vectors())).shape[1] for side in (queries, gallery)]
    if widths[0] != widths[1]:
        raise LookalikeError(
            f"{queries.name} holds embeddings of {widths[0]} values, {gallery.name} of "
            f"{widths[1]}; both must come from one model"
        )


def _require_visible(name: str, column: str, values: pa.StringArray, ids: pa.StringArray) -> None:
    """Refuse texts of which nothing can be seen, as the workflow does; a name may be blanks."""
    blank = [
        text
        for text in values.unique().to_pylist()
        if not (text if column == "image_id" else visible(text).strip())
    ]
    if blank:
        rows = pc.is_in(values, value_set=pa.array(blank, pa.string()))
        first = str(ids[pc.index(rows, value=True).as_py()])
        raise LookalikeError(
            f"{shown_path(name)}: column '{column}' is empty or blank in {pc.sum(rows).as_py()} "
            f"row(s), the first is of image {quoted(first)}. Each row needs one; leave "
            "such rows out"
        )


def _exclusion_keys(
    names: dict[str, pa.StringArray], exclude: str, folder: Path | None
) -> Texts | None:
    """Return what a query and the gallery items it leaves out have in common."""
    if exclude == "none":
        return None
    if exclude == "same_id":
        return names["image_id"]
    if exclude == "same_content":
        return names["sha256"]
    if folder is None:
        raise LookalikeError(
            "exclude: same_file compares image files, so it needs the folders of the query and "
            "gallery images; tables alone can use same_id or same_content"
        )
    return resolved_files(folder, names["image_id"].to_pylist())


def _warn_of_itself(queries: Items, gallery: Items) -> None:
    """Say so where queries may find themselves: one table searched in itself, say."""
    shared = pc.sum(pc.is_in(as_texts(queries.ids), as_texts(gallery.ids))).as_py()
    if shared:
        log.warning(
            "warning: %d of %d queries have the image_id of a gallery item. If that is the same "
            "image, each finds itself first: leave it out with --exclude same_id",
            shared,
            len(queries.ids),
        )


def _tell_what_is_left_out(queries: Items, gallery: Items, exclude: str) -> None:
    """Say how many queries leave something out; warn where ids were to match and none does."""
    there = pc.sum(pc.is_in(as_texts(queries.keys or []), as_texts(gallery.keys or []))).as_py()
    if there or exclude != "same_id":
        log.info(
            "exclude: %s leaves something out for %d of %d queries",
            exclude,
            there or 0,
            len(queries.ids),
        )
        return
    log.warning(
        "warning: exclude: same_id leaves out nothing: no query has the image_id of a gallery "
        "item. The queries are called %s, the gallery's items %s. If they are the same images, "
        "write their ids alike (a reader of CSV takes 0001 for the number 1)",
        *(", ".join(quoted(str(name)) for name in side.ids[:3]) for side in (queries, gallery)),
    )
