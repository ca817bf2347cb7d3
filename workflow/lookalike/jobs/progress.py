"""Progress of long work: a bar where someone watches, a plain log line now and then elsewhere."""

from __future__ import annotations

import logging
import sys
import time

from tqdm import tqdm

log = logging.getLogger(__name__)

_MINUTE, _HOUR, _DAY = 60, 60 * 60, 24 * 60 * 60


def duration_in_words(seconds: float) -> str:
    """How long something takes, to two digits at most: `40 min`, `1.5 h`, `12 h`."""
    if seconds < 1.5 * _MINUTE:
        return f"{max(1, round(seconds))} s"
    if seconds < 1.5 * _HOUR:
        return f"{seconds / _MINUTE:.0f} min"
    if seconds < 2 * _DAY:
        return f"{_two_digits(seconds / _HOUR)} h"
    return f"{_two_digits(seconds / _DAY)} days"


def _two_digits(number: float) -> str:
    return f"{number:.0f}" if number >= 9.95 else f"{number:.1f}".removesuffix(".0")


class Progress:
    """Counts work done; use as a context manager and call `update(n)`."""

    def __init__(
        self, description: str, total: int, unit: str = "images", every: float = 30.0
    ) -> None:
        """`every`: seconds between two log lines where standard error is no terminal.

        Such a line tells how long the rest takes, as fast as it went so far; the bar does so, too.
        """
        self.description, self.total, self.unit, self.every = description, total, unit, every
        self.done = 0

    def __enter__(self) -> Progress:
        self._started = self._said = time.monotonic()
        self._bar = (
            tqdm(total=self.total, desc=self.description, unit=f" {self.unit}", leave=False)
            if sys.stderr.isatty()
            else None
        )
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def update(self, count: int = 1, note: str = "") -> None:
        """Add `count` to the work done; `note` stands behind the bar or in the log line."""
        self.done += count
        if self._bar is not None:
            if note:
                self._bar.set_postfix_str(note, refresh=False)
            self._bar.update(count)
            return
        now = time.monotonic()
        if now - self._said >= self.every:
            self._said = now
            rate = self.done / (now - self._started)
            log.info(
                "%s: %d of %d %s (%.3g/s%s)%s",
                self.description,
                self.done,
                self.total,
                self.unit,
                rate,
                f", {duration_in_words((self.total - self.done) / rate)} left" if rate else "",
                f", {note}" if note else "",
            )
