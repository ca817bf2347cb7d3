"""Tables that a person gives: CSV or parquet, with the place of each row in the file.

Imports nothing heavy: the Snakefile uses it.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from lookalike.errors import LookalikeError
from lookalike.text import quoted, shown_path


class GivenTable(NamedTuple):
    """A table as it was read.

    names: of all columns. values: of a column, by its name. place_of: of a row, counted from 0,
    where a person finds it in the file.
    """

    names: Sequence[str]
    values: Callable[[str], list[Any]]
    place_of: Callable[[int], str]


def _parquet(table: Path) -> GivenTable:
    from lookalike.storage.parquet import columns_of, opened, read_columns

    file = opened(table)
    return GivenTable(
        columns_of(table, file).names,
        lambda name: read_columns(table, file, [name])[name].to_pylist(),
        lambda place: f"row {place + 1:,}",
    )


def _csv(table: Path) -> GivenTable:
    try:
        with table.open(encoding="utf-8-sig", newline="") as stream:
            first = stream.readline()
            delimiter = max(",;\t", key=first.count)
            stream.seek(0)
            reader = csv.reader(stream, delimiter=delimiter, strict=True)
            names = next(reader, [])
            rows, lines, line = [], [], reader.line_num + 1
            for row in reader:
                # Where it begins: a value in quotes may go over lines, and blank ones are no rows.
                begins, line = line, reader.line_num + 1
                if not row:
                    continue
                if len(row) != len(names):
                    raise LookalikeError(
                        f"{shown_path(table)}: line {begins:,} has {len(row)} values, and "
                        f"the first line names {len(names)} columns; a value that holds "
                        f"{quoted(delimiter)} must stand in double quotes"
                    )
                rows.append(row)
                lines.append(begins)
    except OSError as error:
        raise LookalikeError(f"{shown_path(table)}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise LookalikeError(
            f"{shown_path(table)}: is not UTF-8 text (byte {error.start + 1:,}); save it as UTF-8"
        ) from None
    except csv.Error as error:
        raise LookalikeError(
            f"{shown_path(table)}: is no CSV: line {reader.line_num:,}: {error}; save it as CSV "
            "with commas, or as parquet"
        ) from None
    return GivenTable(
        names,
        lambda name: [row[names.index(name)] for row in rows],
        lambda place: f"line {lines[place]:,}",
    )


TABLE_READERS = {
    **dict.fromkeys((".csv", ".tsv", ".txt"), _csv),
    **dict.fromkeys((".parquet", ".pq"), _parquet),
}
"""What reads a table, by the ending of its name."""
