"""Tables of images: CSV or parquet with a path and a label a row, and what else it may say."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lookalike.data.labels import storable
from lookalike.data.spellings import first_few
from lookalike.data.table_files import TABLE_READERS
from lookalike.errors import LookalikeError
from lookalike.importing.names import natural
from lookalike.importing.sources import Collection, Role, Side, SourceImage
from lookalike.text import did_you_mean, quoted, shown, shown_path, visible

_TRUE, _FALSE = {"1", "1.0", "true", "yes", "t", "y"}, {"0", "0.0", "false", "no", "f", "n"}
_NOTHING = {"", "nan", "none", "null", "na", "n/a", "<na>"}
_VALIDATION = {"val", "valid", "validation", "dev"}
_SIDES: Mapping[str, tuple[Side, Role | None]] = {
    "train": ("train", None),
    "training": ("train", None),
    "test": ("test", None),
    "testing": ("test", None),
    "query": ("test", "query"),
    "gallery": ("test", "gallery"),
}
_BOXES = ("x_1", "x_2", "y_1", "y_2")


@dataclass(frozen=True)
class Columns:
    """Names of a table's columns; None takes the usual name where there is such a column.

    path, label: what every table has; `path` and `label` by default. split: train, validation,
    test, query or gallery. query, gallery: whether a test image is one, as Open Metric Learning's
    `is_query` and `is_gallery`. group: images that must not be parted.
    """

    path: str | None = None
    label: str | None = None
    split: str | None = None
    query: str | None = None
    gallery: str | None = None
    group: str | None = None


_USUAL = Columns("path", "label", "split", "is_query", "is_gallery")
_REQUIRED = ("path", "label")


def read_listing(table: Path, images: Path | None, columns: Columns) -> Collection:
    """Read a table of images.

    Args:
        table: a CSV (by commas, semicolons or tabs; UTF-8) or parquet file.
        images: the folder that paths are relative to; None for the table's.
        columns: how its columns are called.

    Raises:
        LookalikeError: it cannot be read, lacks a column, or a row says what cannot be.
    """
    root = Path(os.path.abspath(images or table.parent))  # noqa: PTH100 - links are not followed
    if not root.is_dir():
        raise LookalikeError(f"{shown_path(root)}: there is no such folder; see --images")
    given, names, place_of = _read(table, columns)
    rows = _rows(table, root, given, place_of)
    notes: list[str] = []
    found = _without_missing(table, root, rows, notes)
    if any(name in names for name in _BOXES):
        notes.append(
            f"The table names boxes ({', '.join(n for n in _BOXES if n in names)}): images are "
            "taken whole, since they are not cropped here."
        )
    if idle := [row.key for row in found if row.role == "neither"]:
        notes.append(
            f"{len(idle):,} test images are neither query nor gallery images by the table and left "
            f"aside: {first_few(map(shown, idle))}."
        )
    kept = [
        SourceImage(row.key, row.label, row.side, row.role, row.group)
        for row in found
        if row.role != "neither"
    ]
    return Collection(root, f"the table {table.name}", None, kept, notes)


@dataclass(frozen=True)
class _Row:
    key: str
    label: str
    side: Side | None
    role: Any
    group: str | None


def _read(
    table: Path, columns: Columns
) -> tuple[dict[str, list[Any]], Sequence[str], Callable[[int], str]]:
    """The columns that are there, by what they mean; the names of all; and where a row is."""
    ending = table.suffix.casefold()
    if ending not in TABLE_READERS:
        raise LookalikeError(
            f"{shown_path(table)}: is neither a folder nor a table: a table's name ends in "
            f"{', '.join(TABLE_READERS)}. An archive must be unpacked first"
        )
    names, values, place_of = TABLE_READERS[ending](table)
    chosen: dict[str, str] = {}
    for meaning, usual in vars(_USUAL).items():
        wanted = getattr(columns, meaning)
        name = wanted or usual
        if name in names:
            if names.count(name) > 1:
                raise LookalikeError(
                    f"{shown_path(table)}: there are {names.count(name)} columns {quoted(name)}; "
                    "write the table with one of them"
                )
            chosen[meaning] = name
        elif wanted is not None or meaning in _REQUIRED:
            raise LookalikeError(
                f"{shown_path(table)}: there is no column {quoted(str(name))}"
                f"{did_you_mean(name, names, list_known=False)} Its columns are "
                f"{', '.join(map(quoted, names))}; --{meaning} names the one that is meant"
            )
    return {meaning: values(name) for meaning, name in chosen.items()}, names, place_of


def _rows(
    table: Path, root: Path, given: Mapping[str, list[Any]], place_of: Callable[[int], str]
) -> list[_Row]:
    """The rows, each image once, sorted by key."""
    n = len(given["path"])
    if not n:
        raise LookalikeError(f"{shown_path(table)}: has no rows; there must be one an image")
    has_validation_alone = _validation_is_the_test(given)
    found: dict[str, _Row] = {}
    for place in range(n):
        row = {meaning: values[place] for meaning, values in given.items()}
        where = f"{shown_path(table)}: {place_of(place)}"
        key = _key(where, root, row["path"])
        side, role = _side_and_role(where, row, given, has_validation_alone)
        group = _text(where, "group", row["group"], empty=True) if "group" in row else None
        new = _Row(key, _label(where, row["label"]), side, role, group or None)
        if found.setdefault(key, new) != new:
            raise LookalikeError(
                f"{where}: {shown(key)} is listed before with another label, split or group; keep "
                "one row an image"
            )
    return sorted(found.values(), key=lambda row: natural(row.key))


def _key(where: str, root: Path, value: Any) -> str:
    text = _text(where, "path", value)
    if "\0" in text:
        raise LookalikeError(f"{where}: the path holds a NUL character")
    path = os.path.normpath(os.path.join(root, os.path.expanduser(text)))  # noqa: PTH111,PTH118
    inside = os.path.relpath(path, root)
    return path if inside == ".." or inside.startswith("../") else inside


def _label(where: str, value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        raise LookalikeError(
            f"{where}: the label is {value}, a number with a fraction, as programs write "
            f"{value:.0f} in a column where another value is missing; write labels as text or "
            "whole numbers"
        )
    label = _text(where, "label", value)
    if not visible(label).strip() or storable(label) != label:
        raise LookalikeError(f"{where}: the label is blank or no valid Unicode; each image has one")
    return label


def _text(where: str, what: str, value: Any, *, empty: bool = False) -> str:
    if value is None or value != value or value == "":
        if empty:
            return ""
        raise LookalikeError(f"{where}: the {what} is missing; write it, or take the row out")
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int):
        if empty and isinstance(value, float):
            return str(value)
        raise LookalikeError(f"{where}: the {what} is {value!r}; it must be text or a whole number")
    return str(value)


def _validation_is_the_test(given: Mapping[str, list[Any]]) -> bool:
    """Whether there is no test but what is called validation, as with Open Metric Learning."""
    names = {_word(value) for value in given.get("split", ())}
    return not any(_SIDES[name][0] == "test" for name in names if name in _SIDES)


def _side_and_role(
    where: str,
    row: Mapping[str, Any],
    given: Mapping[str, list[Any]],
    validation_is_the_test: bool,
) -> tuple[Side | None, Any]:
    """What a row says: its side if there are splits, its role if it is told."""
    side: Side | None = None
    role: Role | None = None
    if "split" in given:
        name = _word(row["split"])
        if name in _VALIDATION:
            side = "test" if validation_is_the_test else "train"
        elif name in _SIDES:
            side, role = _SIDES[name]
        else:
            raise LookalikeError(
                f"{where}: the split is {quoted(str(row['split']))}; it is one of train, "
                "validation, test, query, gallery"
            )
    flags = {
        which: _flag(where, which, row[which]) for which in ("query", "gallery") if which in given
    }
    if side == "train" or not flags or role is not None:
        return side, role
    is_query = flags.get("query", not flags.get("gallery"))
    is_gallery = flags.get("gallery", not is_query)
    if is_query and is_gallery:
        return side, "both"
    # Without a split, an image that is neither may be one to train on.
    neither = "neither" if side == "test" else None
    return side, "query" if is_query else "gallery" if is_gallery else neither


def _word(value: Any) -> str:
    return str(value).strip().casefold()


def _flag(where: str, which: str, value: Any) -> bool:
    word = _word(value)
    if word in _TRUE:
        return True
    if word in _FALSE or word in _NOTHING:
        return False
    raise LookalikeError(
        f"{where}: whether it is a {which} image is {quoted(str(value))}; write true or false"
    )


def _without_missing(table: Path, root: Path, rows: Sequence[_Row], notes: list[str]) -> list[_Row]:
    """The rows whose file is there; what is said of the others."""
    there = [row for row in rows if os.path.isfile(os.path.join(root, row.key))]  # noqa: PTH113,PTH118
    gone = len(rows) - len(there)
    if gone:
        kept = {row.key for row in there}
        first = first_few(shown(row.key) for row in rows if row.key not in kept)
        if not there:
            raise LookalikeError(
                f"{shown_path(table)}: none of its images is there, such as {first}, below "
                f"{shown_path(root)}; --images names the folder that its paths are relative to"
            )
        notes.append(
            f"{gone:,} of {len(rows):,} images of the table are not there and left out: {first}."
        )
    return there
