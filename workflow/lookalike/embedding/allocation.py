"""How the C library hands out memory to a network's layers."""

from __future__ import annotations

import ctypes
import sys

# Of glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4


def keep_freed_memory() -> None:
    """Have this process keep what a layer frees, for the next layer, instead of giving it back.

    glibc maps each block of more than 32 MB anew, and the kernel clears it page by page: at 224
    pixels that took two thirds of a forward pass on a CPU. What is kept is what was in use at one
    time, and some more for what no longer fits its gaps. Other C libraries are left as they are.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, -1)
