"""A table as one file, or as a folder of part files: Spark, Dask and polars write such."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

from lookalike.errors import LookalikeError
from lookalike.quoting import shown_path

# What a folder holds that is no plain table: files that a later version has removed are there too.
_VERSIONED = {"_delta_log": "a Delta table", ".hoodie": "a Hudi table"}
_UNFINISHED = "_temporary"
_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True)
class Part:
    """One file of a table.

    Attributes:
        path: the file.
        values: of columns that its folders name (`label=cat/part-0.parquet`), the same for all of
            its rows; None is an empty value.

    """

    path: Path
    values: Mapping[str, str | None] = field(default_factory=dict)


def parts_of(path: str | Path) -> list[Part]:
    """The files of a table, in the order of their names, part.2 before part.10.

    In a folder each file is a part, also in folders named `column=value`. Names that begin with _
    or . are not looked at: by custom they are what a writer notes for itself (`_SUCCESS`,
    `_metadata`, `.part-0.crc`).

    Raises:
        LookalikeError: there is nothing, or what is there is no plain table.

    """
    path = Path(path)
    try:
        is_folder, is_file = path.is_dir(), path.is_file()
        if not is_folder:
            if is_file:
                return [Part(path)]
            what = "is not a regular file" if path.exists() else "there is no such file"
            raise LookalikeError(
                f"{shown_path(path)}: {what}; an embeddings table is expected here"
            )
        parts = list(_parts_in(path, {}))
    except (OSError, ValueError) as error:  # no permission; a name that no file can have
        why = getattr(error, "strerror", None) or str(error)
        raise LookalikeError(f"{shown_path(path)}: cannot be read: {why}") from error
    if not parts:
        raise LookalikeError(
            f"{shown_path(path)}: the folder holds no part files; an embeddings table is expected "
            "here: a parquet file, or a folder of such"
        )
    return parts


def _parts_in(folder: Path, values: Mapping[str, str | None]) -> Iterator[Part]:
    paths = sorted(folder.iterdir())
    # Where all are as long, their numbers are too, be they decimal or, of polars, hexadecimal.
    if len({len(path.name) for path in paths if not path.name.startswith(("_", "."))}) > 1:
        paths.sort(key=lambda path: _in_order(path.name))
    for path in paths:
        name = path.name
        if name in _VERSIONED:
            raise LookalikeError(
                f"{shown_path(folder)}: is {_VERSIONED[name]}, whose files are not all of one "
                "version; write the table as plain parquet"
            )
        if name == _UNFINISHED:
            raise LookalikeError(
                f"{shown_path(folder)}: has not been written to its end ({name} is in it); wait "
                "for its writer, or write it anew"
            )
        if name.startswith(("_", ".")):
            continue
        if not path.is_dir():
            yield Part(path, values)
            continue
        column, equals, value = name.partition("=")
        column = unquote(column)
        if not (column and equals) or column in values:
            raise LookalikeError(
                f"{shown_path(path)}: a folder inside a table is named column=value, each column "
                "once; name the folder of the part files themselves"
            )
        yield from _parts_in(
            path, {**values, column: None if value == _NO_VALUE else unquote(value)}
        )


def _in_order(name: str) -> list[object]:
    """A key that sorts names with numbers in them by these."""
    return [
        (len(part.lstrip("0")), part.lstrip("0"), part) if place % 2 else part
        for place, part in enumerate(re.split("([0-9]+)", name))
    ]
