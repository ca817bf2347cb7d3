"""The results of a small run, made by the steps below Snakemake, to be searched."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch

from lookalike.data.layout import SPLITS, DataSettings
from lookalike.data.places import PLACES_FILE
from lookalike.embedding.filling import EmbedSettings
from lookalike.models.building import build_model
from lookalike.models.files import save_model
from lookalike.models.settings import ModelSettings
from lookalike.retrieval.settings import MetricsSettings
from lookalike.steps.embed import embed_split
from lookalike.steps.manifest import write_manifest
from lookalike.steps.metrics import evaluate_files
from lookalike.storage.files import write_json, write_parquet
from support.drawings import write_data
from support.models import IMAGE, MODEL

RUN = "default.0"
LINKED, COPIED = "0010_000.png", "0011_000.png"
"""Queries of which the gallery has a link, and a copy under their own name."""


@dataclass(frozen=True)
class Searched:
    """A project's folder.

    Attributes:
        root: that has `data` and `results`.
    """

    root: Path

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def results(self) -> Path:
        return self.root / "results"

    @property
    def run(self) -> Path:
        return self.results / RUN

    @property
    def queries(self) -> list[Path]:
        return sorted((self.data / "query_images").glob("*.png"))

    def copy(self, root: Path) -> Searched:
        """The same in another place, links as links."""
        shutil.copytree(self.root, root, symlinks=True)
        return Searched(root)


def make_searched(root: Path, *, exclude: str = "same_file") -> Searched:
    """Draw images, embed them by a network with random weights, and score it.

    The gallery has a link to the first query, and a copy of the second.
    """
    made = Searched(root)
    write_data(made.data)
    (made.data / "gallery" / LINKED).symlink_to(Path("..") / "query_images" / LINKED)
    shutil.copy(made.data / "query_images" / COPIED, made.data / "gallery" / COPIED)
    data = DataSettings(
        root=made.data,
        train="train",
        query="query_images",
        gallery="gallery",
        train_labels="train_image_info.json",
        test_labels="test_image_info.json",
    )
    manifests = made.results / "manifest"
    write_manifest(
        data,
        {split: manifests / f"{split}.parquet" for split in SPLITS},
        made.results / "data_report.json",
        cache=None,
        threads=1,
    )
    # As of a project whose settings name its data from its own folder.
    folders = {split: f"../../data/{data.folder_name(split)}" for split in SPLITS}
    write_json(manifests / PLACES_FILE, folders)
    torch.manual_seed(0)
    settings: dict[str, Any] = MODEL | {"embedding_dim": 8}
    image = replace(IMAGE, size=16)
    save_model(
        build_model(ModelSettings.from_dict(settings), image.size),
        made.run / "model.safetensors",
        made.run / "model.json",
        settings=settings,
        image=image.to_dict(),
        facts={},
    )
    how = EmbedSettings(root / "cache", "cpu", batch_size=32, threads=1)
    for split in ("query", "gallery"):
        embed_split(
            manifests / f"{split}.parquet",
            data.folder(split),
            made.run / "model.safetensors",
            made.run / "embeddings" / f"{split}.parquet",
            made.run / "embeddings" / f"{split}.json",
            [],
            how,
        )
    evaluate_files(
        made.run / "embeddings" / "query.parquet",
        made.run / "embeddings" / "gallery.parquet",
        made.run,
        MetricsSettings(k=[50], exclude=exclude, bootstrap=0),
        query_folder=data.folder("query"),
        gallery_folder=data.folder("gallery"),
    )
    rows = {"run": [RUN, RUN], "state": ["untrained", "trained"]}
    write_parquet(made.results / "comparison.parquet", pa.table(rows))
    return made


def threshold(run: Path, score: object) -> None:
    """Give a run a threshold, of its model and its gallery."""
    metrics = json.loads((run / "metrics.json").read_text())
    on = {key: metrics[key] for key in ("model_digest", "gallery_digest", "n_gallery", "score")}
    (run / "threshold.json").write_text(json.dumps({"score": score, "promise": {}, "on": on}))
