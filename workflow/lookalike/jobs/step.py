"""Logging of one step: everything to the rule's log file, and to standard error."""

from __future__ import annotations

import logging
import re
import signal
import sys
import time
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lookalike.errors import LookalikeError
from lookalike.jobs import lifeline, surroundings
from lookalike.jobs.interruption import Interrupted
from lookalike.jobs.seals import seal, unseal

log = logging.getLogger("lookalike")


@contextmanager
def step(
    log_file: str | Path | None = None,
    outputs: Iterable[str] = (),
    *,
    add: bool = False,
    only_errors: bool = False,
) -> Iterator[None]:
    """Run a step: log to `log_file` and standard error, and end errors in one clear way.

    A `LookalikeError` prints its message alone and exits with status 1; any other exception is a
    defect and its traceback goes to both places. What a step works with is imported inside: then a
    failed import stands in the log, too, and libraries see nothing of the user's surroundings.

    Args:
        log_file: begun anew.
        outputs: files that the step writes; sealed when it is done, see `lookalike.jobs.seals`.
        add: what stands in it stays: this is one of several processes of a step.
        only_errors: nothing else is logged.
    """
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    if log_file is not None:
        # A full disk is no reason to do without the terminal.
        with suppress(OSError):
            Path(log_file).parent.mkdir(parents=True, exist_ok=True)
            handlers.append(logging.FileHandler(log_file, "a" if add else "w", encoding="utf-8"))
    logging.basicConfig(
        level=logging.ERROR if only_errors else logging.INFO,
        format="%(asctime)s %(message)s",
        datefmt="%H:%M:%S",
        handlers=handlers,
        force=True,
    )
    logging.captureWarnings(True)
    logging.raiseExceptions = False  # where the log cannot be written, the terminal has it
    lifeline.end_with_run()
    surroundings.put_aside(place=not add)
    outputs = list(outputs)
    started = time.monotonic()
    try:
        unseal(outputs)
        yield
        seal(outputs)
        log.info("done in %.1f s%s", time.monotonic() - started, _peak_memory())
    except Interrupted as stopped:
        log.error("stopped by %s; the same command goes on from here", stopped.signal.name)
        raise
    except KeyboardInterrupt:
        log.error("stopped by SIGINT; the same command goes on from here")
        sys.exit(128 + signal.SIGINT)
    except LookalikeError as error:
        log.error("error: %s", error)
        sys.exit(1)
    except Exception:
        log.error("%s", traceback.format_exc())
        sys.exit(1)
    finally:
        for handler in handlers:
            with suppress(OSError):
                handler.flush()


def _peak_memory() -> str:
    """For the log, where Linux tells: what a job of this step should ask a batch system for."""
    status = Path("/proc/self/status")
    if not status.exists():
        return ""
    peak = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
    return f", {int(peak[1]) / 1024:.0f} MB of memory at most" if peak else ""
