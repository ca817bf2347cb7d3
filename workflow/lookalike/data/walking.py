"""What lies in a folder and below it."""

from __future__ import annotations

import os
from pathlib import Path

from lookalike.data.layout import Identity, identity
from lookalike.errors import LookalikeError
from lookalike.storage.strays import is_litter
from lookalike.text import shown_path


def files_below(folder: Path) -> list[str]:
    """The files below a folder, hidden ones and litter aside: sorted paths inside of it, with /.

    Links are followed; a folder that they lead to again is looked into once.

    Raises:
        LookalikeError: a folder cannot be read.
    """
    names: list[str] = []
    seen: set[Identity | None] = set()

    def refuse(error: OSError) -> None:
        raise LookalikeError(
            f"{shown_path(error.filename)}: the folder cannot be read: {error.strerror}"
        ) from error

    for place, folders, files in os.walk(folder, onerror=refuse, followlinks=True):
        here = identity(place)
        if here in seen:
            folders.clear()
            continue
        seen.add(here)
        folders[:] = sorted(name for name in folders if not is_litter(name))
        inside = os.path.relpath(place, folder).replace(os.sep, "/")
        prefix = "" if inside == "." else f"{inside}/"
        names += [prefix + name for name in files if not is_litter(name)]
    return sorted(names)
