"""Reading parquet files: one that is damaged, or is none, ends in a message that names it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from lookalike.errors import LookalikeError
from lookalike.storage.strays import KIND_BYTES, pointer, table_of_another_kind
from lookalike.text import shown_path

if TYPE_CHECKING:
    import pandas as pd  # Arrow loads it for `to_pandas` alone: what reads no frame starts sooner

# What pyarrow raises for bytes that make no sense: its own, and what Python has for a name that is
# no UTF-8, a column that is not where it should be, or a size without bounds.
_OF_DAMAGE = (pa.ArrowException, OSError, ValueError, TypeError, LookupError, OverflowError)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn whatever pyarrow raises for a damaged file into a LookalikeError that names it."""
    try:
        yield
    except _OF_DAMAGE as error:
        why = " ".join(str(error).split()) or type(error).__name__
        raise LookalikeError(
            f"{shown_path(path)}: not a readable parquet file ({why}). It is damaged or cut short, "
            "or was none: make or copy it anew"
        ) from error


def opened(path: str | Path) -> pq.ParquetFile:
    """Open a parquet file; checksums of its pages, where it has them, are looked at.

    Raises:
        LookalikeError: there is none, or it cannot be read.

    """
    path = Path(path)
    try:
        with path.open("rb") as begun:
            start = begun.read(KIND_BYTES)
    except (OSError, ValueError) as error:  # a name that is too long, or holds NUL, is no file's
        why = getattr(error, "strerror", None) or str(error)
        raise LookalikeError(f"{shown_path(path)}: cannot be read: {why}") from error
    if stands_in := pointer(start, "the table"):
        raise LookalikeError(f"{shown_path(path)}: it is {stands_in}")
    if kind := table_of_another_kind(start, path.name):
        raise LookalikeError(
            f"{shown_path(path)}: not a readable parquet file: it is {kind}. Write the table as "
            "parquet: docs/metrics.md has the lines for it, under 'From arrays and data frames'"
        )
    # pyarrow opens no name that is not UTF-8; Python does.
    is_utf8 = str(path).isascii() or os.fsencode(path) == str(path).encode("utf-8", "replace")
    with reading(path):
        # Not read ahead, nor a column of a row group at once: either may be the whole file.
        return pq.ParquetFile(
            path if is_utf8 else path.open("rb"),
            pre_buffer=False,
            buffer_size=2**20,
            page_checksum_verification=True,
        )


def columns_of(path: Path, file: pq.ParquetFile) -> pa.Schema:
    """The columns of an opened file."""
    with reading(path):
        schema = file.schema_arrow
        list(map(str, schema.names))  # none that is no UTF-8
        return schema


def read_columns(
    path: Path, file: pq.ParquetFile, columns: Sequence[str] | None = None
) -> pa.Table:
    """Columns of an opened file, all of them by default; texts are known to be valid UTF-8.

    Raises:
        LookalikeError: a column is missing or there several times, or the file is damaged.

    """
    schema = columns_of(path, file)
    require_columns(path, schema, schema.names if columns is None else columns)
    with reading(path):
        table = file.read(columns=None if columns is None else list(columns))
        table.validate(full=True)
        require_all(table.num_rows, file)
    return table


def require_columns(path: Path, schema: pa.Schema, columns: Sequence[str]) -> None:
    """See that each of these columns is there, and once: of two, none is the right one.

    Raises:
        LookalikeError: one is missing, or there are several of its name.

    """
    for column in columns:
        times = schema.names.count(column)
        if times == 0:
            raise LookalikeError(
                f"{shown_path(path)}: there is no column '{column}'; the columns are "
                f"{', '.join(schema.names)}"
            )
        if times > 1:
            raise LookalikeError(
                f"{shown_path(path)}: there are {times} columns '{column}', and it cannot be told "
                "which one is meant; write the table with one of them"
            )


def require_all(n_rows: int, file: pq.ParquetFile) -> None:
    """Raise ValueError where a column that was read is not as long as the file says."""
    if n_rows != file.metadata.num_rows:
        raise ValueError(f"{n_rows} rows in place of {file.metadata.num_rows}")


def read_table(path: str | Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Read a parquet file, or some of its columns, in their order there.

    Raises:
        LookalikeError: it is missing or damaged, or a column is.

    """
    path = Path(path)
    with opened(path) as file:
        return read_columns(path, file, columns)


def read_frame(path: str | Path, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """As `read_table`, for pandas."""
    table = read_table(path, columns)
    with reading(Path(path)):
        frame: pd.DataFrame = table.to_pandas()
    return frame
