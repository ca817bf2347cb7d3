"""Which image files are one file under several names, through links."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
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


def leading_out(folder: Path, image_ids: Iterable[str]) -> list[str]:
    """The images of `folder` that lie outside of it, through links."""
    ids = list(image_ids)
    inside = os.path.realpath(folder) + os.sep
    return [
        image_id
        for image_id, path in zip(ids, resolved_files(folder, ids), strict=True)
        if not path.startswith(inside)
    ]


def same_files(
    query_folder: Path,
    query_ids: Sequence[str],
    gallery_folder: Path,
    gallery_ids: Sequence[str],
) -> list[tuple[str, str]]:
    """The pairs of a query and a gallery image that are one file, sorted."""
    galleries = defaultdict(list)
    for path, gallery_id in zip(
        resolved_files(gallery_folder, gallery_ids), gallery_ids, strict=True
    ):
        galleries[path].append(gallery_id)
    return sorted(
        (query_id, gallery_id)
        for path, query_id in zip(resolved_files(query_folder, query_ids), query_ids, strict=True)
        for gallery_id in galleries.get(path, ())
    )
