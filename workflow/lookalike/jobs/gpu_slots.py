"""A GPU of its own for each job that runs beside others on a machine.

Snakemake counts GPUs but does not say which one a job may use, so all would take the first. Here a
job takes as many as it was given by locking a file for each; the kernel frees the locks when the
process ends, however it does. Imports no torch, which must see the choice before its first use of
CUDA.
"""

from __future__ import annotations

import fcntl
import logging
import os
import stat
import tempfile
import time
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from lookalike.errors import LookalikeError
from lookalike.jobs.devices import DEVICES, visible_gpus

log = logging.getLogger(__name__)

# Batch systems number the devices that a job sees from 0: the same number is another device there.
BATCH_JOBS = ("SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID", "JOB_ID")
# Seconds between two looks for a free device, and between two lines that say so.
POLL, SAY_EVERY = 0.5, 300.0


@dataclass(frozen=True)
class Slots:
    """Devices that are this job's own.

    Attributes:
        devices: as in CUDA_VISIBLE_DEVICES.
        fds: of their locks. A child that inherits them (`pass_fds`) keeps the devices until it has
            ended too.
    """

    devices: tuple[str, ...] = ()
    fds: tuple[int, ...] = ()


@contextmanager
def gpu_slots(
    count: int,
    *,
    folder: Path | None = None,
    environment: MutableMapping[str, str] = os.environ,
    device_folder: Path = DEVICES,
    poll: float = POLL,
) -> Iterator[Slots]:
    """Take `count` of the GPUs that this process may use, and show torch no others in the block.

    It waits while too few are free. All are taken at once or none, so jobs that want several do not
    wait for each other for ever. Jobs of other users are not seen, and a device that one job knows
    by its number and another by its UUID is two here.

    Args:
        count: of GPUs; with 0, or where there are no NVIDIA or AMD devices, nothing is done.
        folder: of the lock files; the default is this user's and this batch job's.
        environment: its CUDA_VISIBLE_DEVICES is respected, and set in the block. Where it was not
            set, CUDA_DEVICE_ORDER is too, unless it was: numbers are then those of nvidia-smi.
        device_folder: where the drivers show devices.
        poll: seconds between two looks.

    Raises:
        LookalikeError: fewer GPUs than that are there.
    """
    devices = visible_gpus(environment, device_folder)
    if not count or not devices:
        yield Slots()
        return
    if count > len(devices):
        raise LookalikeError(
            f"{count} GPUs are asked for, but this job may use {len(devices)} "
            f"({', '.join(devices)}); set a lower `gpus` in the recipe, or see that "
            "CUDA_VISIBLE_DEVICES names more"
        )
    locks = _own_folder(environment) if folder is None else folder
    locks.mkdir(parents=True, exist_ok=True)
    with _taken(devices, count, locks, poll) as slots:
        shown = {"CUDA_VISIBLE_DEVICES": ",".join(slots.devices)}
        if "CUDA_VISIBLE_DEVICES" not in environment:
            shown["CUDA_DEVICE_ORDER"] = environment.get("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
        before = {name: environment.get(name) for name in shown}
        environment.update(shown)
        log.info("GPU %s of %s", ", ".join(slots.devices), ", ".join(devices))
        try:
            yield slots
        finally:
            for name, value in before.items():
                if value is None:
                    environment.pop(name, None)
                else:
                    environment[name] = value


@contextmanager
def _taken(devices: list[str], count: int, locks: Path, poll: float) -> Iterator[Slots]:
    said = None
    while True:
        slots = _try(devices, count, locks)
        if slots is not None:
            break
        if said is None or time.monotonic() - said > SAY_EVERY:
            said = time.monotonic()
            log.info(
                "waiting for %s: other jobs hold the %d there are",
                "a GPU" if count == 1 else f"{count} GPUs",
                len(devices),
            )
        time.sleep(poll)
    try:
        yield slots
    finally:
        for fd in slots.fds:
            os.close(fd)


def _try(devices: list[str], count: int, locks: Path) -> Slots | None:
    """Lock `count` devices, or none."""
    taken: dict[str, int] = {}
    # One process looks at a time: two that each take a part of what both want would both give up.
    with (locks / "looking").open("a") as looking:
        fcntl.flock(looking, fcntl.LOCK_EX)
        for device in devices:
            name = device.replace("/", "_")  # MIG names of older drivers hold one
            fd = os.open(locks / f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(fd)
                continue
            taken[device] = fd
            if len(taken) == count:
                return Slots(tuple(taken), tuple(taken.values()))
        for fd in taken.values():
            os.close(fd)
    return None


def _own_folder(environment: MutableMapping[str, str]) -> Path:
    """The folder of this user's locks, and of this batch job's."""
    mine = Path(tempfile.gettempdir()) / f"lookalike-gpus-{os.getuid()}"
    with suppress(FileExistsError):
        mine.mkdir(mode=0o700)
    found = mine.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise LookalikeError(f"{mine}: is not a folder of yours; remove it, or set TMPDIR")
    job = next((environment[name] for name in BATCH_JOBS if environment.get(name)), "here")
    return mine / "".join(letter if letter.isalnum() else "_" for letter in job)
