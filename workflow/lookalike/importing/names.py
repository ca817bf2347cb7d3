"""Names of images: their natural order, and how they are called where they are brought."""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import accumulate

from lookalike.data.labels import storable
from lookalike.data.spellings import folded

_NUMBER = re.compile(r"(\d+)")
_DRIVE = re.compile(r"^([A-Za-z]):(?=/)")

NaturalKey = tuple[list[tuple[bool, int, str]], str]


def natural(text: str) -> NaturalKey:
    """What texts are sorted by so that image 2 comes before image 10.

    >>> sorted(["b10", "b9", "B9", "a"], key=natural)
    ['a', 'B9', 'b9', 'b10']
    """
    parts = _NUMBER.split(folded(text))
    spelt = [
        (True, int(part), "") if place % 2 else (False, 0, part) for place, part in enumerate(parts)
    ]
    return spelt, text


def names_for(keys: Iterable[str], taken: Iterable[str] = ()) -> dict[str, str]:
    """A name for each image of a folder, none like another or like one that is taken.

    Names are alike where they differ in case, Unicode form or unseen characters only: on another
    computer they may be one. The file's own name where no other is like it; else its whole path
    inside the source, and where that is like another's as well, a folder of its own.

    Args:
        keys: paths inside the source, each once.
        taken: names that are in use.

    >>> names_for(["mug/1.jpg", "cup/1.jpg", "cup/2.jpg"])
    {'mug/1.jpg': 'mug/1.jpg', 'cup/1.jpg': 'cup/1.jpg', 'cup/2.jpg': '2.jpg'}
    """
    room = _Room(taken)
    keys = list(keys)
    todo, names = keys, {}
    for candidates in _CANDIDATES:
        wanted = {key: candidates(key) for key in todo}
        alike = Counter(map(folded, wanted.values()))
        for key in todo:
            if alike[folded(wanted[key])] == 1 and room.is_free(wanted[key]):
                names[key] = wanted[key]
                room.take(wanted[key])
        todo = [key for key in todo if key not in names]
    assert not todo, "two paths of one SHA-256"
    return {key: names[key] for key in keys}


class _Room:
    """The names of a folder and of the folders in it."""

    def __init__(self, taken: Iterable[str]) -> None:
        self._files: set[str] = set()
        self._folders: set[str] = set()
        for name in taken:
            self.take(name)

    def is_free(self, name: str) -> bool:
        """Whether a file of this name could lie beside the others, as a file of its own."""
        inside = _folders_of(name)
        name = folded(name)
        taken = name in self._files or name in self._folders
        return not taken and self._files.isdisjoint(inside)

    def take(self, name: str) -> None:
        self._files.add(folded(name))
        self._folders.update(_folders_of(name))


def _folders_of(name: str) -> Sequence[str]:
    """The folders that a name lies in, from the outermost, folded: a, a/b of A/b/c.png."""
    parts = folded(name).split("/")[:-1]
    return list(accumulate(parts, lambda above, part: f"{above}/{part}"))


def _file_name(key: str) -> str:
    return _parts(key)[-1]


def _whole_path(key: str) -> str:
    # What begins like a drive would be taken for an absolute path.
    return _DRIVE.sub(r"\1_", "/".join(_parts(key)))


def _in_own_folder(digits: int, key: str) -> str:
    digest = hashlib.sha256(os.fsencode(key)).hexdigest()
    return f"{digest[:digits]}/{_file_name(key)}"


_CANDIDATES = (
    _file_name,
    _whole_path,
    lambda key: _in_own_folder(8, key),
    lambda key: _in_own_folder(64, key),
)


def _parts(key: str) -> list[str]:
    """A path's parts as a label file may name them: valid Unicode, without what leads elsewhere."""
    parts = storable(key).replace("\\", "_").split("/")
    return [part for part in parts if part not in ("", ".", "..")]
