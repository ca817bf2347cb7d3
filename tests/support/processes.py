"""Processes beside the test's own: several at once, and killed at any moment."""

from __future__ import annotations

from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.context import ForkServerProcess
from typing import Any

# Forked from one clean process that has imported what takes long: starting one takes milliseconds,
# and no thread of the test's process is in it.
CONTEXT = get_context("forkserver")
CONTEXT.set_forkserver_preload(["hypothesis", "lookalike.steps.embed", "pytest"])


def start(work: Callable[..., object], *arguments: Any) -> ForkServerProcess:
    """Start `work(*arguments)` in a process; `work` is a function of a test module."""
    process = CONTEXT.Process(target=work, args=arguments, daemon=True)
    process.start()
    return process


def exit_code(process: ForkServerProcess) -> int | None:
    """Wait for the process to end; 0 where all went well, -9 where it was killed."""
    process.join(timeout=60)
    return process.exitcode
