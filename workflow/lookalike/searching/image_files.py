"""The image files that somebody names: one by one, by their folder, or on standard input."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from lookalike.data.image_endings import IMAGE_ENDINGS
from lookalike.data.walking import files_below
from lookalike.errors import BadImageError, LookalikeError
from lookalike.images.limits import MAX_BYTES
from lookalike.text import shown_path

STANDARD_INPUT = "-"

# What of a folder is passed over, unless its name is that of an image.
_NO_IMAGES = {"not_an_image", "empty_file"}


@dataclass(frozen=True)
class ImageFile:
    """An image file to look at.

    Attributes:
        name: what answers call it: the path as it was given, or below the folder that was given.
        path: where it is.
        found: whether it was found in a folder, and not named itself.
    """

    name: str
    path: Path
    found: bool

    def is_no_image(self, error: BadImageError) -> bool:
        """Whether it merely lies beside images: nobody named it, and nothing says it is one."""
        return (
            self.found
            and error.status in _NO_IMAGES
            and self.path.suffix.lower() not in IMAGE_ENDINGS
        )


def named_images(sources: Iterable[str], standard_input: BinaryIO) -> list[ImageFile]:
    """The files that are meant, each once, in the order in which they are named.

    Args:
        sources: paths of files and folders, `-` for those on standard input.
        standard_input: where those are read: one a line, or ended by NUL where there is one.

    Raises:
        LookalikeError: a folder cannot be read, or there is nothing in all of them.
    """
    files: dict[str, ImageFile] = {}
    for source in _spelt_out(sources, standard_input):
        path = Path(source)
        try:
            inside = path.is_dir()
        except (OSError, ValueError):
            inside = False  # what is wrong with it is told when it is read
        if inside:
            for name in files_below(path):
                files.setdefault(os.path.join(source, name), _found(path, source, name))  # noqa: PTH118
        else:
            files.setdefault(source, ImageFile(source, path, found=False))
    if not files:
        raise LookalikeError("there are no images to look for: no names came, or empty folders")
    return list(files.values())


def _found(folder: Path, source: str, name: str) -> ImageFile:
    return ImageFile(os.path.join(source, name), folder / name, found=True)  # noqa: PTH118


def folder_images(folder: Path) -> list[ImageFile]:
    """The files below a folder, called by their path inside of it.

    Raises:
        LookalikeError: it is none, or cannot be read, or there is nothing in it.
    """
    try:
        is_folder = folder.is_dir()
    except (OSError, ValueError):
        is_folder = False
    if not is_folder:
        raise LookalikeError(
            f"{shown_path(folder)}: there is no such folder; a folder of images is expected here"
        )
    files = [ImageFile(name, folder / name, found=True) for name in files_below(folder)]
    if not files:
        raise LookalikeError(f"{shown_path(folder)}: the folder holds no files")
    return files


def _spelt_out(sources: Iterable[str], standard_input: BinaryIO) -> Iterator[str]:
    for source in sources:
        if source != STANDARD_INPUT:
            yield source
            continue
        content = standard_input.read()
        ends = b"\0" if b"\0" in content else b"\n"
        for line in content.split(ends):
            if name := os.fsdecode(line.removesuffix(b"\r") if ends == b"\n" else line):
                yield name


def content_to_decode(file: ImageFile) -> bytes:
    """A file's bytes, under the limits of the workflow's own scan.

    Raises:
        BadImageError: it is not there, no file, too large, or cannot be read.
    """
    try:
        file.name.encode()
    except UnicodeEncodeError as error:
        raise BadImageError("unsafe_name", "its name is not UTF-8; rename it") from error
    try:
        # A named pipe would be waited for.
        with os.fdopen(os.open(file.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as it:
            status = os.fstat(it.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise BadImageError("not_a_file", "is not a file")
            if status.st_size > MAX_BYTES:
                raise BadImageError(
                    "too_large", f"more than the {MAX_BYTES // 2**20} MB that are read"
                )
            return it.read(MAX_BYTES)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise BadImageError("missing_file", "no such file") from error
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise BadImageError("unreadable", f"cannot be read: {why}") from error
    except MemoryError as error:
        raise BadImageError("unreadable", "there is not enough memory to read it") from error
