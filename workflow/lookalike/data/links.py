"""Which image files are one file under several names, through links."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path


def resolved_files(folder: Path, image_ids: Iterable[str]) -> list[str]:
    """The real path of each image of `folder`, links followed."""
    folders: dict[str, str] = {}
    paths = []
    for image_id in image_ids:
        inside, name = os.path.split(image_id)
        # A folder is resolved once: following every part of every path is slow on network disks.
        if inside not in folders:
            folders[inside] = os.path.realpath(folder / inside)
        path = f"{folders[inside]}/{name}"
        is_link = os.path.islink(path)  # noqa: PTH114 - a quarter of the time of a Path
        paths.append(os.path.realpath(path) if is_link else path)
    return paths


def leading_out(folder: Path, files: Mapping[str, str]) -> list[str]:
    """The images that lie outside of `folder`, through links. files: real paths by image id."""
    inside = os.path.realpath(folder) + os.sep
    return [image_id for image_id, path in files.items() if not path.startswith(inside)]


def same_files(queries: Mapping[str, str], gallery: Mapping[str, str]) -> list[tuple[str, str]]:
    """The pairs of a query and a gallery image that are one file, sorted; real paths by id."""
    in_gallery = defaultdict(list)
    for gallery_id, path in gallery.items():
        in_gallery[path].append(gallery_id)
    return sorted(
        (query_id, gallery_id)
        for query_id, path in queries.items()
        for gallery_id in in_gallery.get(path, ())
    )
