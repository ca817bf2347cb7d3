"""How fast this machine does what, measured once and kept in the cache folder.

Imports nothing heavy.
"""

from __future__ import annotations

import json
import platform
import re
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path

from lookalike.errors import LookalikeError
from lookalike.provenance import versions
from lookalike.storage.digests import digest_of
from lookalike.storage.files import read_checked, write_checked

_CPUINFO = Path("/proc/cpuinfo")


class Speeds:
    """Seconds that pieces of work take, by all that decides how fast they are.

    Args:
        folder: the cache folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.measured = 0
        """How many were not known, and so measured."""

    def seconds(self, work: object, measure: Callable[[], float]) -> float:
        """How long a piece of work takes: as it was kept, or else as it is measured now.

        Args:
            work: what it is and what decides how fast it goes, beside processor and torch.
            measure: does it, and returns the seconds.
        """
        if (known := self.known(work)) is not None:
            return known
        seconds = measure()
        self.measured += 1
        self.keep(work, seconds)
        return seconds

    def known(self, work: object) -> float | None:
        """The same where it was kept, else None."""
        try:
            seconds = json.loads(read_checked(self._path(work)))
        except (LookalikeError, OSError, ValueError):
            return None
        usable = isinstance(seconds, int | float) and seconds > 0
        return float(seconds) if usable else None

    def keep(self, work: object, seconds: float) -> None:
        """Keep how long it took; where nothing can be written, it will be measured again."""
        with suppress(LookalikeError, OSError):
            write_checked(self._path(work), json.dumps(seconds).encode())

    def _path(self, work: object) -> Path:
        key = digest_of([work, processor(), versions(["torch"])])
        return self.folder / "speed" / f"seconds-{key}"


@cache
def processor() -> str:
    """What this machine's processor is called."""
    with suppress(OSError):
        if name := re.search(r"^model name\s*:\s*(.+)$", _CPUINFO.read_text(), re.M):
            return name[1].strip()
    return platform.processor() or platform.machine()
