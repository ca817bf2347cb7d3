"""Where an evaluation is written to, looked at before any work.

Imports nothing heavy: a wrong path is told at once.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Sequence
from pathlib import Path

from lookalike.errors import LookalikeError
from lookalike.storage.files import nearest_there
from lookalike.text import shown_path

log = logging.getLogger(__name__)

OUTPUTS = ("per_query.parquet", "rankings.parquet", "metrics.json")
"""What is written; metrics.json is the last, so where it is, all is."""

_OF_WORKFLOW = ("data_report.json", "manifest")
_OURS = {"metrics", "chance", "n_queries", "n_gallery"}


def require_free_of_others(out: Path) -> None:
    """See that an evaluation by hand takes the place of nothing but an earlier one, and say so.

    Raises:
        LookalikeError: the folder is among a workflow's results, or holds another program's files
            of these names.
    """
    for above in (out, *Path(os.path.realpath(out)).parents):
        if all((above / name).exists() for name in _OF_WORKFLOW):
            raise LookalikeError(
                f"{shown_path(out)}: lies among the results in {shown_path(above)}, which are a "
                "workflow's; name another --out"
            )
    there = [name for name in OUTPUTS if os.path.lexists(out / name)]
    if not there:
        return
    path = out / OUTPUTS[-1]
    summary = _summary_in(path)
    if summary is None:
        raise LookalikeError(
            f"{shown_path(out)}: holds {' and '.join(there)}, which no evaluation by Lookalike "
            "wrote as a whole; move what is there away, or name another --out"
        )
    log.warning(
        "warning: %s has the results of an evaluation of %s, %s queries among %s images; they are "
        "replaced. To keep them, stop here and name another --out",
        shown_path(out),
        time.strftime("%Y-%m-%d %H:%M", time.localtime(path.stat().st_mtime)),
        f"{summary['n_queries']:,}",
        f"{summary['n_gallery']:,}",
    )


def _summary_in(path: Path) -> dict[str, int] | None:
    """The metrics.json of an evaluation; None where it is none, or is not there."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    ours = isinstance(found, dict) and found.keys() >= _OURS
    counts = {name: found[name] for name in ("n_queries", "n_gallery")} if ours else {}
    return counts if counts and all(isinstance(n, int) for n in counts.values()) else None


def require_outputs(out: Path, inputs: Sequence[Path]) -> None:
    """See that the outputs can be made in `out`, before any work; nothing is made.

    Raises:
        LookalikeError: `out` is no folder or cannot be written, a folder has an output's name, or
            an output would take the place of an input.

    """
    sources = list(map(_real, inputs))
    try:
        if out.exists() and not out.is_dir():
            raise LookalikeError(
                f"{shown_path(out)}: is a file; --out takes a folder, which is made if need be"
            )
        place = nearest_there(out)
        if not place.is_dir():
            raise LookalikeError(
                f"{shown_path(out)}: cannot be made: {shown_path(place)} is not a folder"
            )
        if not os.access(place, os.W_OK | os.X_OK):
            raise LookalikeError(
                f"{shown_path(out)}: cannot be written: no permission in {shown_path(place)}"
            )
        for name in OUTPUTS:
            if (out / name).is_dir():
                raise LookalikeError(
                    f"{shown_path(out / name)}: is a folder where a file is to be written; move it "
                    "away, or name another --out"
                )
            for table, into in zip(inputs, sources, strict=True):
                if into in ((out / name).resolve(), *(out / name).resolve().parents):
                    raise LookalikeError(
                        f"{shown_path(table)}: would be overwritten, or written into, by the "
                        "results; name another --out"
                    )
    except (OSError, ValueError, RuntimeError) as error:  # too long a name, NUL, links in a circle
        why = getattr(error, "strerror", None) or str(error)
        raise LookalikeError(f"{shown_path(out)}: cannot be written: {why}") from error


def _real(table: Path) -> Path:
    """Where a table lies, links followed."""
    try:
        return table.resolve()
    except (OSError, ValueError, RuntimeError) as error:  # as in `require_outputs`
        why = getattr(error, "strerror", None) or str(error)
        raise LookalikeError(f"{shown_path(table)}: cannot be read: {why}") from error
