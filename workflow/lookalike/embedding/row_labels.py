"""A file with one label for each row of an array, in their order.

Imports nothing heavy: a wrong path is told at once.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from lookalike.data.table_files import TABLE_READERS
from lookalike.errors import LookalikeError
from lookalike.storage.numpy_files import read_array
from lookalike.text import shown, shown_path

_EXPECTED = 'a list of labels, or {"image_id": label, ...}, in the order of the rows'
_TEXT_ENDINGS = (".csv", ".tsv", ".txt")


def read_row_labels(path: Path) -> dict[str, Any]:
    """Read the columns of a file of labels: `label`, and what else there is.

    Args:
        path: by its ending, CSV or parquet with a column `label`; a CSV of labels alone, without
            names of columns; a JSON list, or an object {image_id: label}; or an array [n].

    Raises:
        LookalikeError: it cannot be read as one of these.
    """
    ending = path.suffix.lower()
    if ending == ".npy":
        return {"label": _label_array(path)}
    if ending == ".json":
        return _labels_of_json(path)
    if ending not in TABLE_READERS:
        raise LookalikeError(
            f"{shown_path(path)}: labels are read from .csv, .tsv, .txt, .parquet, .json or .npy, "
            "by the ending of the name"
        )
    table = TABLE_READERS[ending](path)
    names = list(table.names)
    if "label" in names:
        if names.count("label") > 1 or names.count("image_id") > 1:
            raise LookalikeError(f"{shown_path(path)}: a column is there twice")
        return {name: table.values(name) for name in names}
    if len(names) == 1 and ending in _TEXT_ENDINGS:  # labels alone, the first in the first line
        return {"label": [names[0], *table.values(names[0])]}
    raise LookalikeError(
        f"{shown_path(path)}: there is no column 'label'; the columns are "
        f"{', '.join(map(shown, names[:5]))}{', ...' if len(names) > 5 else ''}"
    )


def _label_array(path: Path) -> Any:
    labels = read_array(path)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1 or labels.dtype.kind not in "USiuf":
        raise LookalikeError(
            f"{shown_path(path)}: labels must be text or whole numbers, one for each row: an array "
            f"[n] (what is there has the shape {list(labels.shape)} and holds {labels.dtype})"
        )
    if labels.dtype.kind != "S":
        return np.array(labels)
    try:
        return np.char.decode(labels, "utf-8")
    except UnicodeDecodeError:
        raise LookalikeError(f"{shown_path(path)}: a label is not UTF-8 text") from None


class _Pairs(list[tuple[str, Any]]):
    """A JSON object as its pairs, so that a key given twice is seen."""


def _labels_of_json(path: Path) -> dict[str, Any]:
    try:
        # Whole numbers stay text, so that none is too long and 7 is "7".
        found = json.loads(
            path.read_text(encoding="utf-8-sig"), object_pairs_hook=_Pairs, parse_int=str
        )
    except OSError as error:
        raise LookalikeError(f"{shown_path(path)}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise LookalikeError(
            f"{shown_path(path)}: is no JSON in UTF-8: {error}; expected {_EXPECTED}"
        ) from None
    if isinstance(found, _Pairs):
        columns: dict[str, list[Any]] = {
            "image_id": [name for name, _ in found],
            "label": [label for _, label in found],
        }
    else:
        columns = {"label": found if isinstance(found, list) else [None]}
    if not all(isinstance(label, str) for label in columns["label"]):
        raise LookalikeError(
            f"{shown_path(path)}: expected {_EXPECTED}, each label text or a whole number"
        )
    return columns
