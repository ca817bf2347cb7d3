"""What is found in a source of images: a row an image, however the source is laid out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

Side = Literal["train", "test"]
Role = Literal["query", "gallery", "both"]


class SourceImage(NamedTuple):
    """One image of a source.

    Attributes:
        key: what it is known by: its path inside the source, with `/`; absolute if it lies outside.
        label: its class; None where the source has none.
        side: the split that the source says it is of; None where it does not say.
        role: what it is among the test images, if the source says so.
        group: a name shared with images that must not be parted from it.
        camera: what took it, if the source says so.
    """

    key: str
    label: str | None
    side: Side | None = None
    role: Role | None = None
    group: str | None = None
    camera: str | None = None


@dataclass(frozen=True)
class Collection:
    """All that a source holds.

    Attributes:
        root: the folder that keys are relative to, absolute.
        what: in words, what the source was taken for.
        kind: the same by name, see `lookalike.importing.folders.FOLDER_KINDS`; None of a table.
        images: sorted by key in natural order, each key once.
        notes: what was left aside, and what is to be known, a sentence each.
    """

    root: Path
    what: str
    kind: str | None
    images: Sequence[SourceImage]
    notes: list[str] = field(default_factory=list)

    @property
    def labelled(self) -> bool:
        """Whether images have labels."""
        return any(image.label is not None for image in self.images)

    @property
    def has_splits(self) -> bool:
        """Whether the source says what is of which split."""
        return any(image.side is not None for image in self.images)
