"""The devices that a test runs on: a CPU, and a GPU where there is one."""

from __future__ import annotations

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
