"""A data set as two splits: `development` to choose by, `final` to score once.

Each is a whole folder in Lookalike's default layout. Query and gallery of `development` are made
from training images of `final`, so that nothing chosen by it has seen what `final` asks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lookalike.steps.demo import LabelledImage, write_layout

SPLITS = ("development", "final")
LICENCE = "LICENCE.txt"


@dataclass
class Layout:
    """What the three folders of one split hold."""

    train: list[LabelledImage] = field(default_factory=list)
    query: list[LabelledImage] = field(default_factory=list)
    gallery: list[LabelledImage] = field(default_factory=list)

    def deal(self, images: Sequence[LabelledImage], train: int, query: int, gallery: int) -> None:
        """Share out a class's images in their order: so many to each folder.

        Raises ValueError where there are fewer.
        """
        if len(images) < train + query + gallery:
            raise ValueError(f"{train + query + gallery} images asked for, {len(images)} there")
        self.train += images[:train]
        self.query += images[train : train + query]
        self.gallery += images[train + query : train + query + gallery]

    def write(self, root: Path, licence: str) -> dict[str, int]:
        """Write all under `root`; return the number of images in each folder."""
        folders = {"train": self.train, "query_images": self.query, "gallery": self.gallery}
        write_layout(root, folders, {LICENCE: licence})
        return {name: len(images) for name, images in folders.items()}


@dataclass(frozen=True)
class Made:
    """A data set: its splits, and whose images they are."""

    development: Layout
    final: Layout
    licence: str

    def write(self, root: Path) -> dict[str, dict[str, int]]:
        """Write both under `root`; return the numbers of images."""
        return {
            "development": self.development.write(root / "development", self.licence),
            "final": self.final.write(root / "final", self.licence),
        }
