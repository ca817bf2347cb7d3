"""The device that torch works on, and the same bytes from the same work on it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from lookalike.errors import LookalikeError


def is_present(kind: str) -> bool:
    """Whether this machine has a device that torch calls `cuda`, `mps` or `cpu`."""
    if kind == "cuda":
        return torch.cuda.is_available()
    return kind == "cpu" or torch.backends.mps.is_available()


def choose_device(wanted: str) -> torch.device:
    """The device to work on: `auto` takes CUDA, then Apple's MPS, then the CPU.

    From then on float32 is float32 on a GPU as well: torch's convolutions would otherwise round
    their input to the 10 bits of TF32, which moves an embedding by a thousandth of its length.

    Raises:
        LookalikeError: the device named is not there.
    """
    if wanted == "auto":
        wanted = next(kind for kind in ("cuda", "mps", "cpu") if is_present(kind))
    if not is_present(wanted):
        raise LookalikeError(
            f"device: {wanted} was asked for, but torch finds none on this machine; "
            "set `device: auto` or `device: cpu`"
        )
    # Not by the newer `fp32_precision`: what was set so cannot be read by libraries that ask for
    # these, and these are known to every torch.
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    return torch.device(wanted)


def repeatable() -> None:
    """Ask torch for the same bytes from the same work on the same machine."""
    # cuBLAS needs a fixed workspace for that, and reads this when it is first used.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cudnn.benchmark = False


@contextmanager
def one_thread() -> Iterator[None]:
    """Run torch's CPU kernels on one thread, so that their bytes do not depend on the count."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
