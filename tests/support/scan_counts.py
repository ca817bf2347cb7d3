"""A scan, and the work it did: what its line in the log says."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from lookalike.data import scan as module
from lookalike.data.scan import Scanned


class Counters(NamedTuple):
    """files: distinct names; hashed: files read; decoded: distinct contents decoded; from_cache:
    files known without either."""

    files: int
    hashed: int
    decoded: int
    from_cache: int


class _Numbers(logging.Handler):
    """Keeps the numbers of the last line."""

    numbers: Any = None

    def emit(self, record: logging.LogRecord) -> None:
        if str(record.msg).startswith("scanned %d files"):
            self.numbers = record.args


def scan(
    names: Iterable[str], root: Path, *, cache: Path | None, threads: int
) -> tuple[dict[str, Scanned], Counters]:
    """What `lookalike.data.scan.scan` finds, and the work it says it did."""
    handler, level = _Numbers(), module.log.level
    module.log.addHandler(handler)
    module.log.setLevel(logging.INFO)
    try:
        found = module.scan(names, root, cache=cache, threads=threads)
    finally:
        module.log.removeHandler(handler)
        module.log.setLevel(level)
    return found, Counters(*handler.numbers)
