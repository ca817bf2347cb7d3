"""Where the images of results lie: noted beside the manifest, for whoever shows them later."""

from __future__ import annotations

import os
from pathlib import Path

from lookalike.data.layout import SPLITS, DataSettings
from lookalike.errors import LookalikeError
from lookalike.storage.files import read_json, write_json

PLACES_FILE = "places.json"
"""The file's name, in the folder of the manifest."""


def write_places(path: Path, data: DataSettings) -> None:
    """Note the folder of each split's images.

    One that the settings name from the folder of the project is noted as it is seen from the file:
    a project that moves with its data and its results is whole. One that they name from the root of
    the file system is noted so.
    """
    here = os.path.realpath(path.parent)
    folders = {split: data.folder(split) for split in SPLITS}
    write_json(
        path,
        {
            split: str(folder) if folder.is_absolute() else os.path.relpath(folder.absolute(), here)
            for split, folder in folders.items()
        },
    )


def read_places(path: Path) -> dict[str, Path]:
    """The folder of each split's images, whether it is there or not.

    Raises:
        LookalikeError: the file is missing or damaged.
    """
    remedy = "Delete it. Run the workflow again: it notes anew where they are"
    noted = read_json(path, dict.fromkeys(SPLITS, str), remedy=remedy)
    here = Path(os.path.realpath(path.parent))
    return {split: Path(os.path.normpath(here / noted[split])) for split in SPLITS}


def other_images(path: Path, data: DataSettings) -> Path | None:
    """The folder of other images that results are of; None where they are of these.

    Images that moved are these: a folder that is gone is no other one.

    Args:
        path: the places beside the manifest; the file need not be there.
        data: which images the settings name.
    """
    try:
        noted = read_places(path)
    except LookalikeError:
        # Missing or damaged: the run makes it anew.
        return None
    pairs = [(noted[split], data.folder(split)) for split in SPLITS]
    if any(os.path.realpath(then) == os.path.realpath(now) for then, now in pairs):
        return None
    return next((then for then, _ in pairs if then.is_dir()), None)
