"""The table of attributes that init writes: which camera took each image."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from lookalike.data.attributes import KEYS, AttributeValues, file_of_id, read_attributes
from lookalike.data.labels import storable
from lookalike.importing.sources import SourceImage
from lookalike.importing.writing import ATTRIBUTES, Placed

CAMERA = "camera"
"""The column."""


def attributes_text(
    dest: Path,
    images: Iterable[SourceImage],
    placed: Sequence[Placed],
    going: Iterable[Placed] = (),
) -> str | None:
    """What the table of a data folder is to hold; None where the source knows of no camera.

    Columns and rows that a person added to the table stay.

    Args:
        dest: the data folder.
        images: of the source.
        placed: all that lie in the folder.
        going: what leaves it.

    Raises:
        LookalikeError: the table that is there cannot be read.
    """
    camera_of = {image.key: image.camera for image in images if image.camera is not None}
    if not camera_of:
        return None
    rows: dict[tuple[str, str], AttributeValues] = {}
    columns = [CAMERA]
    if (dest / ATTRIBUTES).exists():
        before = read_attributes(dest / ATTRIBUTES)
        columns += [column for column in before.columns if column != CAMERA]
        rows = {(of, name): row for of, known in before.rows.items() for name, row in known.items()}
    for image in going:
        rows.pop((image.split, file_of_id(storable(image.name))), None)
    for image in placed:
        if image.key in camera_of:
            key = image.split, file_of_id(storable(image.name))
            rows[key] = {**rows.get(key, {}), CAMERA: camera_of[image.key]}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*KEYS, *columns])
    for key, row in sorted(rows.items(), key=lambda row: row[0]):
        writer.writerow([*key, *(row.get(name) or "" for name in columns)])
    return text.getvalue()
