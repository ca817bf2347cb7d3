"""Embeddings from elsewhere as a run: checked before any training, scored as all are."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lookalike.config import merge
from support.brute_force import METRICS
from support.drawings import write_data
from support.html_reader import parse
from support.snakemake_runs import FINAL, QUICK, Run, snakemake, write_settings

pytestmark = pytest.mark.workflow

FOLDERS = {"query": "query_images", "gallery": "gallery"}
SCORED = {"metrics": 1, "threshold": 1}


class Project:
    """A folder with drawings, and embeddings that another program made of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        data = write_data(folder / "data")
        self.labels: dict[str, str] = json.loads((data / "test_image_info.json").read_text())
        self.ids = {
            split: sorted(path.name for path in (data / name).iterdir())
            for split, name in FOLDERS.items()
        }
        rng = np.random.default_rng(0)
        classes = sorted(set(self.labels.values()))
        self.vectors = {
            name: np.eye(len(classes))[classes.index(self.labels[name])]
            + rng.normal(scale=0.5, size=len(classes))
            for ids in self.ids.values()
            for name in ids
        }

    def write(self, split: str, ids: list[str] | None = None) -> None:
        ids = self.ids[split] if ids is None else ids
        vectors = [self.vectors[name] for name in ids]
        pq.write_table(
            pa.table({"image_id": ids, "embedding": vectors}), self.folder / f"{split}.parquet"
        )

    def run(self, *arguments: str, **changes: Any) -> Run:
        recipe = {
            "embeddings": {split: f"{split}.parquet" for split in FOLDERS},
            "score": "euclidean",
        }
        settings = {
            "data": {"root": "data"},
            "runs": ["default", "dino"],
            "seeds": [4],
            "recipes": {"default": {"epochs": 1}, "dino": recipe},
        }
        write_settings(self.folder, merge(merge(QUICK, settings), changes))
        return snakemake(self.folder, *arguments)

    def rows(self) -> dict[tuple[str, str], dict[str, str]]:
        with (self.folder / "results" / "comparison.csv").open() as stream:
            return {(row["run"], row["state"]): row for row in csv.DictReader(stream)}

    def expected(self, key: str, k: int) -> float:
        """The mean of a metric by its definition."""
        gallery = self.ids["gallery"]
        values = []
        for query in self.ids["query"]:
            distances = [
                np.linalg.norm(self.vectors[query] - self.vectors[item]) for item in gallery
            ]
            order = np.argsort(distances)
            hits = [self.labels[gallery[item]] == self.labels[query] for item in order]
            values.append(METRICS[key](hits, k))
        return float(np.mean(values))


def test_embeddings_from_elsewhere_are_a_run_like_any_other(tmp_path: Path) -> None:
    project = Project(tmp_path)
    results = tmp_path / "results"

    # A table that is missing is seen before the images are looked at ...
    project.write("query")
    run = project.run()
    assert run.status == 1
    assert "gallery.parquet: there is no such file" in run.output
    assert "Traceback" not in run.output
    assert run.jobs == {}
    # ... and one that does not fit them, as soon as they are known: nothing is decoded or trained.
    project.write("gallery", project.ids["gallery"][1:])
    run = project.run()
    assert run.status == 1
    assert f'gallery images have no embedding: "{project.ids["gallery"][0]}"' in run.output
    assert "Traceback" not in run.output
    assert run.jobs == {"manifest": 1}

    project.write("gallery")
    run = project.run()
    assert run.status == 0, run.output
    assert run.jobs == {
        **FINAL,
        "pixels": 1,
        "train": 1,
        "embed": 4,
        "bring": 1,
        "metrics": 3,
        "threshold": 2,
    }
    rows = project.rows()
    assert list(rows) == [
        ("default.4", "trained"),
        ("default.4", "untrained"),
        ("dino.0", "trained"),
    ]
    for key, k in (("mAP@10", 10), ("mAP@50", 50)):
        found = float(rows["dino.0", "trained"][key])
        assert found == pytest.approx(project.expected("mAP@{k}", k), abs=1e-6)
    assert sorted(path.name for path in (results / "dino.0").glob("[!.]*")) == [
        *("embeddings", "metrics.json", "per_query.parquet", "rankings.parquet", "threshold.json")
    ]
    page = parse((results / "report.html").read_text())
    assert "as given" in page.text
    assert "embeddings from elsewhere" in page.text
    assert "by cosine (default) or euclidean (dino)." in page.text
    assert project.run().jobs == {}

    # Of a changed table only what follows is made anew; other seeds are nothing to it.
    name = project.ids["gallery"][0]
    project.vectors[name] = -project.vectors[name]
    project.write("gallery")
    assert project.run().jobs == {"bring": 1, **SCORED, **FINAL}
    found = float(project.rows()["dino.0", "trained"]["mAP@10"])
    assert found == pytest.approx(project.expected("mAP@{k}", 10), abs=1e-6)
    # There are no embeddings of held-out images of it: its threshold is the queries' all the same.
    promise = {"false_positive": 0.5, "from": "held_out"}
    assert project.run("results/dino.0/threshold.json", threshold=promise).jobs == {"threshold": 1}
    assert json.loads((results / "dino.0" / "threshold.json").read_text())["from"] == "queries"
    assert project.run("--dry-run", "--quiet", "rules", runs=["dino"], seeds=[1, 2]).status == 0
    # As any run it can be asked for by name.
    run = project.run("results/dino.0/per_query.parquet", runs=["default"])
    assert (run.status, run.jobs) == (0, {})
    run = project.run("results/dino.4/metrics.json")
    assert run.status == 1
    assert "no other run than dino.0" in run.output
