"""What is likely wrong where no image can be used: the usual first mistakes, each by its name.

Imports nothing heavy: the Snakefile uses it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from lookalike.data.image_endings import IMAGE_ENDINGS
from lookalike.text import quoted, shown_path

_WINDOWS = re.compile(r"([A-Za-z]):[\\/](.*)")
_CLASSES_NAMED = 3


def fault_of_keys(keys: Sequence[str], files: Iterable[str]) -> str:
    """How the keys of a label file differ from the files' names, if most do in the same way.

    Args:
        keys: those of which there is no file.
        files: paths inside the folder that the keys belong to, with /.

    Returns:
        A sentence with an example; empty where nothing explains half of the keys.
    """
    names = sorted(files)
    there = set(names)
    by_stem, by_name, by_case = (
        _only(names, of) for of in (_stem, lambda name: PurePosixPath(name).name, str.casefold)
    )

    def without_folders(key: str) -> str | None:
        parts = key.split("/")
        tails = ("/".join(parts[start:]) for start in range(1, len(parts)))
        return next((tail for tail in tails if tail in there), None)

    ways: dict[str, Callable[[str], str | None]] = {
        "have no file ending": by_stem.get,
        "begin with folders above the images, and a key is the path inside of that folder": (
            without_folders
        ),
        "are written with \\, and a key has /": lambda key: (
            inside if (inside := key.replace("\\", "/")) in there and inside != key else None
        ),
        "are written in another case": lambda key: by_case.get(key.casefold()),
        "have another file ending": lambda key: by_stem.get(_stem(key)),
        "lack the sub-folders that the files are in": by_name.get,
    }
    for what, turned in ways.items():
        found = [(key, file) for key in keys if (file := turned(key)) is not None]
        if 2 * len(found) >= len(keys) > 0:
            key, file = found[0]
            return (
                f"The keys {what}: {quoted(key)} should be {quoted(file)}, and so on for "
                f"{len(found):,} of {len(keys):,}."
            )
    return ""


def fault_of_labels(details: Sequence[str]) -> str:
    """What a label file is if not one label a file, by why its labels are refused."""
    lists = sum("the label is a list" in detail for detail in details)
    if lists and 2 * lists >= len(details):
        return (
            'It seems to be {"label": ["file name", ...]}; a label file is the other way round, '
            '{"file name": "label"}, with an entry for each file.'
        )
    return ""


def fault_of_root(root: Path, expected: Iterable[str]) -> str:
    """What a data root is that has not what is expected of it; empty where nothing can be told.

    Args:
        root: the setting `data.root`.
        expected: names inside of it that are no classes.
    """
    if os.name == "posix" and (windows := _WINDOWS.match(str(root))):
        drive, inside = windows.groups()
        within = inside.replace("\\", "/")
        return (
            f"{shown_path(root)} is a path of Windows. In WSL that drive is a folder: "
            f"/mnt/{drive.lower()}/{within}"
        )
    classes = _class_folders(root, set(expected))
    if classes:
        named = ", ".join(map(quoted, classes[:_CLASSES_NAMED]))
        more = ", ..." * (len(classes) > _CLASSES_NAMED)
        return (
            f"{shown_path(root)} has folders of images, {named}{more}. If they are classes, make "
            f"the layout of them: lookalike init {shown_path(root)} data/photos, then snakemake "
            "--configfile data/photos/mine.yaml"
        )
    return ""


def _class_folders(root: Path, expected: set[str]) -> list[str]:
    """The folders in `root` that hold an image, by name; none where they cannot be looked at."""
    try:
        with os.scandir(root) as entries:
            folders = sorted(
                entry.path for entry in entries if entry.is_dir() and entry.name not in expected
            )
        return [Path(folder).name for folder in folders if _holds_image(folder)]
    except (OSError, ValueError):
        return []


def _holds_image(folder: str) -> bool:
    with os.scandir(folder) as entries:
        return any(Path(entry.name).suffix.lower() in IMAGE_ENDINGS for entry in entries)


def _stem(name: str) -> str:
    path = PurePosixPath(name)
    return name.removesuffix(path.suffix) if path.suffix else name


def _only(names: Sequence[str], of: Callable[[str], str]) -> Mapping[str, str]:
    """Each name by what is made of it, where that is made of no other."""
    found: dict[str, str | None] = {}
    for name in names:
        key = of(name)
        found[key] = None if key in found else name
    return {key: name for key, name in found.items() if name is not None}
