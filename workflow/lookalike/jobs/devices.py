"""What accelerators this machine has, without torch: the Snakefile asks."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping
from pathlib import Path

DEVICES = Path("/dev")
# What drivers show beside or in place of NVIDIA's files: NVIDIA's or AMD's under Windows' Linux,
# AMD's, NVIDIA's on its small boards.
OTHER_FILES = ("dxg", "kfd", "nvhost-gpu", "nvmap")


def visible_gpus(
    environment: Mapping[str, str] = os.environ, device_folder: Path = DEVICES
) -> list[str]:
    """The GPUs that CUDA would use here, as CUDA_VISIBLE_DEVICES names them.

    That variable decides where it is set: numbers, UUIDs or MIG names, up to the first that is
    negative, as CUDA reads it. Else NVIDIA's device files are counted; of what other drivers show,
    one is known to be there.
    """
    named = environment.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        names: list[str] = []
        for name in map(str.strip, named.split(",")):
            if not name or name.startswith("-") or name in names:
                break
            names.append(name)
        return names
    files = len(list(device_folder.glob("nvidia[0-9]*")))
    if not files and any((device_folder / name).exists() for name in OTHER_FILES):
        files = 1
    return [str(number) for number in range(files)]


def gpu_count(environment: Mapping[str, str] = os.environ, device_folder: Path = DEVICES) -> int:
    """How many GPUs this machine seems to have that torch could use; Apple's counts as one."""
    if sys.platform == "darwin":
        return int(platform.machine() == "arm64")
    return len(visible_gpus(environment, device_folder))


def device_for(wanted: str, gpus: int) -> str:
    """The device setting of a job that was given `gpus` GPUs: `auto` without any is the CPU."""
    return "cpu" if wanted == "auto" and gpus == 0 else wanted
