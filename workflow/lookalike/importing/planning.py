"""What is to be where, under which name, and what is said of that."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from lookalike.data.scan import Scanned
from lookalike.importing.groups import Joined, join_alike
from lookalike.importing.names import names_for, natural
from lookalike.importing.sources import SourceImage
from lookalike.importing.splitting import Candidate, Place, SplitSettings, split
from lookalike.importing.summary import about_groups
from lookalike.importing.writing import FOLDERS, LABEL_FILES, Placed

KnownNames = Mapping[str, Mapping[str, str]]
"""By folder and name of an image, its key; see `lookalike.data.origins.Origins`."""

# Names are told apart in training, and in query and gallery together: their labels are one file.
_ROOMS = (("train",), ("query", "gallery"))


@dataclass(frozen=True)
class Plan:
    """What is to be where.

    Attributes:
        placed: every image, sorted; one that is a query and a gallery image twice.
        gone: what was placed before and is no longer in the source; without its label.
        notes: what is said of groups, a sentence each.
    """

    placed: list[Placed]
    gone: list[Placed]
    notes: list[str]


def make_plan(
    images: Sequence[SourceImage],
    scanned: Mapping[str, Scanned],
    settings: SplitSettings | None,
    names: KnownNames,
    *,
    bits: int | None,
    threads: int = 1,
    taken: Mapping[str, Iterable[str]] | None = None,
) -> Plan:
    """Decide the place and the name of each image.

    Args:
        images: of the source.
        scanned: what is known of each, by its key.
        settings: how to split; None puts all into the gallery.
        names: of what was placed before: it keeps place and name.
        bits: of a perceptual hash in which near-duplicates may differ, which are not parted; None:
            they may be.
        threads: that look for these.
        taken: by label file, further names that no image may have.
    """
    images = sorted(images, key=lambda image: natural(image.key))
    if settings is None:
        places: list[Place | None] = ["gallery"] * len(images)
        notes: list[str] = []
    else:
        places, notes = _split(images, scanned, settings, names, bits, threads)
    new = {
        image.key: place for image, place in zip(images, places, strict=True) if place is not None
    }
    label_of = {image.key: image.label for image in images}
    placed, gone = [], []
    for (of, key), name in _named(new, names, taken or {}).items():
        if key not in label_of:
            gone.append(Placed(of, name, key, ""))
        else:
            placed.append(Placed(of, name, key, label_of[key] or name))
    return Plan(sorted(placed), sorted(gone), notes)


def _split(
    images: Sequence[SourceImage],
    scanned: Mapping[str, Scanned],
    settings: SplitSettings,
    names: KnownNames,
    bits: int | None,
    threads: int,
) -> tuple[list[Place | None], list[str]]:
    """The place of each image; and what is said of groups."""
    known = _known_places(names)
    joined = Joined(len(images))
    joined.join_equal(image.group for image in images)
    if bits is not None:
        facts = [scanned[image.key] for image in images]
        # A blank picture looks like no other, and may have copies all the same.
        joined.join_equal(fact.sha256 if fact.status == "ok" else None for fact in facts)
        join_alike(joined, [fact.appearance for fact in facts], bits, threads=threads)
    candidates = [
        Candidate(
            image.key,
            image.label or "",
            group,
            image.side,
            image.role,
            known.get(image.key),
            is_usable=scanned[image.key].status == "ok",
        )
        for image, group in zip(images, joined.everything(), strict=True)
    ]
    places = split(candidates, settings)
    parted: defaultdict[int, set[Place]] = defaultdict(set)
    for candidate, place in zip(candidates, places, strict=True):
        if place is not None:
            parted[candidate.group].add(place)
    notes = about_groups(
        candidates,
        sum(len(several) > 1 for several in parted.values()),
        [image.key for image, place in zip(candidates, places, strict=True) if place is None],
        by_class=not settings.closed and all(image.side is None for image in images),
    )
    return places, notes


def _known_places(names: KnownNames) -> dict[str, Place]:
    """Where each image is already, by its key."""
    places: dict[str, Place] = {}
    for of, folder in FOLDERS.items():
        for key in names.get(folder, {}).values():
            places[key] = "both" if key in places else cast(Place, of)
    return places


def _named(
    places: Mapping[str, Place], before: KnownNames, others: Mapping[str, Iterable[str]]
) -> dict[tuple[str, str], str]:
    """By split and key, the name of each image: what has one keeps it."""
    names = {
        (of, key): name
        for of, folder in FOLDERS.items()
        for name, key in before.get(folder, {}).items()
    }
    has_name = {key for _, key in names}
    for room in _ROOMS:
        taken = {name for (of, _), name in names.items() if of in room}
        taken.update(others.get(LABEL_FILES[room[0]], ()))
        new = [
            key
            for key, place in places.items()
            if key not in has_name and not set(room).isdisjoint(_splits_of(place))
        ]
        for key, name in names_for(new, taken).items():
            names |= dict.fromkeys(((of, key) for of in _splits_of(places[key])), name)
    return names


def _splits_of(place: Place) -> tuple[str, ...]:
    return ("query", "gallery") if place == "both" else (place,)
