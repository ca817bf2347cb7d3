"""A job ends when the run that started it does, also where that was killed without warning."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType

import psutil

VARIABLE = "LOOKALIKE_RUN"
"""Environment variable that names the run whose jobs are on its own machine."""
_EVERY = 0.5  # seconds


def announce_run() -> None:
    """Let the jobs that this process starts, on this machine, end with it."""
    process = os.getpid()
    os.environ[VARIABLE] = f"{process} {_start_of(process)} {_namespace()}"


def forward_sigterm() -> None:
    """Let SIGTERM to this process, a Snakemake, end its jobs too: by itself it waits for them.

    In the main thread only, as Python wants.
    """
    earlier = signal.getsignal(signal.SIGTERM)

    def end(number: int) -> None:
        if callable(earlier):
            earlier(number, None)
        for child in psutil.Process().children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                child.terminate()

    def begin_to_end(number: int, frame: FrameType | None) -> None:
        # Snakemake's own handler takes the scheduler's lock, for which it would wait forever where
        # the signal comes while this thread has it: another thread waits until it is given back.
        threading.Thread(target=end, args=(number,), daemon=True).start()

    with suppress(ValueError):  # in another thread
        signal.signal(signal.SIGTERM, begin_to_end)


def end_with_run() -> None:
    """If a run started this job here, end like on SIGTERM as soon as that run is gone."""
    run = os.environ.get(VARIABLE, "").split(" ")
    # In a container with process ids of its own, the run cannot be seen.
    if len(run) == 3 and run[2] == _namespace():
        threading.Thread(target=_watch, args=(int(run[0]), run[1]), daemon=True).start()


def _watch(run: int, started: str) -> None:
    # Looked at twice, in case the machine's clock is set in the middle of a look.
    while started in (_start_of(run), _start_of(run)):
        time.sleep(_EVERY)
    os.kill(os.getpid(), signal.SIGTERM)


def _start_of(number: int) -> str:
    """When a process started, which tells it from another of its number; "gone" if it has ended.

    In hundredths of a second since the machine's own start: setting the clock does not change it.
    """
    try:
        process = psutil.Process(number)
        # A process that has ended is still listed until its parent has taken note.
        if process.status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD):
            return "gone"
        return str(round(100 * (process.create_time() - psutil.boot_time())))
    except psutil.NoSuchProcess:
        return "gone"


def _namespace() -> str:
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""
