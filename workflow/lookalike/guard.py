"""What must be so before work begins: folders that can be written, room on the disk, no other run.

Imports nothing heavy: the Snakefile uses it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import IO

from lookalike.errors import LookalikeError
from lookalike.quoting import shown_path

HALF_WRITTEN = ".lookalike-part"
"""Ending of files that are being written; see `lookalike.files.whole`."""
LOCK = ".lock"

_held: list[IO[str]] = []


def require_folder(folder: Path, setting: str) -> None:
    """See that `folder` is one or can be made, as far as names go; nothing is made.

    Raises:
        LookalikeError: something on the way to it is no folder.
    """
    place = folder.absolute()
    while True:
        try:
            place.lstat()
            break
        except (FileNotFoundError, NotADirectoryError):
            place = place.parent
        except OSError as error:
            raise _cannot_write(folder, error.strerror, setting) from error
    if not place.is_dir():
        raise _cannot_write(folder, f"{shown_path(place)} is not a folder", setting)


def require_writable(folder: Path, setting: str) -> None:
    """Make `folder` if need be and see that files can be made in it.

    Raises:
        LookalikeError: they cannot; the message names the setting to change.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".{os.getpid()}{HALF_WRITTEN}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise _cannot_write(folder, error.strerror, setting) from error


def _cannot_write(folder: Path, why: str | None, setting: str) -> LookalikeError:
    return LookalikeError(
        f"{shown_path(folder.absolute())}: cannot be written: {why}. Mend that, or name another "
        f"folder: --config {setting}=..."
    )


def hold(results: Path) -> None:
    """Claim the results folder for this process until it ends.

    Raises:
        LookalikeError: another run, started from another folder, is at work there; Snakemake's own
            lock knows only of runs that start from the same one.
    """
    path = results / LOCK
    try:
        stream = _opened(path)
    except OSError as error:
        raise _cannot_write(path, error.strerror, "results") from error
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = stream.read().strip() or "another process"
        raise LookalikeError(
            f"{shown_path(results.absolute())}: another run is at work here ({owner}). Wait for "
            "it, or give this one a folder of its own: --config results=..."
        ) from None
    except OSError:
        return  # a file system without locks
    # Whose it is cannot be told on a full disk, or in another's file; it is held all the same.
    with suppress(OSError):
        stream.truncate(0)
        stream.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        stream.flush()
    _held.append(stream)


def _opened(path: Path) -> IO[str]:
    """The lock file, made if need be; one that another user has made can be locked all the same."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except PermissionError:
        return path.open(errors="replace")
    return os.fdopen(handle, "r+", errors="replace")


def remove_half_written(folders: Iterable[Path], older_than: float) -> None:
    """Remove what killed jobs left half written in these folders before a time, in seconds."""
    for folder in folders:
        for path in folder.glob(f".*{HALF_WRITTEN}"):
            with suppress(OSError):
                if path.lstat().st_mtime < older_than:
                    path.unlink()


def require_room(
    folder: Path, n_bytes: float, what: str, setting: str | None, remedy: str = ""
) -> None:
    """See that the disk of `folder` has room.

    Args:
        folder: where it is to be written; it need not be there yet.
        n_bytes: how much, as an estimate.
        what: is to be written, for the message.
        setting: that names the folder, for the message; None where it is no setting.
        remedy: what else can be done, for the message.

    Raises:
        LookalikeError: there is too little.
    """
    place = folder.absolute()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if free < n_bytes:
        raise LookalikeError(
            f"{shown_path(folder.absolute())}: {what} would take some {_size(n_bytes)}, and the "
            f"disk has {_size(free)} left. Free some, {remedy}or name another folder"
            + (f": --config {setting}=..." if setting else "")
        )


def _size(n_bytes: float) -> str:
    return f"{n_bytes / 1e9:,.1f} GB" if n_bytes >= 1e9 else f"{n_bytes / 1e6:,.1f} MB"
