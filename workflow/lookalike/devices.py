"""What accelerators this machine has, without torch: the Snakefile asks."""

from __future__ import annotations

from pathlib import Path

DEVICE_FILES = Path("/dev")


def has_nvidia_gpu(device_files: Path = DEVICE_FILES) -> bool:
    """Whether the NVIDIA driver shows a GPU here (/dev/nvidia0, ...)."""
    return any(device_files.glob("nvidia[0-9]*"))
