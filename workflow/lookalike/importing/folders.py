"""Folders of images: class folders, splits of class folders, Market-1501's names, a flat folder."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from lookalike.data.image_endings import IMAGE_ENDINGS
from lookalike.data.labels import storable
from lookalike.data.spellings import first_few
from lookalike.data.walking import files_below
from lookalike.errors import LookalikeError
from lookalike.importing.names import natural
from lookalike.importing.sources import Collection, Role, Side, SourceImage
from lookalike.text import quoted, shown, shown_path, visible

FOLDER_KINDS = ("classes", "splits", "market1501", "flat")
"""What a folder may be."""

# Names by which splits go, folded: the side, and the role of its images where the name tells it.
_SPLITS: Mapping[str, tuple[Side | None, Role | None]] = {
    "train": ("train", None),
    "training": ("train", None),
    "val": (None, None),
    "valid": (None, None),
    "validation": (None, None),
    "dev": (None, None),
    "test": ("test", None),
    "testing": ("test", None),
    "query": ("test", "query"),
    "queries": ("test", "query"),
    "probe": ("test", "query"),
    "gallery": ("test", "gallery"),
}
_MARKET: Mapping[str, tuple[Side, Role | None]] = {
    "bounding_box_train": ("train", None),
    "query": ("test", "query"),
    "bounding_box_test": ("test", "gallery"),
}
_MARKET_NAME = re.compile(r"(-1|\d{4})_c(\d+)")
_JUNK = "-1"

IsImage = Callable[[Path, Sequence[str]], set[str]]
"""Of some files of a folder, those that are images by their content."""


def read_folder(root: Path, kind: str | None, is_image: IsImage) -> Collection:
    """Find the images of a folder, and what its sub-folders say of them.

    Args:
        root: the folder.
        kind: one of `FOLDER_KINDS`; None tells it by the names of sub-folders.
        is_image: tells images among files whose names do not say.

    Raises:
        LookalikeError: there is no image, or none where this kind has them.
    """
    files = sorted(files_below(root), key=natural)
    by_name = [file for file in files if _ending(file) in IMAGE_ENDINGS]
    known = set(by_name)
    unsure = [file for file in files if file not in known]
    images = sorted([*by_name, *is_image(root, unsure)], key=natural)
    if not images:
        tables = [file for file in files if _ending(file) in (".csv", ".tsv", ".parquet")]
        raise LookalikeError(
            f"{shown_path(root)}: there is no image in this folder or below it"
            + (f"; is it the table {first_few(map(shown, tables))} that is meant?" * bool(tables))
        )
    kind = kind or _kind_of(root, images)
    source = _READERS[kind](root, images)
    if not source.images:
        raise LookalikeError(
            f"{shown_path(root)}: is no folder of {source.what}: it holds "
            f"{first_few(map(shown, images))}. Name what it is by --as ({', '.join(FOLDER_KINDS)})"
        )
    images_found = set(images)
    others = [file for file in unsure if file not in images_found]
    if others:
        source.notes.append(_aside("no image", others))
    return source


def _aside(what: str, files: Sequence[str]) -> str:
    are = "is" if len(files) == 1 else "are"
    what = what if len(files) == 1 or what.startswith("in") else f"{what}s"
    return (
        f"{len(files):,} file{'' if len(files) == 1 else 's'} of the source {are} {what} and left "
        f"aside: {first_few(map(shown, files))}."
    )


def _ending(file: str) -> str:
    _, point, end = file.rpartition("/")[2].rpartition(".")
    return point + end.casefold() if point else ""


def _kind_of(root: Path, images: Sequence[str]) -> str:
    """What a folder is, by the names of those sub-folders that hold images."""
    inside = {image.partition("/")[0].casefold() for image in images if "/" in image}
    if not inside:
        return "flat"
    if inside >= _MARKET.keys() - {"query"}:
        return "market1501"
    # Training and another split: a single class may be called test.
    splits = {name for name in inside if name in _SPLITS}
    if len(splits) == 1 or not any(_SPLITS[name][0] == "train" for name in splits):
        return "classes"
    nested = {image.partition("/")[0].casefold() for image in images if image.count("/") > 1}
    if not splits <= nested:
        bare = first_few(sorted(splits - nested))
        raise LookalikeError(
            f"{shown_path(root)}: its folders are named as splits are, and {bare} holds images "
            "without class folders, so that nothing says what they show. Put each image into a "
            "folder of its class, or give a table with the columns path, label and split; if the "
            "folders are classes, say --as classes"
        )
    return "splits"


def _classes(root: Path, images: Sequence[str]) -> Collection:
    found = [
        SourceImage(image, _label(image.partition("/")[0])) for image in images if "/" in image
    ]
    notes = []
    if loose := [image for image in images if "/" not in image]:
        notes.append(_aside("in no class folder", loose))
    return Collection(root, "class folders", "classes", found, notes)


def _label(folder: str) -> str:
    """A class folder's name as a label; bytes that are no UTF-8 are spelt out."""
    if not visible(folder).strip():
        raise LookalikeError(
            f"{quoted(folder)}: a class folder's name is its label, and this one is blank: rename "
            "the folder"
        )
    return storable(folder)


def _flat(root: Path, images: Sequence[str]) -> Collection:
    found = [SourceImage(image, None) for image in images]
    return Collection(root, "images without labels", "flat", found)


def _splits(root: Path, images: Sequence[str]) -> Collection:
    found, loose = [], []
    names = {image.partition("/")[0].casefold() for image in images if "/" in image}
    # What is called validation is the test where there is no other.
    has_test = any(_SPLITS[name][0] == "test" for name in names if name in _SPLITS)
    held_out: Side = "train" if has_test else "test"
    for image in images:
        split, *rest = image.split("/")
        if split.casefold() in _SPLITS and len(rest) > 1:
            side, role = _SPLITS[split.casefold()]
            found.append(SourceImage(image, _label(rest[0]), side or held_out, role))
        else:
            loose.append(image)
    notes = [_aside("in no class folder of a split", loose)] if loose else []
    if has_test and any(name in _SPLITS and _SPLITS[name][0] is None for name in names):
        notes.append(
            "The validation images are trained on: a training holds out some of its images by "
            "itself, see validation in config.yaml."
        )
    return Collection(root, "class folders in train and test folders", "splits", found, notes)


def _market(root: Path, images: Sequence[str]) -> Collection:
    found, loose, junk = [], [], []
    for image in images:
        split, _, name = image.rpartition("/")
        identity = _MARKET_NAME.match(name)
        if split not in _MARKET or identity is None:
            loose.append(image)
        elif identity[1] == _JUNK:
            junk.append(image)
        else:
            side, role = _MARKET[split]
            found.append(SourceImage(image, identity[1], side, role, camera=identity[2]))
    notes = []
    if loose:
        notes.append(_aside("in none of its three folders, or not named as they are,", loose))
    if junk:
        notes.append(
            f"{len(junk):,} images of identity -1 are left aside, as its evaluation does: "
            f"{first_few(map(shown, junk))}."
        )
    notes.append(
        "attributes.csv says which camera took each image. A new mine.yaml leaves out gallery "
        "images of a query's person by the same camera (metrics.exclude: {same: [camera]}), as "
        "Market-1501's own evaluation does."
    )
    if any(image.label == "0000" for image in found):
        notes.append("Identity 0000 is no person: its images stay in the gallery as distractors.")
    return Collection(root, "Market-1501's names", "market1501", found, notes)


_READERS: Mapping[str, Callable[[Path, Sequence[str]], Collection]] = {
    "classes": _classes,
    "splits": _splits,
    "market1501": _market,
    "flat": _flat,
}
