"""Where a user's images and labels are. Imports nothing heavy: the Snakefile uses it."""

from __future__ import annotations

import hashlib
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any

from lookalike.errors import LookalikeError
from lookalike.quoting import shown

SPLITS = ("train", "query", "gallery")
# Snakemake leaves it in each folder that is a rule's output, such as the demo's.
SNAKEMAKE_MARK = ".snakemake_timestamp"


@dataclass(frozen=True)
class DataSettings:
    """Where the images and labels lie: config.yaml's `data` mapping.

    The five paths are relative to root (an absolute one stands for itself). on_bad_image: `skip`
    leaves out what cannot be used, `fail` stops with the list. watch_images: look at the stats of
    all images at each start; without, only the label files are. near_duplicates: bits of a
    perceptual hash in which images of two splits may differ and still count as the same picture.
    """

    root: Path
    train: str
    query: str
    gallery: str
    train_labels: str
    test_labels: str
    on_bad_image: str = "skip"
    watch_images: bool = True
    near_duplicates: int = 4

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

    def folder(self, split: str) -> Path:
        """The image folder of `train`, `query` or `gallery`."""
        return self.root / self.folder_name(split)

    def folder_name(self, split: str) -> str:
        """The same as it is set, relative to root."""
        return {"train": self.train, "query": self.query, "gallery": self.gallery}[split]


def require_data(data: DataSettings) -> None:
    """Raise LookalikeError where folders or label files are missing: which, and what to do."""
    # These, unlike a Path's own, take a name that no file can have for one that is not there.
    wanted = {
        "training images": (data.folder("train"), os.path.isdir),
        "query images": (data.folder("query"), os.path.isdir),
        "gallery images": (data.folder("gallery"), os.path.isdir),
        "training labels": (data.train_labels_path, os.path.isfile),
        "query and gallery labels": (data.test_labels_path, os.path.isfile),
    }
    lines = [
        f"  {what}: {path.absolute()}"
        for what, (path, is_there) in wanted.items()
        if not is_there(path)
    ]
    if lines:
        raise LookalikeError(
            "no data to work on; these are missing:\n"
            + "\n".join(lines)
            + "\nSet data.root (and, where names differ, the other paths under data) in a settings "
            "file and name it: snakemake --configfile mine.yaml\n"
            "To see it work first, on images that come with it: make demo"
        )


def fingerprint(data: DataSettings, tell: Callable[[str], object], every: float = 10) -> str:
    """16 hexadecimal digits over names, sizes and times of the layout's files.

    Reads no file: it answers whether anything may have changed, the manifest's scan says what has.
    Where the images are not watched, it covers the label files alone.

    Args:
        data: the layout.
        tell: is given a sentence now and then, should it take long.
        every: seconds between two of them.
    """
    content = hashlib.sha256()
    for path in (data.train_labels_path, data.test_labels_path):
        if path.exists():
            status = path.stat()
            content.update(f"{path.name}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    told = time.monotonic()
    for split in SPLITS if data.watch_images else ():
        lines = []
        for line in _stats(data.folder(split)):
            lines.append(line)
            if time.monotonic() - told >= every:
                name = os.fsdecode(line.partition(b"\0")[0])
                tell(f"{len(lines):,} files seen in the {split} folder, now at {shown(name)}")
                told = time.monotonic()
        for line in sorted(lines):
            content.update(line)
        content.update(b"\n\n")
    return content.hexdigest()[:16]


def _stats(folder: Path) -> Iterator[bytes]:
    """A line for each file under a folder, links followed: its name, size and time.

    A folder that links lead to again and again is looked into once, where it lies if it lies here.
    """
    seen: set[tuple[int, int]] = set()
    todo, linked = deque([(str(folder), "")]), deque[tuple[str, str]]()
    while todo or linked:
        place, inside = (todo or linked).popleft()
        try:
            itself = Path(place).stat()
            if (itself.st_dev, itself.st_ino) in seen:
                continue
            seen.add((itself.st_dev, itself.st_ino))
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
                    # A link to a query is the query itself, which a copy of equal time is not.
                    yield os.fsencode(f"{name}\0{Path(entry.path).readlink()}\n")
                if entry.is_dir():
                    (linked if entry.is_symlink() else todo).append((entry.path, f"{name}/"))
                    continue
                status = entry.stat()
            except OSError:
                yield os.fsencode(f"{name}\0unreadable\n")
                continue
            yield os.fsencode(f"{name}\0{status.st_size}\0{status.st_mtime_ns}\n")
