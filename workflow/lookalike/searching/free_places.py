"""Where an output may be written: nowhere among results or images, and over nothing of others."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq

from lookalike.embedding.tables import read_metadata
from lookalike.errors import LookalikeError
from lookalike.searching.chosen_run import SearchedRun
from lookalike.storage.parquet import reading
from lookalike.text import shown_path

PAGE_MARK = '<meta name="generator" content="lookalike search">'
"""By this line, in its head, a page is known as one that a search wrote."""

_HEAD_BYTES = 4096


def require_free_place(output: Path, option: str, run: SearchedRun) -> None:
    """See that an output takes the place of nothing but an earlier output of its own kind.

    Args:
        output: the file to write, a page by --html or a table by --out.
        option: what it is given by.
        run: whose results and images stay as they are.

    Raises:
        LookalikeError: it lies among results or images, or something else lies there already.
        OSError: the place cannot be looked at.
    """
    for folder, what in _kept(run):
        if any(_is_inside(path, folder) for path in _paths(output)):
            raise LookalikeError(
                f"{shown_path(output)}: lies among the {what} in {shown_path(folder)}, where "
                f"nothing is written; name another {option}"
            )
    if not os.path.lexists(output):
        return
    if not output.is_file():
        raise LookalikeError(
            f"{shown_path(output)}: is no file that could be replaced; name another {option}"
        )
    is_ours, kind = (
        (_is_page, "no page that lookalike search wrote")
        if option == "--html"
        else (_is_table, "no table that lookalike embed wrote, or one with labels by now")
    )
    if output.stat().st_size and not is_ours(output):
        raise LookalikeError(
            f"{shown_path(output)}: is there already, and is {kind}; move it away, or name another "
            f"{option}"
        )


def _kept(run: SearchedRun) -> Iterator[tuple[Path, str]]:
    """Folders in which nothing is written, and what is in them."""
    yield run.results, "results"
    # A run, or one of its folders, may be a link to where there is more room.
    for folder in (run.results, run.folder):
        yield from ((path, "results") for path in folder.iterdir() if path.is_dir())
    for split, folder in run.places.items():
        yield folder, f"{split} images"


def _paths(output: Path) -> tuple[Path, Path]:
    """The file itself, which is replaced, and what it leads to if it is a link."""
    return Path(os.path.realpath(output.parent), output.name), Path(os.path.realpath(output))


def _is_inside(path: Path, folder: Path) -> bool:
    """Whether a path leads through a folder, under whatever name."""
    return folder.exists() and any(
        os.path.lexists(above) and folder.samefile(above) for above in path.parents
    )


def _is_page(path: Path) -> bool:
    with path.open("rb") as stream:
        return PAGE_MARK.encode() in stream.read(_HEAD_BYTES)


def _is_table(path: Path) -> bool:
    """Whether a table is as `lookalike embed` writes it: of a model, and without labels."""
    try:
        if "model_digest" not in read_metadata(path):
            return False
        with reading(path):
            labels = pq.read_table(path, columns=["label"])["label"]
    except LookalikeError:
        return False
    return bool(labels.null_count == len(labels))
