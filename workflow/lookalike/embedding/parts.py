"""A table as one file, or as a folder of part files: Spark, Dask and polars write such."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc

from lookalike.errors import LookalikeError
from lookalike.storage.strays import is_litter
from lookalike.text import quoted, shown_path

# What a folder holds that is no plain table: files that a later version has removed are there too.
_VERSIONED = {"_delta_log": "a Delta table", ".hoodie": "a Hudi table"}
_UNFINISHED = "_temporary"
_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"
_NUMBER = re.compile(r"-?[0-9]{1,40}(\.[0-9]{1,40})?(E-?[0-9]{1,2})?", re.ASCII)
_FLOATING = re.compile(r"-?[0-9]+\.[0-9]+(E-?[0-9]+)?", re.ASCII)


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
    `_metadata`, `.part-0.crc`); nor are files that systems leave (`Thumbs.db`).

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
    if len({len(path.name) for path in paths if not _is_passed_over(path.name)}) > 1:
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
        if _is_passed_over(name):
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


def _is_passed_over(name: str) -> bool:
    return name.startswith("_") or is_litter(name)


def folder_values(parts: Sequence[Part], column: str) -> list[str | None]:
    """What the folders say of a column, for each part; None where they say nothing, or no value.

    Where all values are spelt as whole floating-point numbers (Spark's `label=1.0`), they are the
    text of the whole numbers, as such a column in a file is.
    """
    values = [part.values.get(column) for part in parts]
    spelt = {value: _whole(value) for value in values if value is not None}
    if all(_FLOATING.fullmatch(value) and number for value, number in spelt.items()):
        return [value if value is None else spelt[value] for value in values]
    return values


def require_agreement(part: Part, column: str, texts: pa.StringArray, *, of_numbers: bool) -> None:
    """See that a part whose folder says a column's value has no other in the column itself.

    Args:
        part: the part.
        column: a column that it has.
        texts: the column's values.
        of_numbers: whether they are numbers, which a folder may spell otherwise (01, 1.0).

    Raises:
        LookalikeError: there is another.

    """
    if column not in part.values or not len(texts):
        return
    said = part.values[column]
    right = [said, _whole(said)] if said is not None and of_numbers else [said]
    other = pc.index(pc.is_in(texts, value_set=pa.array(right, pa.string())), value=False).as_py()
    if other >= 0:
        raise LookalikeError(
            f"{shown_path(part.path)}: column '{column}' holds {quoted(texts[other].as_py())} in "
            f"row {other}, but its folder says {'no value' if said is None else quoted(said)}; "
            "write the table anew, or name the part alone"
        )


def _whole(text: str) -> str | None:
    """The decimal text of a whole number, however it is spelt; None of anything else."""
    if not _NUMBER.fullmatch(text):
        return None
    number = Decimal(text)
    return str(int(number)) if number == int(number) else None


def _in_order(name: str) -> list[object]:
    """A key that sorts names with numbers in them by these."""
    return [
        (len(part.lstrip("0")), part.lstrip("0"), part) if place % 2 else part
        for place, part in enumerate(re.split("([0-9]+)", name))
    ]
