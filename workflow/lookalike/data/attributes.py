"""What a person knows of images beside their class: a table of attributes, such as the camera.

Imports nothing heavy: the Snakefile uses it.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lookalike.data.findings import named
from lookalike.data.layout import SPLITS
from lookalike.data.spellings import FIRST
from lookalike.data.table_files import TABLE_READERS, GivenTable
from lookalike.errors import LookalikeError
from lookalike.text import did_you_mean, quoted, shown, shown_path, visible

if TYPE_CHECKING:
    import pyarrow as pa

KEYS = ("split", "image_id")
"""The columns that say of which image a row is."""

AttributeValues = Mapping[str, str | None]


@dataclass(frozen=True)
class Attributes:
    """A table of attributes, read and checked.

    Attributes:
        path: where it lies.
        columns: the names of the attributes.
        rows: by split and image, see `file_of_id`, its values; None where it has none.
    """

    path: Path
    columns: Sequence[str]
    rows: Mapping[str, Mapping[str, AttributeValues]]


def read_attributes(path: Path) -> Attributes:
    """Read a table with the columns `split`, `image_id` and any others.

    A whole number is its decimal text, 7.0 is 7; an empty value, NaN or what cannot be seen is
    none.

    Raises:
        LookalikeError: the table cannot be read or lacks a column; a row names no split or no
            image; an image has two rows that say different things. The message names the file, the
            row, the column and the remedy.
    """
    table = _opened(path)
    columns = _attribute_columns(path, table.names)
    splits, ids = (table.values(key) for key in KEYS)
    values = [table.values(column) for column in columns]
    rows: dict[str, dict[str, AttributeValues]] = {split: {} for split in SPLITS}
    for place, (split, image_id) in enumerate(zip(splits, ids, strict=True)):
        where = f"{shown_path(path)}: {table.place_of(place)}"
        split = _split_of(where, split)
        name = _text(where, "image_id", image_id)
        if name is None:
            raise LookalikeError(
                f"{where}: column 'image_id' is empty; write the image's path inside the split's "
                "folder, or take the row out"
            )
        row = {
            column: _text(where, column, each[place])
            for column, each in zip(columns, values, strict=True)
        }
        if (known := rows[split].setdefault(file_of_id(name), row)) != row:
            differing = next(column for column in columns if known[column] != row[column])
            raise LookalikeError(
                f"{where}: {split} image {shown(name)} is listed before with another value in "
                f"column {quoted(differing)}; keep one row an image"
            )
    return Attributes(path, columns, rows)


def attribute_columns(path: Path) -> list[str]:
    """The names of a table's attributes, without its rows where that saves reading them.

    Raises:
        LookalikeError: it cannot be read, or lacks `split` or `image_id`.
    """
    return _attribute_columns(path, _opened(path).names)


def require_columns_named(path: Path, named: Mapping[str, Sequence[str]]) -> None:
    """See that each column that a setting names is one of the table's.

    Args:
        path: the table.
        named: by the setting, such as metrics.within, the columns that it names.

    Raises:
        LookalikeError: the table has no such column; the message tells the nearest.
    """
    known = attribute_columns(path)
    for setting, columns in named.items():
        for column in columns:
            if column not in known:
                raise LookalikeError(
                    f"{setting}: {shown_path(path)} (data.attributes) has no column "
                    f"{quoted(column)}{did_you_mean(column, known)}"
                )


def attribute_table(attributes: Attributes, split: str, ids: Sequence[str]) -> pa.Table:
    """The attributes of a split: `image_id`, then each attribute as text, null where there is none.

    Args:
        attributes: the whole table.
        split: train, query or gallery.
        ids: of the split's images; a row each, in their order.
    """
    import pyarrow as pa

    rows = [attributes.rows[split].get(file_of_id(name), {}) for name in ids]
    columns = {
        column: pa.array([row.get(column) for row in rows], pa.string())
        for column in attributes.columns
    }
    return pa.table({"image_id": pa.array(ids, pa.string()), **columns})


def about_attributes(
    attributes: Attributes,
    entries: Mapping[str, Sequence[str]],
    usable: Mapping[str, Sequence[str]],
) -> dict[str, Any]:
    """What data_report.json says of the table.

    Args:
        attributes: the table.
        entries: the images of each split that the label files name.
        usable: those of them that can be used.
    """
    rows_without_image = [
        f"{split}/{name}"
        for split in SPLITS
        for name in sorted(
            attributes.rows[split].keys() - {file_of_id(name) for name in entries[split]}
        )
    ]
    without_row = {
        split: [name for name in usable[split] if file_of_id(name) not in attributes.rows[split]]
        for split in SPLITS
    }
    return {
        "columns": list(attributes.columns),
        "rows": sum(map(len, attributes.rows.values())),
        "rows_without_image": _counted(rows_without_image),
        "images_without_row": {split: _counted(names) for split, names in without_row.items()},
        "values": {
            column: {
                split: _values_of(attributes.rows[split], usable[split], column) for split in SPLITS
            }
            for column in attributes.columns
        },
    }


def findings_on_attributes(report: Mapping[str, Any]) -> list[dict[str, str]]:
    """Findings on the table, as `lookalike.data.findings` makes them of the rest.

    A query or gallery image without a row, or a value, takes part in nothing that goes by it.

    Args:
        report: what `about_attributes` returned.
    """
    found = []
    lost = report["rows_without_image"]
    if lost["count"]:
        rows = "row" if lost["count"] == 1 else "rows"
        found.append(
            (
                "warning",
                f"{lost['count']:,} of {report['rows']:,} {rows} of data.attributes "
                f"{_is(lost['count'])} of an image that no label file names: {named(lost)}.",
            )
        )
    for split, counted in report["images_without_row"].items():
        if counted["count"]:
            images = "image has" if counted["count"] == 1 else "images have"
            found.append(
                (
                    "note" if split == "train" else "warning",
                    f"{counted['count']:,} {split} {images} no row in data.attributes: "
                    f"{named(counted)}.",
                )
            )
    for column, by_split in report["values"].items():
        for split in ("query", "gallery"):
            without = by_split[split]["without"] - report["images_without_row"][split]["count"]
            if without:
                images = "image has" if without == 1 else "images have"
                found.append(
                    (
                        "warning",
                        f"{without:,} {split} {images} no value in column {quoted(column)} of "
                        "data.attributes.",
                    )
                )
    return [{"level": level, "text": text} for level, text in found]


def with_attributes(report: dict[str, Any], about: dict[str, Any]) -> None:
    """Put what is known of the table into data_report.json, findings by their level."""
    report["attributes"] = about
    found = [*report["findings"], *findings_on_attributes(about)]
    report["findings"] = sorted(found, key=lambda finding: finding["level"] != "warning")


def file_of_id(name: str) -> str:
    """One spelling for all of a file's: a.png for ./a.png."""
    return os.path.normpath(name) if "//" in name or "./" in name else name


def _opened(path: Path) -> GivenTable:
    ending = path.suffix.casefold()
    if ending not in TABLE_READERS:
        raise LookalikeError(
            f"{shown_path(path)} (data.attributes): is no table: a table's name ends in "
            f"{', '.join(TABLE_READERS)}"
        )
    return TABLE_READERS[ending](path)


def _attribute_columns(path: Path, names: Sequence[str]) -> list[str]:
    for key in KEYS:
        if key not in names:
            raise LookalikeError(
                f"{shown_path(path)} (data.attributes): there is no column {quoted(key)}"
                f"{did_you_mean(key, names, list_known=False)}; its columns are "
                f"{', '.join(map(quoted, names)) or 'none'}. Each row names a split "
                f"({', '.join(SPLITS)}) and an image_id, as in the label files"
            )
    for name in names:
        if names.count(name) > 1:
            raise LookalikeError(
                f"{shown_path(path)} (data.attributes): there are {names.count(name)} columns "
                f"{quoted(name)}; write the table with one of them"
            )
        if not visible(name).strip():
            raise LookalikeError(
                f"{shown_path(path)} (data.attributes): column {names.index(name) + 1:,} has no "
                "name; give it one, or take it out"
            )
    return [name for name in names if name not in KEYS]


def _split_of(where: str, value: Any) -> str:
    word = str(value).strip().casefold()
    if word not in SPLITS:
        raise LookalikeError(
            f"{where}: column 'split' holds {quoted(str(value))}, which is not one of "
            f"{', '.join(SPLITS)}{did_you_mean(word, SPLITS, list_known=False)}"
        )
    return word


def _text(where: str, column: str, value: Any) -> str | None:
    if value is None or value != value:
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        if math.isfinite(value) and value.is_integer():
            return str(int(value))
        return repr(value)
    if isinstance(value, list | dict | bytes):
        raise LookalikeError(
            f"{where}: column {quoted(column)} holds a {type(value).__name__}; it must be text or "
            "a number"
        )
    text = str(value)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise LookalikeError(
            f"{where}: column {quoted(column)} holds no valid Unicode; write it as UTF-8"
        ) from None
    return text if visible(text).strip() else None


def _values_of(
    rows: Mapping[str, AttributeValues], ids: Sequence[str], column: str
) -> dict[str, int]:
    """How many different values some images of a split have, and how many have none."""
    values = [rows.get(file_of_id(name), {}).get(column) for name in ids]
    return {"values": len({*values} - {None}), "without": values.count(None)}


def _counted(names: Sequence[str]) -> dict[str, Any]:
    return {"count": len(names), "first": list(names[:FIRST])}


def _is(count: int) -> str:
    return "is" if count == 1 else "are"
