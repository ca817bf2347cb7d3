"""A project to edit: small data, settings, and the workflow run on them."""

from __future__ import annotations

import io
import json
import os
import random
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

from support.drawings import draw
from support.snakemake_runs import Run, snakemake, write_settings

T = TypeVar("T")

TRAIN, QUERY, GALLERY = "train", "query_images", "gallery"
# Images that are never edited, so that there is always something to train on and to find.
KEPT = "kept_"
RECIPE: dict[str, Any] = {
    "epochs": 2,
    "model": {"embedding_dim": 8},
    "batch": {"classes": 4},
    "validation": {"classes": 0.5},
}


class NotNowError(Exception):
    """The edit is not possible as things stand."""


class Project:
    """A folder with data and settings in which the workflow has run once.

    Attributes:
        folder: where the workflow runs.
        past: earlier states of the data, a folder each.
        settings: as in mine.yaml.
        story: the seed and the edits so far, in words.
        embedded: the contents that the cache holds an embedding of, by model digest.
        seconds: what the first run took.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.past = folder / "project", folder / "past"
        self.rng = random.Random(seed)
        self.story = [f"seed {seed}"]
        self.embedded: dict[str, set[str]] = {}
        self.settings: dict[str, Any] = {
            "data": {"root": str(self.folder / "data")},
            "image": {"size": 16},
            "runs": ["default"],
            "seeds": [0],
            "recipes": {"default": dict(RECIPE), "other": {**RECIPE, "loss": {"name": "ntxent"}}},
            "embed": {"shards": 1},
            "metrics": {"k": [1, 5]},
        }
        self._count = 0
        for split, labels, numbers in (
            (TRAIN, range(4), range(3)),
            (QUERY, range(4, 7), range(1)),
            (GALLERY, range(4, 8), range(1, 3)),
        ):
            for label in labels:
                for number in numbers:
                    kept = label in (0, 1, 4) and (split != TRAIN or number < 2)
                    kind = ("bmp", "png")[(label + number) % 2]
                    name = f"{KEPT if kept else ''}{label}_{number}.{kind}"
                    self.write(split, name, self.picture(label, kind))
                    self.relabel(split, {name: label})
        started = time.monotonic()
        self.run()
        self.seconds = time.monotonic() - started

    @property
    def data(self) -> Path:
        """The folder of all images and labels."""
        return Path(self.settings["data"]["root"])

    @property
    def runs(self) -> list[str]:
        """The runs that the settings ask for, such as default.0."""
        recipes, seeds = self.settings["runs"], self.settings["seeds"]
        return [f"{recipe}.{seed}" for recipe in recipes for seed in seeds]

    def run(self, *arguments: str) -> Run:
        """Run the workflow; it must succeed."""
        write_settings(self.folder, self.settings)
        run = snakemake(self.folder, *arguments)
        assert run.status == 0, self.told(run.output)
        return run

    def told(self, what: str) -> str:
        """For a failed assertion: after which edits what is wrong."""
        return "\n  ".join([*self.story, what])

    def once(self) -> int:
        """A number that was not given before."""
        self._count += 1
        return self._count

    def pick(self, options: Iterable[T]) -> T:
        """One of `options` by chance; NotNowError where there is none."""
        found = list(options)
        if not found:
            raise NotNowError
        return self.rng.choice(found)

    def some_split(self) -> str:
        """A split, more often one of the test's."""
        return self.pick([TRAIN, QUERY, QUERY, GALLERY, GALLERY, GALLERY])

    def some_label(self, split: str) -> int:
        return self.rng.randrange(5) if split == TRAIN else self.rng.randrange(4, 9)

    def some_file(self, split: str, ending: str = "") -> str:
        """The name of a file of a split that may be edited."""
        folder = self.data / split
        paths = (
            path for path in folder.rglob("*.*") if path.exists()
        )  # not where a link leads nowhere
        names = sorted(path.relative_to(folder).as_posix() for path in paths)
        return self.pick(
            name for name in names if not name.startswith(KEPT) and name.endswith(ending)
        )

    def picture(self, label: int, kind: str) -> bytes:
        """An image file with a content that never was before."""
        stream = io.BytesIO()
        draw(label, self.once(), size=self.rng.choice([20, 24])).save(stream, kind)
        return stream.getvalue()

    def new_name(self, kind: str) -> str:
        """A name for a file, perhaps in a sub-folder, that never was before."""
        return f"{self.pick(['', '', 'shelf/', 'shelf/deep/'])}new{self.once()}.{kind}"

    def write(self, split: str, name: str, content: bytes) -> None:
        path = self.data / split / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_bytes(content)

    def move(self, split: str, name: str, other_split: str, other_name: str) -> None:
        path = self.data / other_split / other_name
        path.parent.mkdir(exist_ok=True, parents=True)
        (self.data / split / name).rename(path)

    def date_back(self, path: Path) -> None:
        """Give a file a time that no file had before, older than all that was made."""
        moment = self.once()
        os.utime(path, (moment, moment))

    def labels(self, split: str) -> dict[str, Any]:
        """The label file that names the images of a split."""
        path = self.labels_path(split)
        labels: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
        return labels

    def relabel(self, split: str, changes: dict[str, Any], *without: str) -> None:
        """Add or change entries of a split's label file, and remove those `without`."""
        labels = {name: label for name, label in self.labels(split).items() if name not in without}
        self.labels_path(split).write_text(json.dumps(labels | changes))

    def labels_path(self, split: str) -> Path:
        return self.data / f"{'train' if split == TRAIN else 'test'}_image_info.json"
