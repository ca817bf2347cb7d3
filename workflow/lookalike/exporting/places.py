"""Where exported models lie, and where they may."""

from __future__ import annotations

import os
from pathlib import Path

from lookalike.errors import LookalikeError
from lookalike.searching.chosen_run import SearchedRun
from lookalike.storage.files import nearest_there
from lookalike.text import shown_path

PIXEL_FILE, IMAGE_FILE = "model.onnx", "model_of_images.onnx"
"""The models: from images as the workflow resizes them, and from images of any size."""

DESCRIPTION_FILE = "export.json"
"""What the models are of and how they are used, beside them."""

_FOLDER = "export"


def export_folder(run: SearchedRun) -> Path:
    """The folder of a run's exported models, inside of its own; the workflow leaves it alone."""
    return run.folder / _FOLDER


def require_export_folder(out: Path, results: Path, run: SearchedRun) -> None:
    """See that models can be written to a folder, and that nothing of a workflow lies there.

    Args:
        out: the folder; it need not be there.
        results: the results folder, inside of which only the run's own place is free.
        run: whose models they are.

    Raises:
        LookalikeError: they cannot; why, and the remedy.
    """
    try:
        there = nearest_there(out)
        if not there.is_dir():
            raise LookalikeError(
                f"{shown_path(there)}: is not a folder; name another folder by --out"
            )
        if not os.access(there, os.W_OK | os.X_OK):
            raise LookalikeError(
                f"{shown_path(out)}: cannot be written in {shown_path(there)}; name another folder "
                "by --out"
            )
        real, above = os.path.realpath(out), os.path.realpath(results)
        free = os.path.realpath(export_folder(run))
        if real != free and (real == above or real.startswith(above.rstrip("/") + "/")):
            raise LookalikeError(
                f"{shown_path(out)}: lies among the results, which are the workflow's; leave --out "
                f"out, which writes to {shown_path(export_folder(run))}, or name a folder outside"
            )
        for name in (PIXEL_FILE, IMAGE_FILE, DESCRIPTION_FILE):
            if (out / name).is_dir():
                raise LookalikeError(
                    f"{shown_path(out / name)}: is a folder, where a file is to be written; name "
                    "another folder by --out"
                )
    except (OSError, ValueError) as error:  # too long a name, NUL
        why = getattr(error, "strerror", None) or str(error)
        raise LookalikeError(f"{shown_path(out)}: cannot be written: {why}") from error
