"""What to know of the data before trusting a number that comes from it."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, combinations
from operator import itemgetter
from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lookalike.data.class_draws import uneven_draws
from lookalike.data.findings import TINY, USUAL_BATCH, Report, findings
from lookalike.data.manifest_table import usable
from lookalike.data.near_duplicates import Appearances, nearest_by_appearance
from lookalike.data.spellings import FIRST, first_few, folded, nearly_equal, nearly_equal_labels
from lookalike.text import quoted, shown

NEAR_SHOWN = 12  # pairs of near-duplicates, of any two splits


class _Image(NamedTuple):
    image_id: str
    label: str
    sha256: str


def data_report(
    tables: Mapping[str, pa.Table],
    unlisted: Mapping[str, Sequence[str]],
    same_files: Iterable[tuple[str, str]],
    links: Mapping[str, Sequence[str]],
    appearances: Mapping[str, Mapping[str, bytes | None]],
    near_duplicates: int | Literal[False],
    threads: int = 1,
    labelled: bool = True,
) -> Report:
    """The content of data_report.json.

    Only usable images (status ok) count as images, classes and duplicates.

    Args:
        tables: the manifest of `train`, `query`, `gallery`.
        unlisted: per split, the files that no label names.
        same_files: the pairs of a query and a gallery image that are one file met twice.
        links: per split, the images that lie outside of the folder.
        appearances: per split and image, see `lookalike.data.near_duplicates`.
        near_duplicates: bits of a perceptual hash in which two images may differ and count as one;
            False: such pairs are not looked for.
        threads: that look for them.
        labelled: whether labels say what is alike.
    """
    images = {split: _usable_images(table) for split, table in tables.items()}
    labels = {split: Counter(image.label for image in images[split]) for split in images}
    own: defaultdict[str, set[str]] = defaultdict(set)
    for query, item in same_files:
        own[query].add(item)
    alone = [label for label, count in labels["train"].items() if count == 1]
    distractors = labels["gallery"].keys() - labels["query"].keys()
    nothing_to_find = {
        exclude: _counted(_without_relevant(images["query"], images["gallery"], own, exclude))
        for exclude in ("none", "same_file", "same_content")
    }
    report: Report = {
        # Whoever searches learns by this that there are no metrics to wait for.
        **({} if labelled else {"labelled": False}),
        "splits": {
            split: _split(table, labels[split], unlisted[split]) for split, table in tables.items()
        },
        "duplicates": {
            "within": {split: _within(images[split]) for split in images},
            "across": _across(images, own),
        },
        "near_duplicates": {
            # 0 bits is a number, too.
            "bits": None if near_duplicates is False else near_duplicates,
            "across": []
            if near_duplicates is False
            else _near(images, appearances, near_duplicates, threads),
        },
        "shared_classes": _counted(
            sorted(labels["train"].keys() & (labels["query"].keys() | labels["gallery"].keys()))
        ),
        "queries_of_training_classes": sum(
            count for label, count in labels["query"].items() if label in labels["train"]
        ),
        "classes_without_positive": _counted(sorted(alone)),
        "queries_without_relevant": nothing_to_find["same_file"],
        "nothing_to_find": nothing_to_find,
        "distractors": {
            "images": sum(labels["gallery"][label] for label in distractors),
            "classes": len(distractors),
        },
    }
    report["findings"] = findings(
        report,
        labelled_twice=_counted(_labelled_twice(images)),
        nearly_equal_labels=_counted(nearly_equal_labels(chain.from_iterable(labels.values()))),
        nearly_equal_names=_counted(
            [
                group
                for split in images
                for group in nearly_equal(
                    (f"{split}/{image.image_id}" for image in images[split]), folded
                )
            ]
        ),
        links=_counted([f"{split}/{name}" for split in links for name in links[split]]),
        tiny=_counted([f"{split}/{name}" for split in tables for name in _tiny(tables[split])]),
        queries_in_gallery=len(own),
        uneven=uneven_draws(np.array([*labels["train"].values()], dtype=np.int64), *USUAL_BATCH),
        labelled=labelled,
    )
    return report


def _usable_images(table: pa.Table) -> list[_Image]:
    rows = table.select(_Image._fields).filter(pc.equal(table["status"], "ok"))
    return [_Image(*row) for row in zip(*(c.to_pylist() for c in rows.columns), strict=True)]


def _counted(names: Sequence[str]) -> Report:
    return {"count": len(names), "first": list(names[:FIRST])}


def _split(table: pa.Table, labels: Counter[str], unlisted: Sequence[str]) -> Report:
    names_by_reason: defaultdict[str, list[str]] = defaultdict(list)
    bad = table.filter(pc.not_equal(table["status"], "ok"))
    for name, reason in zip(bad["image_id"].to_pylist(), bad["status"].to_pylist(), strict=True):
        names_by_reason[reason].append(name)
    sizes = labels.values()
    return {
        "entries": table.num_rows,
        "ok": labels.total(),
        "classes": len(labels),
        "images_per_class": {
            "min": min(sizes, default=0),
            "median": statistics.median(sizes) if sizes else 0,
            "max": max(sizes, default=0),
        },
        "reasons": {
            reason: _counted(names_by_reason[reason]) for reason in sorted(names_by_reason)
        },
        "unlisted_files": _counted(unlisted),
    }


def _by_content(images: Iterable[_Image]) -> dict[str, list[str]]:
    """Image ids by hash, in the order of the images."""
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for image in images:
        groups[image.sha256].append(image.image_id)
    return groups


def _within(images: Iterable[_Image]) -> Report:
    groups = [ids for ids in _by_content(images).values() if len(ids) > 1]
    return {
        "groups": len(groups),
        "images": sum(map(len, groups)),
        "first": [ids[:FIRST] for ids in groups[:FIRST]],
    }


def _across(images: Mapping[str, list[_Image]], own: Mapping[str, set[str]]) -> list[Report]:
    """Contents met in two splits, per pair of splits that share any.

    One file that is both query and gallery item (leave-one-out) is no duplicate of itself.
    """
    contents = {split: _by_content(images[split]) for split in images}
    found = []
    for one, other in combinations(images, 2):
        groups = [
            (ids, contents[other][sha256])
            for sha256, ids in contents[one].items()
            if sha256 in contents[other]
        ]
        if "train" not in (one, other):
            groups = [
                (queries, gallery)
                for queries, gallery in groups
                if sum(len(own.get(query, ())) for query in queries) < len(queries) * len(gallery)
            ]
        if groups:
            found.append(
                {
                    "splits": [one, other],
                    "groups": len(groups),
                    "leakage": "train" in (one, other),
                    "first": [{one: a[:FIRST], other: b[:FIRST]} for a, b in groups[:FIRST]],
                }
            )
    return found


def _near(
    images: Mapping[str, list[_Image]],
    appearances: Mapping[str, Mapping[str, bytes | None]],
    bits: int,
    threads: int,
) -> list[Report]:
    """Per pair of splits, images of the second that look like one of the first, bytes aside."""
    hashes = (image.sha256 for members in images.values() for image in members)
    contents = {sha256: number for number, sha256 in enumerate(dict.fromkeys(hashes))}
    # Each content is looked for once: of a placeholder there may be thousands of copies.
    copies = {split: Counter(image.sha256 for image in images[split]) for split in images}
    clear = {
        split: [x for x in _first_of_each(images[split]) if appearances[split][x.image_id]]
        for split in images
    }
    looks_of = {
        split: Appearances(
            [appearances[split][image.image_id] or b"" for image in clear[split]],
            np.array([contents[image.sha256] for image in clear[split]], np.int64),
        )
        for split in images
    }
    found = []
    for one, other in combinations(images, 2):
        places, far = nearest_by_appearance(
            looks_of[other], looks_of[one], bits, threads=threads, what=f"{one} and {other}"
        )
        pairs = sorted(
            (
                (int(far[row]), clear[one][places[row]], clear[other][row])
                for row in np.flatnonzero(places >= 0).tolist()
            ),
            key=itemgetter(0),
        )
        if not pairs:
            continue
        found.append(
            {
                "splits": [one, other],
                "images": sum(copies[other][b.sha256] for _, _, b in pairs),
                "of_another_label": sum(
                    copies[other][b.sha256] for _, a, b in pairs if a.label != b.label
                ),
                "first": [
                    {one: a.image_id, other: b.image_id, "bits": distance}
                    for distance, a, b in pairs[:NEAR_SHOWN]
                ],
            }
        )
    return found


def _first_of_each(images: Iterable[_Image]) -> list[_Image]:
    """The first image of each content."""
    firsts: dict[str, _Image] = {}
    for image in images:
        firsts.setdefault(image.sha256, image)
    return list(firsts.values())


def _tiny(table: pa.Table) -> list[str]:
    rows = table.filter(pc.less(pc.min_element_wise(table["width"], table["height"]), TINY))
    names: list[str] = usable(rows)["image_id"].to_pylist()
    return names


def _without_relevant(
    queries: Iterable[_Image],
    gallery: Iterable[_Image],
    own: Mapping[str, set[str]],
    exclude: str,
) -> list[str]:
    """Queries whose class has no gallery item but, at most, those that `exclude` leaves out.

    That is by `metrics.exclude` none, the query's own file, or all that equal it byte for byte.
    """
    label_of = {item.image_id: item.label for item in gallery}
    items = Counter(label_of.values())
    copies = Counter((item.label, item.sha256) for item in gallery)

    def left_out(query: _Image) -> int:
        if exclude == "none":
            return 0
        if exclude == "same_content":
            return copies[query.label, query.sha256]
        return sum(label_of[item] == query.label for item in own.get(query.image_id, ()))

    return [query.image_id for query in queries if items[query.label] == left_out(query)]


def _labelled_twice(images: Mapping[str, list[_Image]]) -> list[str]:
    """Contents that stand under more than one label, each as its first images and their labels."""
    by_label: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for split, members in images.items():
        for image in members:
            by_label[image.sha256].setdefault(image.label, f"{split}/{image.image_id}")
    return [
        first_few(f"{shown(name)} ({quoted(label)})" for label, name in names.items())
        for names in by_label.values()
        if len(names) > 1
    ]
