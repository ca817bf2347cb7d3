"""Embeddings as arrays have them, .npy or CSV of numbers, with a file of labels row by row.

Imports nothing heavy: a wrong path is told at once.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lookalike.embedding.columns import NamedColumns
from lookalike.embedding.parts import parts_of
from lookalike.embedding.row_labels import read_row_labels
from lookalike.errors import LookalikeError
from lookalike.storage.numpy_files import read_array
from lookalike.storage.parquet import columns_of, opened
from lookalike.text import quoted, shown, shown_path

_TEXT_ENDINGS = (".csv", ".tsv", ".txt")
_NAMES = ("image_id", "label")
_DECIMAL_COMMA = re.compile(r"\s*-?[0-9]+,[0-9]+\s*")
_NUMBERED = re.compile(r"(.*?)([0-9]{1,9})", re.DOTALL)


def embeddings_given(path: Path, labels: Path | None, option: str) -> Path | NamedColumns:
    """Look at a table of embeddings before any work: parquet by its path, arrays as columns.

    Args:
        path: a parquet file, a folder of such, or by its ending .npy, an array [n, d], or .csv,
            .tsv or .txt, a line of d numbers each.
        labels: for an array, a file with a label for each of its rows, in their order: CSV or
            parquet with the columns `label`, `image_id` if there is one, and any others; a CSV of
            labels alone; JSON; or an array [n] as .npy.
        option: what `labels` is given by, for messages.

    Returns:
        The path of what is parquet, whose footers could be read; else columns in memory, the
        embeddings of a .npy in a memory map. Rows without names are called after file and number.

    Raises:
        LookalikeError: a file is missing or is none of these, labels are missing or not as many
            as rows; which file, and the remedy.
    """
    ending = path.suffix.lower()
    if ending not in (".npy", *_TEXT_ENDINGS) or _is_folder(path):
        _require_parquet(path)
        if labels is not None:
            raise LookalikeError(
                f"{option}: {shown_path(path)} is parquet, which has its labels in its own column "
                f"'label'; leave {option} out, or give the embeddings as .npy or .csv"
            )
        return path
    _require_file(path, "embeddings are expected here")
    found = _Numbers(read_array(path), {}) if ending == ".npy" else _numbers_of_text(path)
    _require_matrix(path, found.values)
    columns = dict(found.names)
    if labels is not None:
        _require_file(labels, f"{option} takes a file of labels")
        of_labels = read_row_labels(labels)
        if twice := [name for name in columns if name in of_labels]:
            raise LookalikeError(
                f"{shown_path(labels)}: column '{twice[0]}' is in {shown_path(path)} too; leave it "
                "out of one of them"
            )
        _require_as_many(path, len(found.values), labels, of_labels)
        columns |= of_labels
    if "label" not in columns:
        raise LookalikeError(
            f"{shown_path(path)}: there are no labels with these embeddings; give them by {option}:"
            f" a file with one label for each of the {len(found.values):,} rows, in their order "
            "(.csv with a column label, .json or .npy)"
        )
    if "image_id" not in columns:
        columns["image_id"] = [f"{path}:{row}" for row in range(len(found.values))]
    name = str(path) if labels is None else f"{path} with {labels}"
    files = (path,) if labels is None else (path, labels)
    return NamedColumns(name, files, columns | {"embedding": found.values})


@dataclass(frozen=True)
class _Numbers:
    """Embeddings [n, d], and the columns of names that stood beside them."""

    values: NDArray[Any]
    names: Mapping[str, Any]


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error


def _require_parquet(path: Path) -> None:
    """See that the files of a table are there and are parquet; columns are read later."""
    for part in parts_of(path):
        with opened(part.path) as file:
            columns_of(part.path, file)


def _require_file(path: Path, what: str) -> None:
    try:
        is_file, is_there = path.is_file(), path.exists()
        if is_file:
            path.open("rb").close()
            return
    except (OSError, ValueError) as error:  # no permission; a name that no file can have
        raise _unreadable(path, error) from error
    why = "is not a regular file" if is_there else "there is no such file"
    raise LookalikeError(f"{shown_path(path)}: {why}; {what}")


def _require_matrix(path: Path, values: NDArray[Any]) -> None:
    if values.ndim != 2 or values.dtype.kind not in "fiu" or values.shape[1] == 0:
        raise LookalikeError(
            f"{shown_path(path)}: the embeddings must be numbers, as many in each row: an array "
            f"[n, d] (what is there has the shape {list(values.shape)} and holds {values.dtype})"
        )


def _numbers_of_text(path: Path) -> _Numbers:
    """Numbers line by line: with a line of names above them, or as np.savetxt writes them."""
    first = _first_line(path)
    delimiter = _delimiter_of(path, first)
    cells = next(csv.reader([first], delimiter=delimiter), [])
    is_header = not all(map(_is_number, cells)) or _are_positions(cells)
    names = cells if is_header else [str(place) for place in range(len(cells))]
    beside = _names_beside_numbers(path, names) if is_header else []
    table = _read_text(path, delimiter, names, beside, skip=int(is_header))
    numbers = [name for name in names if name not in beside]
    values = np.empty((len(table), len(numbers)))
    for place, name in enumerate(numbers):
        values[:, place] = table[name].to_numpy()
    return _Numbers(values, {name: table[name] for name in beside})


def _delimiter_of(path: Path, first: str) -> str:
    """What parts the values of the first line; blanks do only where nothing else can."""
    delimiter = next((character for character in ";\t," if character in first), " ")
    if delimiter == " " and (first != first.strip() or "  " in first):
        raise LookalikeError(
            f"{shown_path(path)}: values stand several blanks apart; part them by commas: "
            "np.savetxt(..., delimiter=',')"
        )
    if delimiter != "," and any(_DECIMAL_COMMA.fullmatch(cell) for cell in first.split(delimiter)):
        raise LookalikeError(
            f"{shown_path(path)}: numbers are written with decimal commas; write them with points"
        )
    return delimiter


def _first_line(path: Path) -> str:
    try:
        with path.open(encoding="utf-8-sig", newline=None) as stream:
            first = stream.readline().strip("\r\n")
    except OSError as error:
        raise _unreadable(path, error) from error
    except UnicodeDecodeError:
        raise LookalikeError(
            f"{shown_path(path)}: is not UTF-8 text; numbers are expected here, line by line"
        ) from None
    if not first.strip():
        raise LookalikeError(
            f"{shown_path(path)}: the first line is empty; numbers are expected here, line by line"
        )
    if first.startswith("#"):
        raise LookalikeError(
            f"{shown_path(path)}: the first line begins with #; leave it out: np.savetxt without "
            "header, or with comments=''"
        )
    return first


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _are_positions(cells: Sequence[str]) -> bool:
    """Whether a line is 0,1,2,...: the names that pandas gives columns without any."""
    return len(cells) > 1 and list(cells) == [str(place) for place in range(len(cells))]


def _names_beside_numbers(path: Path, names: Sequence[str]) -> list[str]:
    """Columns of names; all others must be those of one vector, numbered in their order.

    An index or a category among the values would be ranked as one of them.
    """
    if twice := [name for name in names if names.count(name) > 1]:
        raise LookalikeError(f"{shown_path(path)}: there are two columns {quoted(twice[0])}")
    beside = [name for name in names if name in _NAMES]
    numbers = [name for name in names if name not in _NAMES]
    if not numbers:
        raise LookalikeError(f"{shown_path(path)}: there is no column of numbers")
    parts = [_NUMBERED.fullmatch(name) for name in numbers]
    stems = [part[1] if part else None for part in parts]
    usual = max(stems, key=lambda stem: (stem is not None, stems.count(stem)))
    for name, stem in zip(numbers, stems, strict=True):
        if len(numbers) > 1 and (stem is None or stem != usual):
            raise LookalikeError(
                f"{shown_path(path)}: column {quoted(name)} is none of the embedding's, which are "
                "numbered: e0, e1, ...; call it image_id or label if it is that, else leave it out "
                "(pandas: to_csv(..., index=False)) or give it in the file of labels"
            )
    places = [int(part[2]) for part in parts if part]
    if any(after != before + 1 for before, after in pairwise(places)):
        raise LookalikeError(
            f"{shown_path(path)}: the columns of the embedding are not numbered one after another: "
            f"{', '.join(shown(name) for name in numbers[:5])}, ..."
        )
    return beside


def _read_text(
    path: Path, delimiter: str, names: Sequence[str], beside: Sequence[str], skip: int
) -> pa.Table:
    from pyarrow import csv as arrow_csv

    types = {name: pa.string() if name in beside else pa.float64() for name in names}
    try:
        return arrow_csv.read_csv(
            path,
            arrow_csv.ReadOptions(column_names=list(names), skip_rows=skip),
            arrow_csv.ParseOptions(delimiter=delimiter),
            arrow_csv.ConvertOptions(column_types=types, null_values=[], strings_can_be_null=False),
        )
    except (pa.ArrowException, OSError) as error:
        raise LookalikeError(
            f"{shown_path(path)}: is no table of numbers: {' '.join(str(error).split())}. Each "
            f"line has {len(names)} values, as the first one has, and all of them are numbers"
        ) from error


def _require_as_many(path: Path, rows: int, labels: Path, columns: Mapping[str, Any]) -> None:
    n_labels = len(columns["label"])
    if n_labels != rows:
        raise LookalikeError(
            f"{shown_path(labels)}: has {n_labels:,} labels, and {shown_path(path)} {rows:,} rows; "
            "the first label is the first row's, and so on: one for each, in the same order"
        )


def _unreadable(path: Path, error: Exception) -> LookalikeError:
    why = getattr(error, "strerror", None) or str(error)
    return LookalikeError(f"{shown_path(path)}: cannot be read: {why}")
