"""A command that answers at once must start at once. Imports nothing heavy."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Import and build without looking for garbage: there is none, and it takes a third of it all.

    What is there at the end stays until the process ends, and is not looked at again.
    """
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        gc.enable()
