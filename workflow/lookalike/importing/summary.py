"""What `lookalike init` did, in sentences."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from lookalike.data.spellings import first_few
from lookalike.importing.groups import members
from lookalike.importing.splitting import Candidate, SplitSettings, classes_together
from lookalike.importing.writing import FOLDERS, SETTINGS, Placed
from lookalike.text import quoted, shown, shown_path

SEARCH_ALONE = (
    "Nothing is trained and nothing is measured: without two images of a class there is no right "
    "answer to learn from or to score. What there will be: an embedding of each image by a network "
    "that came trained, for search, and the near-duplicates among them. How good the answers are, "
    "and from which score on to believe them, cannot be said."
)


def counts(images: Sequence[Placed]) -> list[str]:
    """A line for each split: its images and classes."""
    lines = []
    for split, folder in FOLDERS.items():
        labels = Counter(image.label for image in images if image.split == split)
        lines.append(
            f"  {folder + '/':<15}{labels.total():>9,} {_s(labels.total(), 'image')} of "
            f"{len(labels):,} {'class' if len(labels) == 1 else 'classes'}"
        )
    return lines


def about_classes(images: Sequence[Placed], settings: SplitSettings, drawn: bool) -> list[str]:
    """What became of the classes: how they were split, small ones, single images, one-sided ones.

    drawn: whether it was decided here, not by the source.
    """
    by_split = {
        split: Counter(image.label for image in images if image.split == split) for split in FOLDERS
    }
    train, tested = by_split["train"], by_split["gallery"] | by_split["query"]
    notes = []
    shared = train.keys() & tested.keys()
    if drawn and not settings.closed:
        notes.append(
            f"Open set: classes are either trained on or tested. Each was drawn by itself, for the "
            f"test by a chance of {settings.test_share:g} (--test-share), so that one more leaves "
            f"the others where they are: it came to {len(tested):,} of "
            f"{len(train.keys() | tested.keys()):,}."
        )
    elif drawn:
        notes.append(
            f"Closed set (--closed): {len(shared):,} classes are trained on and tested, by "
            "different images. Scores say how well known classes are told apart, not how well "
            "new ones."
        )
    elif shared:
        notes.append(f"{len(shared):,} classes are in training and test, as the source has them.")
    if alone := [label for label, n in train.items() if n == 1]:
        notes.append(
            f"{len(alone):,} training {_es(len(alone))} of one image "
            f"({_labels(alone)}): no pair to learn from, so balanced batches leave them out."
        )
    if distractors := [x for x in by_split["gallery"] if x not in by_split["query"]]:
        notes.append(
            f"{len(distractors):,} gallery {_es(len(distractors))} without a query "
            f"({_labels(distractors)}): of one image, of look-alikes alone, or as the source has "
            "it. They make the search harder, and are no query's answer."
        )
    if lost := [x for x in by_split["query"] if x not in by_split["gallery"]]:
        notes.append(
            f"{len(lost):,} query {_es(len(lost))} without a gallery image ({_labels(lost)}): "
            "nothing to find, so such queries are not scored."
        )
    return notes


def about_groups(
    images: Sequence[Candidate], parted: int, left_out: Sequence[str], *, by_class: bool
) -> list[str]:
    """What was kept together, and what could not be.

    Args:
        images: all of them.
        parted: groups that are in several splits, as the source or an earlier run has them.
        left_out: keys of images that no split can take.
        by_class: whether classes were drawn, so that those that share a group went together.
    """
    groups = members([image.group for image in images])
    several = [places for places in groups.values() if len(places) > 1]
    notes = []
    if several:
        notes.append(
            f"{sum(map(len, several)):,} images are in {len(several):,} "
            f"{_s(len(several), 'group')} that belong together (near-duplicates, or by the "
            f"table's column), such as {first_few(shown(images[p].key) for p in several[0][:2])}: "
            "none is in two splits"
            + (f", but for {parted:,} that were given so" * bool(parted))
            + "."
        )
        if by_class and (tied := _tied(images)):
            largest = max(tied, key=len)
            notes.append(
                f"Through such groups {sum(map(len, tied)):,} classes are tied together, into "
                f"{len(tied):,} {_s(len(tied), 'set')}, the largest of {len(largest):,} "
                f"({_labels(largest)}): the classes of a set are in one split. Where they are "
                "different things that look alike: --near-duplicates none"
            )
    if left_out:
        notes.append(
            f"{len(left_out):,} new {_s(len(left_out), 'image')} left out: what belongs together "
            f"with {'it' if len(left_out) == 1 else 'them'} is in two splits already: "
            f"{first_few(map(shown, left_out))}."
        )
    return notes


def _tied(images: Sequence[Candidate]) -> list[list[str]]:
    """Sets of classes that share groups, directly or through others; each sorted."""
    sets = (
        sorted({images[place].label for place in places})
        for places in classes_together(images).values()
    )
    return [labels for labels in sets if len(labels) > 1]


def about_unusable(files: Iterable[tuple[str, str]]) -> list[str]:
    """Images that the workflow will not read: keys, and why in a word."""
    files = list(files)
    if not files:
        return []
    reasons = Counter(why for _, why in files)
    return [
        f"{len(files):,} {_s(len(files), 'image')} cannot be read and will be left out "
        f"({', '.join(f'{why}: {n:,}' for why, n in sorted(reasons.items()))}): "
        f"{first_few(shown(key) for key, _ in files)}."
    ]


def about_names(images: Sequence[Placed]) -> list[str]:
    """Whether all names could stay flat."""
    inside = [image for image in images if "/" in image.name]
    if not inside:
        return []
    return [
        f"{len(inside):,} {_s(len(inside), 'image')} in sub-folders, since others have the same "
        f"file name, upper and lower case aside: "
        f"{first_few(shown(image.name) for image in inside)}."
    ]


def about_gone(images: Sequence[Placed], going: Sequence[Placed]) -> list[str]:
    """What became of images that left the source: of those whose links go, and of the others."""
    notes = []
    staying = [image for image in images if image not in going]
    for some, what in (
        (going, "their links are removed."),
        (staying, "their files stay; remove them from the folders and the label files by hand."),
    ):
        if some:
            names = first_few(shown(image.name) for image in some)
            notes.append(f"No longer in the source: {len(some):,} ({names}); {what}")
    return notes


def about_hand(
    others: Sequence[Placed],
    entries: Mapping[str, Mapping[str, str]],
    changed: Sequence[tuple[str, str, str]],
) -> list[str]:
    """What a person did in the folder, and what became of it.

    Args:
        others: images in whose place something else lies.
        entries: by label file, names and labels of what init did not bring.
        changed: images whose label becomes another: name, what it was in the file, what it is now.
    """
    notes = []
    if others:
        names = first_few(shown(f"{FOLDERS[image.split]}/{image.name}") for image in others)
        notes.append(
            f"{len(others):,} {_s(len(others), 'image')} stayed as they lie in the folder, since "
            f"init did not put them there: {names}. Take them away, and --update brings those of "
            "the source."
        )
    if added := [name for names in entries.values() for name in names]:
        notes.append(
            f"{len(added):,} {_s(len(added), 'entry' if len(added) == 1 else 'entrie')} of the "
            f"label files that init did not write stayed: {first_few(map(shown, added))}."
        )
    if changed:
        names = first_few(
            f"{shown(name)}, {quoted(old)}, now {quoted(new)}" for name, old, new in changed
        )
        notes.append(
            f"{len(changed):,} {_s(len(changed), 'image')} had another label in the label files "
            f"than the source gives: {names}."
        )
    return notes


def about_leftovers(folders: Sequence[Path]) -> list[str]:
    """What imports that were killed have left."""
    if not folders:
        return []
    return [
        f"A lookalike init that was stopped has left {first_few(map(shown_path, folders))}: unless "
        "one is at work there, delete it."
    ]


def next_commands(dest: Path, *, searches: bool) -> list[str]:
    """What to type now, in the project's folder."""
    return [
        "Next, in Lookalike's folder:",
        f"  snakemake --configfile {shlex.quote(str(dest / SETTINGS))}",
        "  lookalike search results IMAGE"
        + ("" if searches else "                # and open results/report.html"),
    ]


def _labels(labels: Sequence[str]) -> str:
    return first_few(map(quoted, labels))


def _s(count: int, noun: str) -> str:
    return noun if count == 1 else f"{noun}s"


def _es(count: int) -> str:
    return "class" if count == 1 else "classes"
