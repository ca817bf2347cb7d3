"""What must be so before work begins: folders that can be written, room on the disk, no other run.

Imports nothing heavy: the Snakefile uses it.
"""

from __future__ import annotations

import fcntl
import os
import pwd
import shutil
import socket
import stat
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import IO

from lookalike.errors import LookalikeError
from lookalike.storage.files import HALF_WRITTEN
from lookalike.text import shown_path

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


def require_open(
    paths: Iterable[Path],
    setting: str,
    *,
    inside: Callable[[Path], bool] | None = None,
    writing: bool = True,
) -> None:
    """See that this user may work with what is there already, perhaps by another user.

    Args:
        paths: folders, to be read and written in, and files, to be read; those that are there.
        setting: that names the folder they are in, for the message.
        inside: look at what lies in the folders, too: at folders, and at files where it says so.
        writing: without, folders are only to be read.

    Raises:
        LookalikeError: the first that is closed, whose it is, and what to do.
    """
    for path in paths:
        _require_access(path, setting, writing)
        for place, folders, names in os.walk(path) if inside else ():
            files = filter(inside, (Path(place, name) for name in names))
            for found in (*(Path(place, name) for name in folders), *files):
                _require_access(found, setting, writing)


def _require_access(path: Path, setting: str, writing: bool) -> None:
    mode = os.R_OK
    # A Path would raise what it may not look at.
    if is_folder := os.path.isdir(path):  # noqa: PTH112
        mode |= os.X_OK | (os.W_OK if writing else 0)
    effective = os.access in os.supports_effective_ids
    if os.access(path, mode, effective_ids=effective) or not os.path.lexists(path):
        return
    what = "read or written in" if is_folder else "read"
    try:
        status = path.stat()
        whose = f"it belongs to {_user(status.st_uid)}, mode {stat.S_IMODE(status.st_mode):o}"
    except OSError as error:
        whose = str(error.strerror)
    raise LookalikeError(
        f"{shown_path(path.absolute())}: cannot be {what} by this user ({_user(os.geteuid())}): "
        f"{whose}. Let its owner open the whole folder (chmod -R g+rwX, and umask 002 for what is "
        f"still to come), or name another one: --config {setting}=..."
    )


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"


def give_present_time(paths: Iterable[Path]) -> list[Path]:
    """Date results that are dated ahead of this clock by the present, and return them.

    Snakemake refuses what a job has made where an input is newer: it would do so at each try, until
    the clock has caught up. What is in them decides, and stays.
    """
    now = time.time()
    ahead = [path for path in paths if path.exists() and path.stat().st_mtime > now]
    for path in ahead:
        with suppress(OSError):  # another user's: then Snakemake says what it has to say
            os.utime(path, (now, now))
    return ahead


def _cannot_write(folder: Path, why: str | None, setting: str) -> LookalikeError:
    return LookalikeError(
        f"{shown_path(folder.absolute())}: cannot be written: {why}. Mend that, or name another "
        f"folder: --config {setting}=..."
    )


def lock_results(results: Path) -> None:
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
