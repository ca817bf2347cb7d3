"""The manifest: one row per label entry and split, with what is known of its image."""

from __future__ import annotations

import errno
import logging
import os
import unicodedata
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from functools import cache
from itertools import compress
from operator import itemgetter
from pathlib import Path
from typing import Any

import pyarrow as pa

from lookalike.data.attributes import (
    about_attributes,
    attribute_table,
    read_attributes,
    with_attributes,
)
from lookalike.data.checks import require_enough, require_no_bad_image
from lookalike.data.findings import Report, summary
from lookalike.data.labels import LabelEntry, read_labels, storable
from lookalike.data.layout import (
    SPLITS,
    DataSettings,
    Identity,
    folders_apart,
    identity,
    require_data,
)
from lookalike.data.links import leading_out, resolved_files, same_files
from lookalike.data.manifest_table import SCHEMA, usable
from lookalike.data.origins import made_by_init
from lookalike.data.places import write_places
from lookalike.data.quality import data_report
from lookalike.data.scan import Scanned, scan
from lookalike.errors import LookalikeError
from lookalike.storage import files
from lookalike.storage.digests import digest_of
from lookalike.storage.strays import is_litter
from lookalike.text import quoted

log = logging.getLogger(__name__)


def write_manifest(
    data: DataSettings,
    outputs: Mapping[str, Path],
    report: Path,
    *,
    cache: Path | None,
    threads: int,
    trains: bool = True,
    learnt: Sequence[str] = (),
    places: Path | None = None,
    attributes: Mapping[str, Path] | None = None,
) -> None:
    """The step: scan the data, print the summary, write a parquet per split and the data report.

    outputs: a path for each of `train`, `query`, `gallery`. attributes: likewise, for what
    `data.attributes` says of a split's images, where there is such a table. places: where to note
    in which folders the images lie (see `lookalike.data.places`), if anywhere. trains: whether
    there is anything to train, for which there must be classes. learnt: what the search side learns
    from the training images. Raises LookalikeError, after the summary, where the data cannot be
    trained on or scored, or on_bad_image is `fail` and there are bad images.
    """
    apart = [report.parent, *filter(None, [cache])]
    # Before the images, which take longer.
    known = read_attributes(data.attributes_path) if data.attributes_path else None
    tables, facts = build_manifest(data, cache=cache, threads=threads, apart=apart)
    entries = {split: tables[split]["image_id"].to_pylist() for split in SPLITS}
    if known is not None:
        with_images = {split: usable(tables[split])["image_id"].to_pylist() for split in SPLITS}
        with_attributes(facts, about_attributes(known, entries, with_images))
    try:
        require_no_bad_image(data, tables, facts)
        require_enough(data, tables, facts, trains=trains, learnt=learnt)
    except LookalikeError:
        log.info("%s", summary(facts, written=False))
        raise
    log.info("%s", summary(facts))
    for split in SPLITS:
        files.write_parquet(outputs[split], tables[split])
        if known is not None and attributes:
            table = attribute_table(known, split, entries[split])
            files.write_parquet(attributes[split], table)
    if places is not None:
        write_places(places, data)
    files.write_json(report, facts)


def build_manifest(
    data: DataSettings, *, cache: Path | None, threads: int, apart: Iterable[Path] = ()
) -> tuple[dict[str, pa.Table], Report]:
    """Read the labels, look at every image, and return a table per split and the data report.

    The tables have the columns of `SCHEMA`, a row per label entry, sorted by `image_id`. A test
    entry is a row of each test folder that holds its file, and of the gallery if neither does.
    cache: the cache folder or None; equal data gives equal tables with or without it. apart:
    folders that are no images though they may lie among them, such as results. Raises
    LookalikeError where a folder or a label file cannot be used as a whole.
    """
    folders = {split: data.folder(split) for split in SPLITS}
    entries, unlisted = read_entries(data, folders, folders_apart(*apart))
    inside = {split: data.folder_name(split) for split in SPLITS}
    scanned = scan(
        (
            f"{inside[split]}/{entry.name}"
            for split in SPLITS
            for entry in entries[split]
            if entry.status == "ok"
        ),
        data.root,
        cache=cache,
        threads=threads,
    )
    near = {split: {_loose(name): name for name in unlisted[split]} for split in SPLITS}
    near["gallery"] = near["query"] | near["gallery"]  # an entry found in neither is a gallery row
    tables = {
        split: table_of_entries(entries[split], inside[split], scanned, near[split])
        for split in SPLITS
    }
    appearances = {
        split: {
            entry.name: scanned[f"{inside[split]}/{entry.name}"].appearance
            for entry in entries[split]
            if entry.status == "ok"
        }
        for split in SPLITS
    }
    ids = {split: usable(tables[split])["image_id"].to_pylist() for split in SPLITS}
    located = {
        split: dict(zip(ids[split], resolved_files(folders[split], ids[split]), strict=True))
        for split in SPLITS
    }
    links = {split: _untold_links(data, split, located[split]) for split in SPLITS}
    pairs = same_files(located["query"], located["gallery"])
    report = data_report(
        tables,
        unlisted,
        pairs,
        links,
        appearances,
        data.near_duplicates,
        threads,
        labelled=data.labelled,
    )
    tables["query"] = _marked_with_same_files(tables["query"], pairs)
    return tables, report


def read_entries(
    data: DataSettings, folders: Mapping[str, Path], apart: Container[Identity]
) -> tuple[dict[str, list[LabelEntry]], dict[str, list[str]]]:
    """Per split, the label entries sorted by name, and the files that no entry names.

    A test entry is one of each test folder that holds its file, and of the gallery if neither does.

    Args:
        data: the layout.
        folders: of each split.
        apart: folders that are no images.

    Raises:
        LookalikeError: a folder or a label file cannot be used as a whole.
    """
    require_data(data)
    train = read_labels(data.train_labels_path, may_be_empty=not data.labelled).entries
    test = read_labels(data.test_labels_path).entries
    in_query, is_in_gallery = [*map(_is_in(folders["query"]), test)], _is_in(folders["gallery"])
    entries = {
        "train": list(train),
        "query": list(compress(test, in_query)),
        "gallery": [
            entry
            for entry, found in zip(test, in_query, strict=True)
            if not found or is_in_gallery(entry)
        ],
    }
    unlisted = {
        "train": _unlisted(folders["train"], train, apart),
        "query": _unlisted(folders["query"], test, apart),
        "gallery": _unlisted(folders["gallery"], test, apart),
    }
    return {split: sorted(rows, key=itemgetter(0)) for split, rows in entries.items()}, unlisted


def _untold_links(data: DataSettings, split: str, located: Mapping[str, str]) -> list[str]:
    """The images read through links out of their folder that `lookalike init` did not make."""
    found = leading_out(data.folder(split), located)
    told = made_by_init(data, split, found, located)
    return [image_id for image_id in found if image_id not in told]


def _is_in(folder: Path) -> Callable[[LabelEntry], bool]:
    """Tells of entries whether their file is in `folder`.

    A link that leads nowhere still says which split was meant, and so does a place that cannot be
    looked at: no entry may leave a split unnoticed for that. The scan finds out why.
    """

    @cache
    def leads_nowhere(inside: str) -> bool:
        parts = inside.split("/")
        above = (folder / "/".join(parts[:count]) for count in range(1, len(parts) + 1))
        return any(place.is_symlink() and not place.exists() for place in above)

    def is_in(entry: LabelEntry) -> bool:
        if entry.status == "unsafe_name":
            return False
        try:
            os.lstat(f"{folder}/{entry.name}")
        except (FileNotFoundError, NotADirectoryError):
            return leads_nowhere(entry.name.rpartition("/")[0])
        except OSError as error:
            return error.errno != errno.ENAMETOOLONG
        return True

    return is_in


def _unlisted(folder: Path, entries: Iterable[LabelEntry], apart: Container[Identity]) -> list[str]:
    """Files under `folder`, litter and hidden ones aside, that no entry names; sorted paths.

    apart: device and inode of folders that are left out.
    """
    listed = {os.path.normpath(entry.name) for entry in entries}
    found = []
    for place, folders, names in os.walk(folder):
        if identity(place) in apart:
            folders.clear()
            continue
        folders[:] = [name for name in folders if not is_litter(name)]
        inside = Path(place).relative_to(folder).as_posix()
        prefix = "" if inside == "." else f"{inside}/"
        found += [prefix + name for name in names if not is_litter(name)]
    return sorted(storable(name) for name in found if name not in listed)


def _loose(name: str) -> str:
    """A name without what file systems and programs change on the way: case, Unicode form."""
    return unicodedata.normalize("NFC", name).casefold()


def table_of_entries(
    entries: list[LabelEntry], folder: str, scanned: Mapping[str, Scanned], near: Mapping[str, str]
) -> pa.Table:
    """A split's manifest.

    Args:
        entries: its label entries.
        folder: of its images, as the settings say it.
        scanned: what is known of each file, by `folder/name`.
        near: files that no entry names, by their names without case and Unicode form.
    """
    rows = [_row(entry, scanned.get(f"{folder}/{entry.name}"), near) for entry in entries]
    columns = zip(*rows, strict=True) if rows else [()] * len(SCHEMA)
    arrays = [pa.array(column, kind) for column, kind in zip(columns, SCHEMA.types, strict=True)]
    return pa.table(arrays, schema=SCHEMA)


def _marked_with_same_files(queries: pa.Table, pairs: list[tuple[str, str]]) -> pa.Table:
    """The query table; its metadata tell of gallery images that are a query's own file.

    A query does not find itself (metrics.exclude), so where a link became a copy, or a copy a link,
    the manifest must differ, though every content and label is as before.
    """
    return queries.replace_schema_metadata({"same_files": digest_of(pairs)}) if pairs else queries


def _row(entry: LabelEntry, seen: Scanned | None, near: Mapping[str, str]) -> tuple[Any, ...]:
    if entry.status != "ok" or seen is None:
        unknown = (None,) * 5
        return (entry.name, entry.label, *unknown, entry.status, entry.detail)
    detail = seen.detail
    if seen.status == "missing_file" and _loose(entry.name) in near:
        detail = (
            f"{detail}; {quoted(near[_loose(entry.name)])} is there (case or Unicode form differs)"
        )
    return (
        entry.name,
        entry.label,
        seen.sha256,
        seen.width,
        seen.height,
        seen.format,
        seen.n_bytes,
        seen.status,
        detail,
    )
