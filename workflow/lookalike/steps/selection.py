"""The selection step: what was chosen in all sweeps, as one table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lookalike.storage.files import read_json, write_json
from lookalike.sweeps.selection import table_of_selection


def write_selection(decisions: Sequence[Path], output: Path) -> None:
    """Write what was selected in all sweeps as one table.

    Args:
        decisions: files of `lookalike.steps.select`, the rungs of a sweep in order.
        output: see `lookalike.sweeps.selection.table_of_selection`.

    Raises:
        LookalikeError: a file cannot be read.
    """
    keys = {"sweep": str, "candidates": list, "winners": dict}
    write_json(output, table_of_selection([read_json(path, keys) for path in decisions]))
