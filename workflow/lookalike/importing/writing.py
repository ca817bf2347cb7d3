"""The data folder that the workflow reads, made of a source's images."""

from __future__ import annotations

import errno
import filecmp
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal, NamedTuple

import yaml

from lookalike.data.origins import ORIGINS, Origins
from lookalike.errors import LookalikeError
from lookalike.jobs.progress import Progress
from lookalike.storage.files import HALF_WRITTEN, all_whole, json_text, save_text
from lookalike.text import shown_path

FOLDERS = {"train": "train", "query": "query_images", "gallery": "gallery"}
"""The folder of each split."""
SETTINGS = "mine.yaml"
"""The settings that run the workflow on a data folder."""

ATTRIBUTES = "attributes.csv"
"""What a source says of images beside their class: a table, see `lookalike.data.attributes`."""

LABEL_FILES = {
    "train": "train_image_info.json",
    "query": "test_image_info.json",
    "gallery": "test_image_info.json",
}
"""The label file of each split."""

MADE = frozenset({*FOLDERS.values(), *LABEL_FILES.values(), SETTINGS, ATTRIBUTES, ORIGINS})
"""All that is made in a data folder."""

_HEAD = """\
# Made by lookalike init. What is not here is as in config.yaml; config/README.md explains each
# setting. Another folder for each data set's results: results: some/folder
"""

# Of a folder's name in the names of those beside it, which have bytes to spare for any script.
_NAMED_AT_MOST = 40

Way = Literal["link", "copy", "hardlink"]
"""How an image comes to be in a folder."""


class Placed(NamedTuple):
    """An image in its place.

    Attributes:
        split: train, query or gallery.
        name: its path inside the split's folder.
        key: where it comes from, a path inside the source or an absolute one.
        label: its class.
    """

    split: str
    name: str
    key: str
    label: str


@contextmanager
def new_folder(dest: Path) -> Iterator[Path]:
    """Yield a folder that becomes `dest`, absent or empty, in one step when the block ends well.

    An empty folder that no other can take the place of is filled instead, see `_gives_way`; then
    what init noted comes last: with it, all is there.
    """
    dest = Path(os.path.realpath(dest))
    try:
        dest.parent.mkdir(parents=True, exist_ok=True)
        fills = dest.exists() and not _gives_way(dest)
        # mkdtemp makes folders private; this one follows the user's umask like any other.
        place = _new_place(dest, dest if fills else dest.parent)
        made = place / "made"
        made.mkdir()
    except OSError as error:
        raise _cannot_write(dest, error) from error
    try:
        yield made
        try:
            if fills:
                _move_content(made, dest)
            else:
                if dest.exists():
                    shutil.copymode(dest, made)
                made.rename(dest)
        except OSError as error:
            raise _cannot_write(dest, error) from error
    finally:
        shutil.rmtree(place, ignore_errors=True)


def leftovers(dest: Path) -> list[Path]:
    """What imports to `dest` that were killed have left beside it and in it, sorted."""
    dest = Path(os.path.realpath(dest))
    # As `_new_place` calls them.
    pattern = re.compile(rf"\.{re.escape(dest.name[:_NAMED_AT_MOST])}\.\w+{HALF_WRITTEN}")
    found = []
    for folder in (dest.parent, dest):
        with suppress(OSError):
            found += [path for path in folder.iterdir() if pattern.fullmatch(path.name)]
    return sorted(found)


def _new_place(dest: Path, folder: Path) -> Path:
    name = dest.name[:_NAMED_AT_MOST]
    return Path(tempfile.mkdtemp(HALF_WRITTEN, f".{name}.", folder))


def _gives_way(dest: Path) -> bool:
    """Whether another folder can take the place of an empty one: it is tried with an empty one.

    Not where this process stands, since it would stand in none from then on; nor at a mount point,
    in a folder that cannot be written, or for a folder of other owners.
    """
    place = None
    try:
        if dest.samefile(Path()):
            return False
        place = _new_place(dest, dest.parent)
        shutil.copymode(dest, place)
        before, after = dest.stat(), place.stat()
        if (before.st_uid, before.st_gid) == (after.st_uid, after.st_gid):
            place.rename(dest)
            return True
    except OSError:
        pass
    if place is not None:
        place.rmdir()
    return False


def _move_content(made: Path, dest: Path) -> None:
    """Move what is in one folder to another, empty one; all of it, or nothing if that fails."""
    names = sorted((path.name for path in made.iterdir()), key=lambda name: name == ORIGINS)
    try:
        for name in names:
            (made / name).replace(dest / name)
    except BaseException:
        for name in names:
            with suppress(OSError):
                (dest / name).replace(made / name)
        raise


def bring_images(
    folder: Path,
    source: Path,
    images: Sequence[Placed],
    way: Way,
    before: Origins | None = None,
) -> list[Placed]:
    """Bring images into their folders, by links to the source, copies or hard links.

    An image that is there already, as a link to the same file, as a copy or a hard link, stays.
    So does what a person put in its place.

    Args:
        folder: the data folder.
        source: the folder that keys are relative to, absolute.
        images: all of them.
        way: how. An image that is a query and a gallery image is brought to the gallery, and a link
            to it is made for the queries, so that both are known to be one file.
        before: what init noted of the folder, if it made it before.

    Returns:
        Those in whose place something else lies, which has stayed there: where a link was to be
        made, a file or a link to elsewhere; where a new image was to be copied, another file.

    Raises:
        LookalikeError: one cannot be brought; the message says why.
    """
    try:
        for name in FOLDERS.values():
            (folder / name).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _cannot_write(folder, error) from error
    in_gallery = {image.key: image.name for image in images if image.split == "gallery"}
    sources = [str(source), *([before.source] if before else [])]
    known = before.keys if before else {}
    others = []
    with Progress("bringing images", len(images)) as progress:
        for image in images:
            target = folder / FOLDERS[image.split] / image.name
            origin = source / image.key
            twin = way != "link" and image.split == "query" and image.key in in_gallery
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                if way == "link" or twin:
                    its_links = links_of(folder, image, sources, in_gallery)
                    stays = is_other(target, its_links)
                    if not stays:
                        _link(its_links[-1] if twin else its_links[0], target)
                elif target.is_symlink():
                    stays = True
                elif target.exists():
                    is_new = image.name not in known.get(FOLDERS[image.split], {})
                    stays = is_new and not filecmp.cmp(origin, target, shallow=False)
                else:
                    stays = False
                    _bring(origin, target, way)
            except OSError as error:
                raise _cannot_bring(origin, target, way, error) from error
            if stays:
                others.append(image)
            progress.update(1)
    return others


def links_of(
    folder: Path, image: Placed, sources: Sequence[str], in_gallery: Mapping[str, str]
) -> list[str]:
    """What init's links in an image's place say, or said: to the sources; then to its twin."""
    links = [str(Path(source) / image.key) for source in sources]
    if image.split == "query" and image.key in in_gallery:
        twin = folder / FOLDERS["gallery"] / in_gallery[image.key]
        links.append(os.path.relpath(twin, (folder / FOLDERS["query"] / image.name).parent))
    return links


def is_other(target: Path, links: Sequence[str]) -> bool:
    """Whether a file or a link lies somewhere, and is none of these links."""
    if target.is_symlink():
        return os.readlink(target) not in links  # noqa: PTH115 - as it is written
    return target.is_file()


def _link(to: str, target: Path) -> None:
    if target.is_symlink():
        if os.readlink(target) == to:  # noqa: PTH115 - as it is written
            return
        target.unlink()
    target.symlink_to(to)


def _bring(origin: Path, target: Path, way: Way) -> None:
    beside = target.with_name(f".{target.name[:100]}{HALF_WRITTEN}")
    beside.unlink(missing_ok=True)
    if way == "hardlink":
        os.link(os.path.realpath(origin), beside)
    else:
        shutil.copyfile(origin, beside)
    beside.replace(target)


def remove_links(folder: Path, images: Sequence[Placed]) -> None:
    """Remove links whose image left the source."""
    for image in images:
        target = folder / FOLDERS[image.split] / image.name
        with suppress(OSError):
            if target.is_symlink():
                target.unlink()


def write_records(
    folder: Path,
    images: Sequence[Placed],
    origins: Origins,
    settings: Mapping[str, Any] | None,
    others: Mapping[str, Mapping[str, str]] | None = None,
    attributes: str | None = None,
) -> None:
    """Write label files, settings and where each image came from; all are written or none is.

    Args:
        folder: the data folder.
        images: all of them.
        origins: as they are noted.
        settings: those to be written; None leaves the file as it is.
        others: by label file, names and labels of what init did not bring.
        attributes: what the table of attributes holds; None for no such table.
    """
    labels: dict[str, dict[str, str]] = {
        file: dict((others or {}).get(file, {})) for file in LABEL_FILES.values()
    }
    for image in images:
        labels[LABEL_FILES[image.split]][image.name] = image.label
    texts = {file: json_text(dict(sorted(content.items()))) for file, content in labels.items()}
    if settings is not None:
        texts[SETTINGS] = _HEAD + yaml.safe_dump(
            dict(settings), sort_keys=False, allow_unicode=True, default_flow_style=None
        )
    if attributes is not None:
        texts[ATTRIBUTES] = attributes
    texts[ORIGINS] = origins.to_text()
    with all_whole([folder / name for name in texts]) as besides:
        for beside, text in zip(besides, texts.values(), strict=True):
            save_text(beside, text)


def keys_by_folder(images: Sequence[Placed]) -> dict[str, dict[str, str]]:
    """What origins note: by folder and name, where each image came from."""
    return {
        folder: dict(sorted((i.name, i.key) for i in images if i.split == split))
        for split, folder in FOLDERS.items()
    }


def _cannot_write(folder: Path, error: OSError) -> LookalikeError:
    return LookalikeError(
        f"{shown_path(folder)}: cannot be written: {error.strerror}. Name another folder, or mend "
        "that"
    )


def _cannot_bring(origin: Path, target: Path, way: Way, error: OSError) -> LookalikeError:
    if way == "hardlink" and error.errno in (errno.EXDEV, errno.EPERM, errno.EMLINK):
        return LookalikeError(
            f"{shown_path(origin)}: no hard link to it can be made at {shown_path(target)}: "
            f"{error.strerror}. Hard links stay within one file system: leave --hardlink out, "
            "which makes links, or say --copy"
        )
    if way == "link" and error.errno in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS):
        return LookalikeError(f"{shown_path(target)}: this file system has no links; say --copy")
    return LookalikeError(
        f"{shown_path(origin)}: cannot be brought to {shown_path(target)}: {error.strerror}"
    )
