"""Loops over many numbers, compiled to machine code by numba."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar, cast

from numba import njit
from numba.core import config

# numba reads this file of the working directory again before each compilation: whoever left it
# there would decide what is computed.
config._config_fname = ""

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F, **options: Any) -> F:
    """Compile at first use; keep the machine code beside the source for the next process."""
    try:
        dispatcher = njit(nogil=True, cache=True, error_model="numpy", **options)(function)
    except RuntimeError:  # no folder to keep it in: neither beside the source nor at home
        return cast(F, njit(nogil=True, error_model="numpy", **options)(function))
    if not hasattr(dispatcher, "_cache"):  # numba was told not to compile
        return cast(F, dispatcher)
    keep = dispatcher._cache.save_overload

    def keep_if_there_is_room(*arguments: Any) -> None:
        with suppress(OSError):
            keep(*arguments)

    dispatcher._cache.save_overload = keep_if_there_is_room
    return cast(F, dispatcher)
