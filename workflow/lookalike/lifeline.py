"""A job ends when the run that started it does, also where that was killed without warning."""

from __future__ import annotations

import os
import signal
import threading
import time

VARIABLE = "LOOKALIKE_RUN"
"""Environment variable with the process id of the run whose jobs are on its own machine."""
_EVERY = 0.5  # seconds


def begin() -> None:
    """Let the jobs that this process starts, on this machine, end with it."""
    os.environ[VARIABLE] = str(os.getpid())


def follow() -> None:
    """If a run started this job here, end like on SIGTERM as soon as that run is gone."""
    run = os.environ.get(VARIABLE)
    # In a container with process ids of its own, the run cannot be seen.
    if run and _is_there(int(run)):
        threading.Thread(target=_watch, args=(int(run),), daemon=True).start()


def _watch(run: int) -> None:
    while _is_there(run):
        time.sleep(_EVERY)
    os.kill(os.getpid(), signal.SIGTERM)


def _is_there(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it is there, and somebody else's
    return True
