"""A small results folder, with images, from which a report can be made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from PIL import Image

from lookalike.data.layout import SPLITS
from lookalike.report.runs import ALWAYS, MAIN, Run
from lookalike.report.started import Started
from lookalike.retrieval.evaluation import evaluate_items
from lookalike.retrieval.settings import MetricsSettings
from lookalike.retrieval.streams import Items
from lookalike.steps.compare import write_comparison
from lookalike.steps.report import write_report
from lookalike.steps.threshold import write_threshold
from lookalike.storage.files import sha256_of_file, write_json, write_parquet
from support.project import ROOT

REPORT = ROOT / "workflow" / "report"
TEMPLATES = {
    path.relative_to(REPORT).as_posix(): path
    for path in REPORT.rglob("*.*")
    if path.suffix == ".j2"
} | {"style.css": ROOT / "workflow" / "lookalike" / "report" / "style.css"}
K = [1, 5, 10]
EVIL = "<script>alert(1)</script>"
LABELS = ["cat & dog", EVIL, 'quo"te', "plain", "rare"]
RUNS = [("default", 0, 0.2), ("default", 1, 0.5), ("other", 0, 2.0)]
"""Recipe, seed and the noise of its embeddings: the first run is the best."""

STARTED = Started(
    command="snakemake --cores 2",
    settings=["mine.yaml"],
    folder="/home/me/shoes",
    data_root="data",
    cores=2,
    written="2026-01-31 09:05 (UTC+0100)",
)


@dataclass
class Made:
    """A results folder with everything a report is made from."""

    root: Path

    def write(
        self,
        runs: list[tuple[str, int, float]] = RUNS,
        given: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
        states: Sequence[str] | None = None,
        **other: Any,
    ) -> str:
        """`given`: the settings of the recipes whose embeddings come from elsewhere."""
        named = [state.name for state in ALWAYS] if states is None else states
        folders = [
            Run.of(
                recipe,
                seed,
                [MAIN.name] if recipe in given else named,
                self.root / "results" / f"{recipe}.{seed}",
            )._replace(given=given.get(recipe))
            for recipe, seed, _ in runs
        ]
        comparison = self.root / "results" / "comparison.parquet"
        write_comparison(folders, comparison.with_suffix(".csv"), comparison)
        output = self.root / "results" / "report.html"
        settings: dict[str, Any] = {
            "markdown": comparison.with_suffix(".md"),
            "latex": comparison.with_suffix(".tex"),
            "templates": TEMPLATES,
            "comparison": comparison,
            "data_report": self.root / "results" / "data_report.json",
            "runs": folders,
            "folders": {split: self.root / split for split in SPLITS},
            "manifests": {split: self.root / "results" / f"{split}.parquet" for split in SPLITS},
            "title": f"Title of {EVIL}",
            "note": f"Licence {EVIL}: https://example.org/licence",
            "k": K,
            "started": STARTED,
        }
        write_report(output, **settings | other)
        return output.read_text(encoding="utf-8")

    def table(self, name: str, run: str = "default.0") -> pd.DataFrame:
        return pd.read_parquet(self.root / "results" / run / name)


def make_folder(
    root: Path,
    queries: dict[str, int],
    gallery: dict[str, int],
    runs: list[tuple[str, int, float]] = RUNS,
    near: Sequence[dict[str, Any]] = (),
    **protocol: Any,
) -> Made:
    """A whole folder: so many query and gallery images of each label, and the files of `runs`."""
    asked, found = make_images(root, "query", queries), make_images(root, "gallery", gallery)
    for recipe, seed, noise in runs:
        folder = root / "results" / f"{recipe}.{seed}"
        make_run(folder, asked, found, noise, recipe, **protocol)
    write_parquet(root / "results" / "query.parquet", asked)
    write_parquet(root / "results" / "gallery.parquet", found)
    write_parquet(root / "results" / "train.parquet", make_images(root, "train", {"plain": 2}))
    make_data_report(root / "results" / "data_report.json", near)
    return Made(root)


def make_images(root: Path, split: str, counts: dict[str, int]) -> pa.Table:
    """Draw images, in colour and transparent, and return their manifest."""
    rng = np.random.default_rng(len(split))
    rows: list[dict[str, str | None]] = []
    for number, (label, count) in enumerate(counts.items()):
        for copy in range(count):
            name = f"{number}_{copy}<b>&.png"
            pixels = rng.integers(0, 256, (20 + number, 30, 4), dtype=np.uint8)
            (root / split).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels, "RGBA").save(root / split / name)
            digest = sha256_of_file(root / split / name)
            rows.append({"image_id": name, "label": label, "status": "ok", "sha256": digest})
    rows.append({"image_id": "bad.png", "label": None, "status": "unreadable", "sha256": None})
    return pa.Table.from_pylist(rows)


def embed(manifest: pa.Table, noise: float, rng: np.random.Generator) -> Items:
    rows = [row for row in manifest.to_pylist() if row["status"] == "ok"]
    vectors = np.stack([np.eye(len(LABELS))[LABELS.index(row["label"])] for row in rows])
    vectors = vectors + noise * rng.normal(size=vectors.shape)
    return Items.of(
        [row["image_id"] for row in rows],
        [row["label"] for row in rows],
        vectors.astype(np.float32),
    )


def make_run(
    folder: Path,
    queries: pa.Table,
    gallery: pa.Table,
    noise: float,
    recipe: str,
    **protocol: Any,
) -> None:
    rng = np.random.default_rng(3)
    for place, spread in ((folder, noise), (folder / "untrained", 3.0)):
        items = embed(gallery, spread, rng)
        result = evaluate_items(
            embed(queries, spread, rng),
            items,
            score="cosine",
            # Five classes are too few for an interval over classes.
            settings=MetricsSettings(k=K, **{"bootstrap_unit": "query"} | protocol),
        )
        write_json(place / "metrics.json", result.summary)
        write_parquet(place / "per_query.parquet", result.per_query)
        write_parquet(place / "rankings.parquet", result.rankings)
    write_threshold(
        folder / "per_query.parquet",
        folder / "metrics.json",
        folder / "threshold.json",
        {"precision": 0.5} if recipe == "default" else {"false_positive": 0.1},
    )
    history = [
        {
            "epoch": epoch,
            "steps": 4,
            "images": 40,
            "loss": 1 / epoch,
            "active_negatives": None if recipe == "other" else 0.5,
            "lr": 0.001,
            "spread": 0.8,
            "zero_loss": 0.25,
            "without_positives": 0.0,
            "without_negatives": 0.0,
            "validation_mAP@10": 0.4 if epoch % 2 == 0 else None,
            "validation_mAP@R": 0.3 if epoch % 2 == 0 else None,
            "kept": epoch == 4,
            "images_per_second": 100.0,
            "seconds": 0.4,
        }
        for epoch in range(1, 5)
    ]
    write_parquet(folder / "history.parquet", pa.Table.from_pylist(history))
    model = {"name": "cnn4", "normalize": recipe == "default"}
    write_json(
        folder / "model.json",
        {
            "digest": "d" * 64,
            "model": model,
            "image": {"size": 32, "resize": "squash", "background": "white"},
            "parameters": 1234567,
            "recipe": recipe,
            "settings": {"model": model, "loss": {"name": "contrastive"}, "epochs": 4},
            "device": "cpu",
        },
    )


def make_data_report(path: Path, near: Sequence[dict[str, Any]] = ()) -> None:
    facts = {
        "entries": 31,
        "ok": 30,
        "classes": 5,
        "images_per_class": {"min": 1, "median": 2.5, "max": 3},
        "reasons": {"missing_file": {"count": 7, "first": [f"{EVIL}.png", "b.png"]}},
        "unlisted_files": {"count": 0, "first": []},
    }
    overlap = {
        "splits": ["train", "query"],
        "groups": 3,
        "leakage": True,
        "first": [{"train": ["t.png"], "query": ["q.png", f"{EVIL}.png"]}],
    }
    none = {"count": 0, "first": []}
    write_json(
        path,
        {
            "near_duplicates": {"bits": 4, "across": list(near)},
            "splits": dict.fromkeys(("train", "query", "gallery"), facts),
            "duplicates": {
                "within": {
                    "train": {"groups": 2, "images": 5, "first": [["a.png", "b.png"]]},
                    "query": {"groups": 0, "images": 0, "first": []},
                    "gallery": {"groups": 0, "images": 0, "first": []},
                },
                "across": [overlap],
            },
            "shared_classes": none,
            "classes_without_positive": none,
            "queries_without_relevant": {"count": 2, "first": ["x", "y"]},
            "distractors": {"images": 0, "classes": 0},
            "findings": [
                {"level": "warning", "text": f"LEAKAGE of {EVIL}"},
                {"level": "note", "text": "a note on the data"},
            ],
        },
    )
