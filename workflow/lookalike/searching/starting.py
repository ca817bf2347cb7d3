"""A command that answers at once must start at once. Imports nothing heavy."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lookalike.errors import LookalikeError
from lookalike.text import shown_path


@contextmanager
def uncollected() -> Iterator[None]:
    """Import and build without looking for garbage: there is none, and it takes a third of it all.

    What is there at the end stays until the process ends, and is not looked at again.
    """
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        gc.enable()


def require_results(results: Path) -> None:
    """See that there is a results folder, before what takes seconds to import.

    Raises:
        LookalikeError: there is none.
    """
    try:
        if results.is_dir():
            return
        what = "is not a folder" if results.exists() else "there is no such folder"
    except (OSError, ValueError) as error:  # no permission; a name that no file can have
        what = f"cannot be read: {getattr(error, 'strerror', None) or error}"
    raise LookalikeError(
        f"{shown_path(results)}: {what}; name the folder of a workflow's results, which the "
        "setting `results` names"
    )
