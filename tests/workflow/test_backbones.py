"""Runs whose backbone stays as it came, by the real Snakemake: images go through it once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from lookalike.storage.files import read_json
from support.drawings import write_data
from support.html_reader import parse
from support.snakemake_runs import FINAL, Run, repeatable, snakemake, write_settings

pytestmark = pytest.mark.workflow

MODEL = {"name": "efficientnet_lite", "embedding_dim": 16}
HEAD = {"model": MODEL, "train": "head", "batch": {"classes": 4}, "epochs": 4}
PLAIN = {"model": MODEL, "train": "none"}


def run(folder: Path, data: Path, *runs: str, **recipes: Any) -> Run:
    settings = {"data": {"root": str(data)}, "image": {"size": 32}}
    write_settings(folder, settings | {"runs": [*runs], "recipes": recipes})
    done = snakemake(folder)
    assert done.status == 0, done.output
    return done


def embedded(folder: Path, model: str) -> int:
    """Images that went through the network of a model, in its last embedding of both splits."""
    summaries = [
        folder / "results" / model / "embeddings" / f"{split}.json"
        for split in ("query", "gallery")
    ]
    return sum(read_json(path)["embedded"] for path in summaries)


def test_a_changed_head_sends_no_image_through_the_backbone(tmp_path: Path) -> None:
    data = write_data(tmp_path / "data")
    first = run(tmp_path, data, "head", "plain", head=HEAD, plain=PLAIN)
    each = {"embed": 4, "metrics": 2, "threshold": 1, "train": 1}
    twice = {rule: 2 * count for rule, count in each.items()}
    assert first.jobs == {"manifest": 1, **twice, **FINAL}
    # Of four times both splits, one embedded them: all have the same backbone.
    models = [f"{name}.0{state}" for name in ("head", "plain") for state in ("", "/untrained")]
    n_images = sum(
        pq.read_metadata(tmp_path / "results" / "manifest" / f"{split}.parquet").num_rows
        for split in ("query", "gallery")
    )
    assert sum(embedded(tmp_path, model) for model in models) == n_images
    scores = [
        (tmp_path / "results" / model / "metrics.json").read_bytes()
        for model in ("plain.0", "plain.0/untrained", "head.0/untrained")
    ]
    assert scores[0] == scores[1] == scores[2]
    page = parse((tmp_path / "results" / "report.html").read_text())
    parts = {part.attributes["aria-labelledby"]: part.text for part in page.all("section")}
    assert "head: trained − before training" in parts["numbers"]
    assert "plain: as it came − " not in parts["numbers"]
    assert "efficientnet_lite lite0" in parts["setup"]
    assert "plain" not in parts.get("alarm", "") + parts["training"]

    other = HEAD | {"loss": {"name": "ntxent"}, "model": MODEL | {"head": "mlp"}}
    again = run(tmp_path, data, "head", "plain", head=other, plain=PLAIN)
    # The model before training is written with the trained one; it has the same bytes as before.
    assert again.jobs["train"] == 1
    assert all(embedded(tmp_path, model) == 0 for model in ("head.0", "head.0/untrained"))
    log = (tmp_path / "results" / "logs" / "head.0" / "train.log").read_text()
    n_train = pq.read_metadata(tmp_path / "results" / "manifest" / "train.parquet").num_rows
    assert f"{n_train} from the cache, 0 computed" in log


def test_without_training_no_training_classes_are_needed(tmp_path: Path) -> None:
    data = write_data(tmp_path / "data")
    labels = json.loads((data / "train_image_info.json").read_text())
    first = next(iter(labels))
    (data / "train_image_info.json").write_text(json.dumps({first: labels[first]}))
    run(tmp_path, data, "plain", plain=PLAIN)
    # A recipe that trains is refused, though the manifest is made.
    settings = {"data": {"root": str(data)}, "image": {"size": 32}, "runs": ["plain", "head"]}
    recipes = {"plain": PLAIN, "head": HEAD}
    write_settings(tmp_path, settings | {"recipes": recipes})
    refused = snakemake(tmp_path)
    assert refused.status != 0
    assert "training needs two classes or more" in refused.output
    assert "Traceback" not in refused.output


def test_strong_gives_the_same_bytes_again_from_scratch_and_after_a_change_back(
    tmp_path: Path,
) -> None:
    data = write_data(tmp_path / "data")
    short = {"steps": 6, "batch": {"classes": 4}}
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
        done = run(folder, data, "strong", strong=short)
        # A training on features needs no decoded pixels.
        each = {"embed": 4, "metrics": 2, "threshold": 1, "train": 1}
        assert done.jobs == {"manifest": 1, **each, **FINAL}
    for name in repeatable("strong.0"):
        assert (first / name).read_bytes() == (second / name).read_bytes(), name
    run(first, data, "strong", strong=short | {"steps": 7})
    weights = first / "results" / "strong.0" / "model.safetensors"
    other = second / "results" / "strong.0" / "model.safetensors"
    assert weights.read_bytes() != other.read_bytes()
    run(first, data, "strong", strong=short)
    for name in repeatable("strong.0"):
        assert (first / name).read_bytes() == (second / name).read_bytes(), name
    again = snakemake(first)
    assert again.jobs == {}
