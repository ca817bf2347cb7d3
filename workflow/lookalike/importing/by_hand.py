"""What a person did in a data folder that init made, which an update leaves as it is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from lookalike.data.labels import read_labels
from lookalike.data.origins import Origins
from lookalike.errors import LookalikeError
from lookalike.importing.writing import FOLDERS, LABEL_FILES, Placed
from lookalike.text import shown, shown_path


def entries_by_hand(dest: Path, before: Origins | None) -> dict[str, dict[str, str]]:
    """By label file, the entries of images that init did not bring: their names and labels.

    Raises:
        LookalikeError: a label file cannot be read, or such an entry has no usable label.
    """
    found: defaultdict[str, dict[str, str]] = defaultdict(dict)
    if before is None:
        return found
    brought: defaultdict[str, set[str]] = defaultdict(set)
    for split, folder in FOLDERS.items():
        brought[LABEL_FILES[split]].update(before.keys.get(folder, {}))
    for file, names in brought.items():
        if not (dest / file).exists():
            continue
        for entry in read_labels(dest / file, may_be_empty=True).entries:
            if entry.name in names:
                continue
            if entry.label is None or entry.status != "ok":
                raise LookalikeError(
                    f"{shown_path(dest / file)}: {shown(entry.name)}, which init did not write: "
                    f"{entry.detail}; mend the entry, or take it out"
                )
            found[file][entry.name] = entry.label
    return found


def changed_labels(
    dest: Path, before: Origins | None, placed: Sequence[Placed]
) -> list[tuple[str, str, str]]:
    """Images that were there and get another label: name, the label that the file has, the new."""
    if before is None:
        return []
    labels: dict[tuple[str, str], str | None] = {
        (file, entry.name): entry.label
        for file in set(LABEL_FILES.values())
        if (dest / file).exists()
        for entry in read_labels(dest / file, may_be_empty=True).entries
    }
    changed = []
    for image in placed:
        old = labels.get((LABEL_FILES[image.split], image.name))
        if old not in (None, image.label) and image.name in before.keys.get(
            FOLDERS[image.split], {}
        ):
            changed.append((image.name, str(old), image.label))
    return sorted(set(changed))
