"""The devices that a test runs on: a CPU, and a GPU where there is one; threads of the CPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch

GPU = pytest.param(
    "cuda",
    marks=[
        pytest.mark.cuda,
        pytest.mark.skipif(
            not torch.cuda.is_available(), reason="torch finds no CUDA GPU on this machine"
        ),
    ],
)
DEVICES = ["cpu", GPU]


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Let torch's kernels run on so many threads of the CPU."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
