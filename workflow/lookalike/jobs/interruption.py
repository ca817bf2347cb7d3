"""Signals that ask a training to keep its state: noted when they come, acted on between steps."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

# A terminal's ctrl-c; a batch system's or an operating system's request to end.
STOP = (signal.SIGINT, signal.SIGTERM)
# A batch system's warning some time before a job's time limit (Slurm: --signal=USR1@120).
WARN = (signal.SIGUSR1,) if hasattr(signal, "SIGUSR1") else ()


class Interrupted(SystemExit):
    """Work ended because a signal asked for it; the exit status is a shell's, 128 + its number."""

    def __init__(self, number: int) -> None:
        self.signal = signal.Signals(number)
        super().__init__(128 + number)


@contextmanager
def handled_by(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Let `handler` have these signals in the block; in the main thread only, as Python wants."""
    before = {number: signal.signal(number, handler) for number in (*STOP, *WARN)}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


class Interruption:
    """What signals have asked for since `noted` began.

    Attributes:
        save: the state is to be kept now, and work goes on; whoever does it sets it back.
        stop: number of the signal that asks to keep the state and end, or None.
    """

    def __init__(self) -> None:
        self.save = False
        self.stop: int | None = None
        self._at_once = False

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Note signals while the block runs; see `handled_by`."""
        with handled_by(self._note):
            yield

    def _note(self, number: int, frame: FrameType | None) -> None:
        if number in WARN:
            self.save = True
            return
        self.stop = number
        if self._at_once:
            raise Interrupted(number)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """In the block, a signal to end raises `Interrupted` at once: nothing there is to keep."""
        self._at_once = True
        try:
            if self.stop is not None:
                raise Interrupted(self.stop)
            yield
        finally:
            self._at_once = False
