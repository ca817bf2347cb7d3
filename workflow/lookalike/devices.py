"""What accelerators this machine has, without torch: the Snakefile asks."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

# What the drivers show: NVIDIA's, NVIDIA's or AMD's under Windows' Linux, AMD's.
DEVICE_FILES = ("nvidia[0-9]*", "dxg", "kfd")


def has_gpu(device_folder: Path = Path("/dev")) -> bool:
    """Whether this machine seems to have a GPU that torch could use."""
    if sys.platform == "darwin":
        return platform.machine() == "arm64"
    return any(path for pattern in DEVICE_FILES for path in device_folder.glob(pattern))


def device_for(wanted: str, gpus: int) -> str:
    """The device setting of a job that was given `gpus` GPUs: `auto` without any is the CPU."""
    return "cpu" if wanted == "auto" and gpus == 0 else wanted
