"""Queries with the gallery images they found, ready to be shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lookalike.report.thumbnails import Thumbnail, Thumbnails
from lookalike.storage.parquet import read_frame


@dataclass(frozen=True)
class Hit:
    """A gallery image in a query's ranking; `thumbnail` is None where it cannot be read."""

    rank: int
    name: str
    label: str
    score: float
    relevant: bool
    thumbnail: Thumbnail | None


@dataclass(frozen=True)
class Query:
    """A query, its `value` of the chosen metric and the head of its ranking.

    `anchor` is what links to it lead to, unique in the page.
    """

    anchor: str
    name: str
    label: str
    value: float
    first_rank: int
    n_relevant: int
    n_gallery: int
    thumbnail: Thumbnail | None
    hits: Sequence[Hit]


@dataclass(frozen=True)
class NearDuplicates:
    """Two images, of two splits, that look the same; `bits` of their hashes differ."""

    names: tuple[str, str]
    labels: tuple[str, str]
    thumbnails: tuple[Thumbnail | None, Thumbnail | None]
    bits: int


class Images:
    """The images of one split: their labels and their thumbnails."""

    def __init__(self, folder: Path, manifest: Path, thumbnails: Thumbnails) -> None:
        """`folder`: where the paths that `manifest` lists begin."""
        table = read_frame(manifest, ["image_id", "label", "sha256", "status"])
        usable = table[table["status"] == "ok"]
        self._folder, self._thumbnails = folder, thumbnails
        self.labels: dict[str, str] = dict(zip(usable["image_id"], usable["label"], strict=True))
        self._digests = dict(zip(usable["image_id"], usable["sha256"], strict=True))

    def thumbnail(self, name: str) -> Thumbnail | None:
        """Thumbnail of the image named `name`; None where it cannot be read."""
        return self._thumbnails.of(self._folder / name, self._digests[name])


def examples(
    names: Sequence[str],
    per_query: pd.DataFrame,
    rankings: pd.DataFrame,
    queries: Images,
    gallery: Images,
    key: str,
    places: int,
    *,
    anchor: str = "query",
) -> list[Query]:
    """The queries called `names`, in that order, each with its first `places` gallery images.

    `per_query` and `rankings` are a run's tables; `key` is the metric each query is shown with.
    Anchors are `anchor` and the number of the query's row, which names and labels have no say in.
    """
    shown = rankings[rankings["query_id"].isin(names) & (rankings["rank"] <= places)]
    ranked = dict(iter(shown.sort_values("rank").groupby("query_id")))
    asked = per_query["query_id"].isin(names).to_numpy()
    numbered = per_query[asked].assign(number=np.flatnonzero(asked))
    rows = numbered.set_index("query_id").to_dict("index")
    return [
        Query(
            f"{anchor}{rows[name]['number']}",
            name,
            str(rows[name]["label"]),
            float(rows[name][key]),
            int(rows[name]["first_rank"]),
            int(rows[name]["n_relevant"]),
            int(rows[name]["n_gallery"]),
            queries.thumbnail(name),
            [
                Hit(rank, image, gallery.labels[image], score, relevant, gallery.thumbnail(image))
                for rank, image, score, relevant in zip(
                    ranked[name]["rank"].tolist(),
                    ranked[name]["gallery_id"].tolist(),
                    ranked[name]["score"].tolist(),
                    ranked[name]["relevant"].tolist(),
                    strict=True,
                )
            ],
        )
        for name in names
    ]


def near_duplicates(
    across: Sequence[Mapping[str, Any]], images: Mapping[str, Images]
) -> list[tuple[Sequence[str], int, list[NearDuplicates]]]:
    """Near-duplicates as in data_report.json: two splits, how many images, the first pairs."""
    listed = []
    for overlap in across:
        left, right = splits = overlap["splits"]
        pairs = [
            NearDuplicates(
                (f"{left}/{pair[left]}", f"{right}/{pair[right]}"),
                (images[left].labels[pair[left]], images[right].labels[pair[right]]),
                (images[left].thumbnail(pair[left]), images[right].thumbnail(pair[right])),
                pair["bits"],
            )
            for pair in overlap["first"]
        ]
        listed.append((splits, overlap["images"], pairs))
    return listed
