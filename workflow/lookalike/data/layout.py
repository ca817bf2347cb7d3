"""Where a user's images and labels are. Imports nothing heavy: the Snakefile uses it."""

from __future__ import annotations

import hashlib
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any, Literal

from lookalike.data.likely_faults import fault_of_root
from lookalike.errors import LookalikeError
from lookalike.text import shown

SPLITS = ("train", "query", "gallery")
Identity = tuple[int, int]
# Snakemake leaves it in each folder that is a rule's output, such as the demo's.
SNAKEMAKE_MARK = ".snakemake_timestamp"


@dataclass(frozen=True)
class DataSettings:
    """Where the images and labels lie: config.yaml's `data` mapping.

    The five paths are relative to root (an absolute one stands for itself). on_bad_image: `skip`
    leaves out what cannot be used, `fail` stops with the list. watch_images: look at the stats of
    all images at each start; without, only the label files are. near_duplicates: bits of a
    perceptual hash in which images of two splits may differ and still count as the same picture;
    False leaves out the search for such pairs. labelled: whether labels say what is alike; without,
    there is nothing to train on and nothing to score. attributes: a table of what else is known of
    images, see `lookalike.data.attributes`; empty for none.
    """

    root: Path
    train: str
    query: str
    gallery: str
    train_labels: str
    test_labels: str
    on_bad_image: str = "skip"
    watch_images: bool = True
    near_duplicates: int | Literal[False] = 4
    labelled: bool = True
    attributes: str = ""

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> DataSettings:
        """Settings from config.yaml's `data` mapping."""
        return cls(**{**values, "root": Path(values["root"]).expanduser()})

    @property
    def train_labels_path(self) -> Path:
        """The JSON file that labels the training images."""
        return self.root / self.train_labels

    @property
    def test_labels_path(self) -> Path:
        """The JSON file that labels the query and gallery images."""
        return self.root / self.test_labels

    @property
    def attributes_path(self) -> Path | None:
        """The table of attributes; None where there is none."""
        return self.root / self.attributes if self.attributes else None

    def folder(self, split: str) -> Path:
        """The image folder of `train`, `query` or `gallery`."""
        return self.root / self.folder_name(split)

    def folder_name(self, split: str) -> str:
        """The same as it is set, relative to root."""
        return {"train": self.train, "query": self.query, "gallery": self.gallery}[split]


def require_data(data: DataSettings) -> None:
    """See that folders and label files are there and may be read.

    Raises:
        LookalikeError: which are missing or closed to this user, and what to do.
    """
    wanted = {
        "training images": (data.folder("train"), True),
        "query images": (data.folder("query"), True),
        "gallery images": (data.folder("gallery"), True),
        "training labels": (data.train_labels_path, False),
        "query and gallery labels": (data.test_labels_path, False),
    }
    if data.attributes_path is not None:
        wanted["table of attributes (data.attributes)"] = (data.attributes_path, False)
    missing, closed = [], []
    for what, (path, is_folder) in wanted.items():
        try:
            _look_into(path, is_folder)
        except PermissionError:
            closed.append(f"  {what}: {path.absolute()}{_closed_at(path)}")
        except (OSError, ValueError):  # the latter of a name that no file can have
            missing.append(f"  {what}: {path.absolute()}")
    if closed:
        raise LookalikeError(
            "this user has no permission to read the data:\n"
            + "\n".join(closed)
            + "\nLet their owner allow it: chmod -R u+rX (g+rX or o+rX for others than the owner); "
            "each folder on the way needs x"
            + ("\nBesides, these are missing:\n" + "\n".join(missing) if missing else "")
        )
    if missing:
        fault = fault_of_root(data.root, map(data.folder_name, SPLITS))
        raise LookalikeError(
            "no data to work on; these are missing:\n"
            + "\n".join(missing)
            + (f"\n{fault}" if fault else "")
            + "\nSet data.root (and, where names differ, the other paths under data) in a settings "
            "file and name it: snakemake --configfile mine.yaml\n"
            "To see it work first, on images that come with it: make demo"
        )


def _look_into(path: Path, is_folder: bool) -> None:
    """See that a folder can be listed and entered, or a file be read; OSError where not."""
    if is_folder:
        with os.scandir(path):
            pass
        os.lstat(f"{path}/.")
    elif not path.is_file():  # a named pipe would be waited for
        path.stat()
        raise FileNotFoundError(path)
    else:
        with path.open("rb"):
            pass


def _closed_at(path: Path) -> str:
    """For a message: the folder on the way to a closed path that cannot be entered, if one is."""
    for folder in reversed(path.absolute().parents):
        try:
            os.lstat(f"{folder}/.")
        except OSError:
            return f" (the folder {folder} cannot be entered)"
    return ""


def require_apart(data: DataSettings, results: Path, cache: Path) -> None:
    """See that neither results nor cache is one of the image folders itself.

    Inside of one they may lie: they are left out of the images. The reverse is no trouble either.

    Raises:
        LookalikeError: it is; the message names the settings.
    """
    for name, folder in {"results": results, "cache": cache}.items():
        for split in SPLITS:
            if os.path.realpath(folder) == os.path.realpath(data.folder(split)):
                raise LookalikeError(
                    f"{name} and data.{split} are one folder, {folder.absolute()}: what is made "
                    f"would lie among the images. Name another folder: --config {name}=..."
                )


def ahead_of_clock(path: Path) -> str:
    """How far a file's time is ahead of this machine's clock, in words; empty where it is not."""
    try:
        # Snakemake looks at a link's own time, and at its target's.
        seconds = max(path.stat().st_mtime, path.lstat().st_mtime) - time.time()
    except (OSError, ValueError):
        return ""
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            count = round(seconds / length)
            return f"{count} {unit}{'s' * (count > 1)}"
    return "less than a minute" if seconds > 0 else ""


def identity(folder: str | Path) -> Identity | None:
    """What tells a folder under any of its names: device and inode; None where it is not there."""
    try:
        status = os.stat(folder)  # noqa: PTH116 - a Path takes twice as long, for every folder
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino


def folders_apart(*folders: Path) -> set[Identity]:
    """These folders, as far as they are there, and Snakemake's own in the working directory.

    They are no images, though they may lie inside an image folder.
    """
    return {found for folder in (*folders, Path(".snakemake")) if (found := identity(folder))}


def fingerprint(
    data: DataSettings,
    tell: Callable[[str], object],
    every: float = 10,
    *,
    apart: Iterable[Path] = (),
) -> str:
    """16 hexadecimal digits over names, sizes and times of the layout's files, and what they are.

    Reads no file: it answers whether anything may have changed, the manifest's scan says what has.
    Where the images are not watched, it covers the label files and the table of attributes alone.
    What a file is: where a link leads in the end, so that a link that becomes a copy is seen
    whatever part of a path it is, and the time of its last change of any kind, so that files that
    trade names are. Places are told from the root: data that moves as a whole stays what it is.

    Args:
        data: the layout.
        tell: is given a sentence now and then, should it take long.
        every: seconds between two of them.
        apart: folders that are no images, such as results, wherever they lie.
    """
    content = hashlib.sha256()
    place_of = _Places(data.root)
    for path in filter(None, (data.train_labels_path, data.test_labels_path, data.attributes_path)):
        if path.exists():
            content.update(os.fsencode(f"{path.name}\0{place_of.folder(str(path))}\n"))
            content.update(_times(path.stat()))
    last_noted = time.monotonic()
    no_images = folders_apart(*apart)
    for split in SPLITS if data.watch_images else ():
        content.update(os.fsencode(f"{place_of.folder(str(data.folder(split)))}\n"))
        lines = []
        for line in _stats(data.folder(split), place_of, no_images):
            lines.append(line)
            if time.monotonic() - last_noted >= every:
                name = os.fsdecode(line.partition(b"\0")[0])
                tell(f"{len(lines):,} files seen in the {split} folder, now at {shown(name)}")
                last_noted = time.monotonic()
        for line in sorted(lines):
            content.update(line)
        content.update(b"\n\n")
    return content.hexdigest()[:16]


class _Places:
    """Where things lie, links followed, as seen from the data root, its own links followed too."""

    def __init__(self, root: Path) -> None:
        self._root = os.path.realpath(root)
        self._folders: dict[str, str] = {}

    def folder(self, path: str) -> str:
        """Where a path leads to; asked again, it is remembered."""
        if path not in self._folders:
            self._folders[path] = os.path.relpath(os.path.realpath(path), self._root)
        return self._folders[path]

    def link(self, path: str) -> str:
        """Where a link leads to.

        A folder is resolved once: following every part of every path is slow on network disks.
        """
        # A Path takes four times as long.
        target = os.path.join(os.path.dirname(path), os.readlink(path))  # noqa: PTH115,PTH118,PTH120
        inside, name = os.path.split(target)
        if name in ("", ".", "..") or os.path.islink(target):  # noqa: PTH114
            return os.path.relpath(os.path.realpath(path), self._root)
        return f"{self.folder(inside)}/{name}"


def _times(status: os.stat_result) -> bytes:
    return f"{status.st_size}\0{status.st_mtime_ns}\0{status.st_ctime_ns}\n".encode()


def _stats(folder: Path, place_of: _Places, apart: Iterable[Identity]) -> Iterator[bytes]:
    """A line for each file under a folder, links followed: its name, size and times.

    A folder that links lead to again and again is looked into once, where it lies if it lies here;
    one that is `apart` never.
    """
    seen = set(apart)
    todo, linked = deque([(str(folder), "")]), deque[tuple[str, str]]()
    while todo or linked:
        place, inside = (todo or linked).popleft()
        try:
            itself = identity(place)
            if itself is None or itself in seen:
                continue
            seen.add(itself)
            with os.scandir(place) as found:
                entries = sorted(found, key=attrgetter("name"))
        except OSError:
            continue
        for entry in entries:
            if entry.name == SNAKEMAKE_MARK:
                continue
            name = f"{inside}{entry.name}"
            try:
                if entry.is_symlink():
                    # A link to a query is the query itself, which a copy of equal times is not.
                    yield os.fsencode(f"{name}\0{place_of.link(entry.path)}\n")
                if entry.is_dir():
                    (linked if entry.is_symlink() else todo).append((entry.path, f"{name}/"))
                    continue
                status = entry.stat()
            except OSError:
                yield os.fsencode(f"{name}\0unreadable\n")
                continue
            yield os.fsencode(f"{name}\0") + _times(status)
