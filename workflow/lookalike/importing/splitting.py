"""Which image goes where: training, queries, gallery.

What is decided is decided by a hash of the seed and of a name, never by how many others there are:
so an image that comes later leaves the others where they are. A class must have an image to find
before it has one to look for, and a few images are not enough for chance: so the first ones of a
class, in the natural order of their names, have fixed places.
"""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from lookalike.data.spellings import first_few
from lookalike.errors import LookalikeError
from lookalike.importing.groups import Joined, members
from lookalike.importing.sources import Role, Side
from lookalike.text import quoted

Place = Literal["train", "query", "gallery", "both"]
"""Where an image goes; both: it is a query and a gallery image."""


@dataclass(frozen=True)
class SplitSettings:
    """How images are split.

    closed: each class is trained on and tested; otherwise classes of train and test are disjoint.
    test_share: of the classes; closed, of each class's images. queries: of a class's test images,
    a share below 1 or a number from 1 up. seed: of all that is drawn.
    """

    closed: bool = False
    test_share: float = 0.3
    queries: float = 0.25
    seed: int = 0


class Candidate(NamedTuple):
    """An image to be placed.

    Attributes:
        key: its name for the draw.
        label: its class.
        group: of images that stay together; a number.
        side: where it must be, if that is known.
        role: what it must be among test images, if that is known.
        place: where it is already.
        is_usable: whether it can be read: one that cannot is no class's only query.
    """

    key: str
    label: str
    group: int
    side: Side | None = None
    role: Role | None = None
    place: Place | None = None
    is_usable: bool = True


def share_of(seed: int, *names: str) -> float:
    """A number in [0, 1) that seed and names decide, evenly spread."""
    digest = hashlib.sha256(b"\0".join([str(seed).encode(), *map(os.fsencode, names)])).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def split(images: Sequence[Candidate], settings: SplitSettings) -> list[Place | None]:
    """The place of each image; None where its group is in more than one split already.

    Args:
        images: in the natural order of their keys.
        settings: how to split.

    Raises:
        LookalikeError: there are too few classes of two images for training and a test.
    """
    sides = (
        [_side_of_place(image.place) or image.side for image in images]
        if settings.closed
        else _open_sides(images, settings)
    )
    return _places(images, sides, settings)


def _side_of_place(place: Place | None) -> Side | None:
    return None if place is None else "train" if place == "train" else "test"


def _open_sides(images: Sequence[Candidate], settings: SplitSettings) -> list[Side | None]:
    """Train or test for each image, by classes; None where its class or group is in both."""
    classes = classes_together(images)
    of_label: defaultdict[str, set[Side]] = defaultdict(set)
    for image in images:
        of_label[image.label] |= _known_sides([image])
    of_class: dict[str, Side | None] = {}
    fixed = {
        first: _known_sides(images[place] for place in places) for first, places in classes.items()
    }
    free = {}
    for first, places in classes.items():
        labels = {images[place].label for place in places}
        if len(fixed[first]) > 1:  # groups came later that tie a class of one to one of the other
            for label in labels:
                own = of_label[label]
                of_class[label] = next(iter(own)) if len(own) == 1 else None
        elif fixed[first]:
            of_class |= dict.fromkeys(labels, next(iter(fixed[first])))
        else:
            free[first] = places
    is_fresh = not any(fixed.values())
    for first, side in _drawn_sides(images, free, settings, must_suffice=is_fresh).items():
        of_class |= dict.fromkeys((images[place].label for place in free[first]), side)
    of_group = {
        group: _known_sides(images[place] for place in places)
        for group, places in members([image.group for image in images]).items()
    }
    return [
        _side_of_place(image.place)
        or image.side
        or _agreed(of_class[image.label], of_group[image.group])
        for image in images
    ]


def _agreed(of_class: Side | None, of_group: set[Side]) -> Side | None:
    """The side that class and group both allow."""
    return None if of_class is None or of_group - {of_class} else of_class


def _known_sides(images: Iterable[Candidate]) -> set[Side]:
    sides = (_side_of_place(image.place) or image.side for image in images)
    return {side for side in sides if side is not None}


def classes_together(images: Sequence[Candidate]) -> dict[str, list[int]]:
    """Images by class, classes that share a group taken as one; by the first label of each."""
    labels = sorted({image.label for image in images})
    number = {label: place for place, label in enumerate(labels)}
    joined = Joined(len(labels))
    first_of: dict[int, int] = {}
    for image in images:
        joined.join(first_of.setdefault(image.group, number[image.label]), number[image.label])
    together = members([joined.of(number[image.label]) for image in images])
    return {labels[first]: places for first, places in sorted(together.items())}


def _drawn_sides(
    images: Sequence[Candidate],
    classes: Mapping[str, list[int]],
    settings: SplitSettings,
    *,
    must_suffice: bool,
) -> dict[str, Side]:
    """Train or test for each set of classes, each by its own draw.

    must_suffice: where chance left training or test without what each needs, the sets whose draws
    are nearest change over.
    """
    draws = {first: share_of(settings.seed, "class", first) for first in classes}
    sides: dict[str, Side] = {
        first: "test" if draw < settings.test_share else "train" for first, draw in draws.items()
    }
    if not must_suffice:
        return sides
    # How many classes of a set have a pair to learn from, and whether one has one to be found.
    pairs = {first: _with_pair(images, places, by_group=False) for first, places in classes.items()}
    tested = {first: _with_pair(images, places, by_group=True) for first, places in classes.items()}
    by_draw = sorted((first for first in classes if pairs[first]), key=draws.__getitem__)
    testable = [first for first in by_draw if tested[first]]
    if testable and not any(sides[first] == "test" for first in testable):
        sides[testable[0]] = "test"
    for first in reversed(by_draw):
        others = [one for one in testable if one != first and sides[one] == "test"]
        if sum(pairs[one] for one in by_draw if sides[one] == "train") >= _TRAINABLE:
            break
        if others:
            sides[first] = "train"
    trained = sum(pairs[one] for one in by_draw if sides[one] == "train")
    if trained < _TRAINABLE or not any(sides[first] == "test" for first in testable):
        _refuse(images, sum(pairs.values()), len(by_draw))
    return sides


_TRAINABLE = 2  # classes of two images, which a balanced batch needs


def _refuse(images: Sequence[Candidate], with_pair: int, sets: int) -> None:
    labels = sorted({image.label for image in images})
    tied = (
        f" Images that belong together, such as equal files in two classes, tie them into {sets} "
        f"{'set' if sets == 1 else 'sets'}, which cannot be parted; --near-duplicates none parts "
        "them, equal files too."
        if sets < with_pair
        else ""
    )
    raise LookalikeError(
        f"there are {len(labels):,} classes ({first_few(map(quoted, labels))}), {with_pair:,} of "
        "them with two usable images or more. To train on some classes and test on others takes "
        f"three or more that can be parted, of two images or more each.{tied} Add images, or train "
        "and test within classes: --closed (four images a class). For search alone, without "
        "training: --as flat"
    )


def _with_pair(images: Sequence[Candidate], places: Iterable[int], *, by_group: bool) -> int:
    """How many classes have two usable images; by_group: of two groups."""
    found: defaultdict[str, set[int]] = defaultdict(set)
    for place in places:
        if images[place].is_usable:
            found[images[place].label].add(images[place].group if by_group else place)
    return sum(len(inside) > 1 for inside in found.values())


def _places(
    images: Sequence[Candidate], sides: Sequence[Side | None], settings: SplitSettings
) -> list[Place | None]:
    """The place of each image, by its side; a group has one place."""
    places: list[Place | None] = [
        image.place or _given_place(side, image.role)
        for image, side in zip(images, sides, strict=True)
    ]
    found: defaultdict[_Whole, set[Place]] = defaultdict(set)
    for image in images:
        if image.place is not None:
            found[_whole(image)].add(image.place)
    decided: dict[_Whole, Place] = {
        whole: next(iter(one)) for whole, one in found.items() if len(one) == 1
    }
    # Nothing can join what is parted already.
    parted = {whole for whole, several in found.items() if len(several) > 1}
    by_label: defaultdict[str, list[int]] = defaultdict(list)
    for number, image in enumerate(images):
        left_out = places[number] is None and (
            _whole(image) in parted or (sides[number] is None and not settings.closed)
        )
        if not left_out:
            by_label[image.label].append(number)
    for label in sorted(by_label):
        _decide_class(images, by_label[label], places, decided, settings)
        for number in by_label[label]:
            places[number] = places[number] or decided[_whole(images[number])]
    return places


_Whole = tuple[int, Side | None]


def _whole(image: Candidate) -> _Whole:
    """What has one place: a group, or its part in each side where the source says the sides."""
    return image.group, image.side


def _given_place(side: Side | None, role: Role | None) -> Place | None:
    """Where the source itself puts an image."""
    return "train" if side == "train" else role if side == "test" else None


def _decide_class(
    images: Sequence[Candidate],
    inside: Sequence[int],
    places: Sequence[Place | None],
    decided: dict[_Whole, Place],
    settings: SplitSettings,
) -> None:
    """Decide the groups of one class that have no place yet.

    inside: which images are of the class. places: of all images, as far as they are known.
    """
    closed = settings.closed and all(images[number].side is None for number in inside)
    by_share = settings.queries < 1
    needs = _first_places(settings, closed=closed)
    todo: dict[_Whole, list[int]] = {}
    for number in inside:
        whole = _whole(images[number])
        place = places[number] or decided.get(whole)
        if place is None:
            todo.setdefault(whole, []).append(number)
        elif images[number].is_usable:
            both: tuple[Place, ...] = ("query", "gallery")
            for need in both if place == "both" else (place,):
                if need in needs:
                    needs.remove(need)
    for whole, numbers in todo.items():
        if not any(images[number].is_usable for number in numbers):
            decided[whole] = "train" if closed else "gallery"
        elif needs:
            decided[whole] = needs.pop(0)
        else:
            decided[whole] = _drawn_place(images[numbers[0]].key, closed, by_share, settings)


def _first_places(settings: SplitSettings, *, closed: bool) -> list[Place]:
    """Where the first images of a class go: what each class needs, and then what makes up shares.

    >>> _first_places(SplitSettings(), closed=False)
    ['gallery', 'query', 'gallery', 'gallery']
    >>> _first_places(SplitSettings(test_share=0.4), closed=True)
    ['train', 'train', 'gallery', 'query', 'train']
    """
    places: list[Place] = ["gallery", "query"]
    places += ["query" for _ in range(int(settings.queries) - 1)]
    if closed:
        tested = len(places)
        places = ["train", "train", *places]
        places += ["train" for _ in range(round(tested / settings.test_share) - len(places))]
    elif settings.queries < 1:
        places += ["gallery" for _ in range(round(1 / settings.queries) - len(places))]
    return places


def _drawn_place(key: str, closed: bool, by_share: bool, settings: SplitSettings) -> Place:
    if closed and share_of(settings.seed, "test", key) >= settings.test_share:
        return "train"
    is_query = by_share and share_of(settings.seed, "query", key) < settings.queries
    return "query" if is_query else "gallery"
