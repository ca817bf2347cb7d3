"""`lookalike init`: a data folder that the workflow reads, from images as they are."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, cast

from lookalike.data.findings import named
from lookalike.data.labels import read_labels
from lookalike.data.origins import ORIGINS, Options, Origins, read_origins
from lookalike.data.scan import Scanned, scan
from lookalike.data.spellings import first_few
from lookalike.errors import LookalikeError
from lookalike.importing import summary
from lookalike.importing.by_hand import changed_labels, entries_by_hand
from lookalike.importing.cameras import CAMERA, attributes_text
from lookalike.importing.folders import read_folder
from lookalike.importing.listing import Columns, read_listing
from lookalike.importing.options import DEFAULTS, InitOptions, merged_options
from lookalike.importing.planning import Plan, make_plan
from lookalike.importing.sources import Collection, SourceImage
from lookalike.importing.splitting import SplitSettings
from lookalike.importing.writing import (
    ATTRIBUTES,
    FOLDERS,
    LABEL_FILES,
    MADE,
    SETTINGS,
    Placed,
    Way,
    bring_images,
    is_other,
    keys_by_folder,
    leftovers,
    links_of,
    new_folder,
    remove_links,
    write_records,
)
from lookalike.text import shown, shown_path

_GONE = ("missing_file", "not_a_file")
# Of a data folder's path: what Snakemake takes for wildcards and variables, see the schema.
_NOT_IN_PATHS = "{}<>"


# Whether a folder was made for search alone is kept with the options.
_SEARCH = "for_search_alone"


def init(
    source: Path,
    dest: Path,
    options: InitOptions,
    *,
    update: bool = False,
    cache: Path | None = None,
    threads: int = 1,
) -> str:
    """Make a data folder, or bring one up to date; returns what was done, in sentences.

    Args:
        source: a folder of images or a table; nothing in it is touched.
        dest: what is made. Absent or empty; with `update`, made by this function.
        options: how.
        update: add what is new to `dest`, and keep each image in the split that it is in.
        cache: the cache folder of the workflow: what is learnt of an image here is known there.
        threads: that read images.

    Raises:
        LookalikeError: source or dest cannot be used; what, and the remedy.
    """
    dest = Path(os.path.abspath(dest.expanduser()))  # noqa: PTH100 - links are not followed
    source = source.expanduser()
    _require_places(source, dest)
    before = _before(dest, update)
    stopped = [] if update else leftovers(dest)
    if options.images is not None:  # from whatever folder the next command is started in
        options = replace(options, images=os.path.abspath(options.images))  # noqa: PTH100
    options = merged_options(options, before)
    if cache is not None and _is_inside(cache, source):
        cache = None
    found = _read(source, options, cache, threads)
    _require_drawn(source, found, options)
    options = replace(options, kind=found.kind)  # an image that comes later does not change it
    scanned = scan([image.key for image in found.images], found.root, cache=cache, threads=threads)
    images = [image for image in found.images if scanned[image.key].status not in _GONE]
    if gone := [image.key for image in found.images if scanned[image.key].status in _GONE]:
        found.notes.append(
            f"Links that lead nowhere are left aside: {len(gone):,} "
            f"({first_few(map(shown, gone))})."
        )
    if not images:
        raise LookalikeError(f"{shown_path(source)}: none of its images is there")
    searches = _is_for_search(before, found, images)
    settings = SplitSettings(
        closed=bool(options.closed),
        test_share=float(options.test_share or 0),
        queries=float(options.queries_per_class or 0),
        seed=int(options.seed or 0),
    )
    bits = options.near_duplicates
    by_hand = entries_by_hand(dest, before)
    plan = make_plan(
        images,
        scanned,
        None if searches else settings,
        before.keys if before else {},
        bits=None if isinstance(bits, str) else bits,
        threads=threads,
        taken=by_hand,
    )
    if not searches and before is None:
        _require_sufficient(source, plan.placed, scanned, closed=settings.closed)
    plan, going = _with_what_left(dest, found.root, plan, options, before)
    placed = plan.placed
    changed = changed_labels(dest, before, placed)
    attributes = None if searches else attributes_text(dest, images, placed, going)
    others = _write(dest, found.root, plan, going, options, searches, before, by_hand, attributes)
    unusable = [(i.key, scanned[i.key].status) for i in images if scanned[i.key].status != "ok"]
    drawn = not found.has_splits and before is None
    return "\n".join(
        [
            f"{shown_path(dest)}, from {found.what} in {shown_path(found.root)}:",
            *summary.counts(placed),
            *(
                f"- {note}"
                for note in (
                    *([summary.SEARCH_ALONE] if searches else ()),
                    *([] if searches else summary.about_classes(placed, settings, drawn)),
                    *plan.notes,
                    *summary.about_gone(plan.gone, going),
                    *summary.about_hand(others, by_hand, changed),
                    *found.notes,
                    *summary.about_leftovers(stopped),
                    *summary.about_unusable(unusable),
                    *summary.about_names(placed),
                )
            ),
            *summary.next_commands(dest, searches=searches),
        ]
    )


def _require_places(source: Path, dest: Path) -> None:
    if not os.path.lexists(source):
        raise LookalikeError(f"{shown_path(source)}: there is no such folder or table")
    if not source.exists():
        raise LookalikeError(f"{shown_path(source)}: is a link that leads nowhere")
    if dest.exists() and not dest.is_dir():
        raise LookalikeError(f"{shown_path(dest)}: is a file; name a folder, which is made")
    if any(character in _NOT_IN_PATHS or not character.isprintable() for character in str(dest)):
        raise LookalikeError(
            f"{shown_path(dest)}: holds braces, angle brackets or what cannot be seen, which a "
            "workflow's paths must not; name another folder"
        )
    if source.is_dir() and _is_inside(dest, source):
        raise LookalikeError(
            f"{shown_path(dest)}: lies in the source, in which nothing is changed; name a folder "
            "outside of it"
        )
    if _is_inside(source, dest):
        raise LookalikeError(
            f"{shown_path(source)}: the source lies in {shown_path(dest)}, which is to be made; "
            "name another folder"
        )


def _is_inside(path: Path, folder: Path) -> bool:
    """Whether a path is a folder or lies in it, links followed."""
    real, above = os.path.realpath(path), os.path.realpath(folder)
    return real == above or real.startswith(above.rstrip("/") + "/")


def _before(dest: Path, update: bool) -> Origins | None:
    """What init noted of `dest`; None where it is to be made."""
    try:
        content = [path.name for path in dest.iterdir()] if dest.exists() else []
    except OSError as error:
        raise LookalikeError(f"{shown_path(dest)}: cannot be read: {error.strerror}") from error
    if not update:
        if ORIGINS in content and read_origins(dest) is not None:
            raise LookalikeError(
                f"{shown_path(dest)}: was made by lookalike init before; --update adds what is new "
                "to it, or name another folder"
            )
        _require_no_half(dest, content)
        if content:
            raise LookalikeError(
                f"{shown_path(dest)}: is not empty: it holds "
                f"{named({'count': len(content), 'first': sorted(content)[:5]})}; name a new folder"
            )
        return None
    before = read_origins(dest)
    if before is None:
        _require_no_half(dest, content)
        raise LookalikeError(
            f"{shown_path(dest)}: --update needs a folder that lookalike init made, with its "
            f"{ORIGINS}, and it {'cannot be read' if ORIGINS in content else 'is not there'}; "
            "leave --update out and name a new folder"
        )
    return before


def _require_no_half(dest: Path, content: Sequence[str]) -> None:
    """See that a folder is not what an import that was killed while it filled it has left."""
    left = leftovers(dest)
    if left and content and {path.name for path in left}.union(MADE).issuperset(content):
        beside = [path for path in left if path.parent.samefile(dest.parent)]
        raise LookalikeError(
            f"{shown_path(dest)}: is not whole: a lookalike init that was stopped has left it so. "
            f"Unless one is at work there, delete {shown_path(dest)}"
            + "".join(f" and {shown_path(path)}" for path in beside)
            + ", and the same command without --update makes it anew"
        )


def _read(source: Path, options: InitOptions, cache: Path | None, threads: int) -> Collection:
    columns = Columns(
        options.path, options.label, options.split, options.query, options.gallery, options.group
    )
    if not source.is_dir():
        if options.kind is not None:
            raise LookalikeError(f"{shown_path(source)}: is no folder; --as goes with folders")
        return read_listing(source, Path(options.images) if options.images else None, columns)
    idle = [name for name in ("images", *vars(columns)) if getattr(options, name) is not None]
    if idle:
        raise LookalikeError(
            f"{shown_path(source)}: is a folder; {', '.join(f'--{name}' for name in idle)} "
            f"{'goes' if len(idle) == 1 else 'go'} with a table"
        )

    def is_image(root: Path, files: Sequence[str]) -> set[str]:
        known = scan(files, root, cache=cache, threads=threads) if files else {}
        return {file for file, facts in known.items() if facts.status == "ok"}

    root = Path(os.path.abspath(source))  # noqa: PTH100 - links are not followed
    return read_folder(root, options.kind, is_image)


def _require_drawn(source: Path, found: Collection, options: InitOptions) -> None:
    """See that there is something to draw where it is said how."""
    if found.has_splits and (options.closed or options.test_share != DEFAULTS.test_share):
        raise LookalikeError(
            f"{shown_path(source)}: says itself what is trained on and what is tested, so that "
            "--closed and --test-share decide nothing; leave them out"
        )
    if options.closed and any(image.role is not None for image in found.images):
        raise LookalikeError(
            f"{shown_path(source)}: says which images are queries, which goes with a split that it "
            "has, or with classes drawn for the test; leave --closed out"
        )


def _is_for_search(
    before: Origins | None, source: Collection, images: Sequence[SourceImage]
) -> bool:
    """Whether there is nothing to train on and to score: no labels, or one image a class."""
    if before is not None:
        return bool(before.options.get(_SEARCH))
    labels = [image.label for image in images]
    return not source.labelled or (not source.has_splits and len(set(labels)) == len(labels))


def _with_what_left(
    dest: Path, root: Path, plan: Plan, options: InitOptions, before: Origins | None
) -> tuple[Plan, list[Placed]]:
    """The plan with what left the source and stays; and what left it and goes: init's links."""
    if not plan.gone or before is None:
        return plan, []
    names = {image.key: image.name for image in plan.gone if image.split == "gallery"}
    sources = [str(root), before.source]
    going = [
        image
        for image in plan.gone
        if options.files == "link"
        and not is_other(
            dest / FOLDERS[image.split] / image.name, links_of(dest, image, sources, names)
        )
    ]
    labels = {
        (split, entry.name): entry.label
        for split, file in LABEL_FILES.items()
        for entry in read_labels(dest / file, may_be_empty=True).entries
    }
    staying = [
        image._replace(label=label)
        for image in plan.gone
        if image not in going and (label := labels.get((image.split, image.name)))
    ]
    return replace(plan, placed=sorted([*plan.placed, *staying])), going


def _write(
    dest: Path,
    root: Path,
    plan: Plan,
    going: Sequence[Placed],
    options: InitOptions,
    searches: bool,
    before: Origins | None,
    by_hand: Mapping[str, Mapping[str, str]],
    attributes: str | None,
) -> list[Placed]:
    """Write all; returns those in whose place something of a person's lies, which stays."""
    recorded: Options = {
        field.name: getattr(options, field.name)
        for field in fields(options)
        if field.name != "files"
    }
    way = cast(Way, options.files)

    def origins(placed: Sequence[Placed]) -> Origins:
        return Origins(str(root), way, recorded | {_SEARCH: searches}, keys_by_folder(placed))

    if before is None:
        with new_folder(dest) as folder:
            bring_images(folder, root, plan.placed, way)
            new = _settings(dest, searches, attributes is not None)
            write_records(folder, plan.placed, origins(plan.placed), new, attributes=attributes)
        return []
    left = {image.key for image in plan.gone}
    there = [image for image in plan.placed if image.key not in left]
    others = bring_images(dest, root, there, way, before)
    # What a person has written into the settings stays.
    is_set = (dest / SETTINGS).exists()
    settings = None if is_set else _settings(dest, searches, attributes is not None)
    # A file that lies where a new image would is another one, and not of its class.
    placed = [
        image
        for image in plan.placed
        if image not in others or image.name in before.keys.get(FOLDERS[image.split], {})
    ]
    write_records(dest, placed, origins(placed), settings, by_hand, attributes)
    remove_links(dest, going)
    return others


def _settings(dest: Path, searches: bool, cameras: bool) -> dict[str, Any]:
    """What mine.yaml says; with cameras, a query does not find what its own has taken."""
    if cameras:
        return {
            "data": {"root": str(dest), "attributes": ATTRIBUTES},
            "runs": ["strong"],
            "metrics": {"exclude": {"same": [CAMERA]}},
        }
    if not searches:
        return {"data": {"root": str(dest)}, "runs": ["strong"]}
    network = {"name": "efficientnet_lite", "head": "none"}
    return {
        "data": {"root": str(dest), "query": FOLDERS["gallery"], "labelled": False},
        "runs": ["search"],
        "recipes": {"search": {"model": network, "train": "none"}},
    }


def _require_sufficient(
    source: Path, placed: Sequence[Placed], scanned: Mapping[str, Scanned], *, closed: bool
) -> None:
    """See that the workflow can train on these images, and score them."""
    usable = [image for image in placed if scanned[image.key].status == "ok"]
    train = Counter(image.label for image in usable if image.split == "train")
    with_pair = sum(count > 1 for count in train.values())
    if with_pair < 2:
        raise LookalikeError(
            f"{shown_path(source)}: of {len(train):,} training classes {with_pair:,} have two "
            "usable images or more, and training needs two such classes. Add images; or make a "
            "folder of the images alone, and run it for search without training: --as flat"
        )
    answers: defaultdict[str, set[str]] = defaultdict(set)
    for image in usable:
        if image.split == "gallery":
            answers[image.label].add(image.key)
    queries = [image for image in usable if image.split == "query"]
    if not any(answers[image.label] - {image.key} for image in queries):
        raise LookalikeError(
            f"{shown_path(source)}: none of {len(queries):,} queries has another image of its "
            "class in the gallery, so there is nothing to find and nothing to score; add test "
            "images" + " (with --closed, a class is tested from its fourth image on)" * closed
        )
