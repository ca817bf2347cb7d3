"""A real run stays within what its jobs asked for."""

import re
import sys
from pathlib import Path
from typing import Any

import pytest

from lookalike.jobs.resources import (
    SNAKEMAKE_MB,
    Work,
    images_in,
    memory_mb,
    minutes,
)
from support.drawings import write_data
from support.snakemake_runs import QUICK, snakemake, write_settings

pytestmark = pytest.mark.workflow


def test_a_real_run_stays_within_what_it_asked_for(tmp_path: Path) -> None:
    data = write_data(tmp_path / "images", train_classes=6, test_classes=4)
    write_settings(tmp_path, {**QUICK, "data": {"root": str(data)}})
    run = snakemake(tmp_path, python=sys.executable)
    assert run.status == 0, run.output
    manifests = tmp_path / "results" / "manifest"
    train, query, gallery = (
        images_in([manifests / f"{split}.parquet"]) for split in ("train", "query", "gallery")
    )
    assert train > 0
    works = {
        "manifest": Work(train + query + gallery, threads=2),
        "pixels": Work(train, threads=2),
        "train": Work(train, image_size=32, batch=12, threads=2),
        "embed": Work(gallery, image_size=32, batch=32, threads=2),
        "metrics": Work(query + gallery, scores=query * gallery),
    }
    used = peaks(tmp_path)
    for step, work in works.items():
        # Not an empty promise either: a few times what is used.
        assert used[step] + SNAKEMAKE_MB < memory_mb(step, work) < 5 * used[step] + 500, step
        assert minutes(step, work) >= 15


def test_a_large_batch_stays_within_what_it_asked_for(tmp_path: Path) -> None:
    # One batch, of which the activations are what counts.
    data = write_data(tmp_path / "images", train_classes=9)
    recipe = {"epochs": 1, "batch": {"classes": 8, "images_per_class": 4}}
    settings: dict[str, Any] = {
        "data": {"root": str(data)},
        "image": {"size": 224},
        "recipes": {"default": {**recipe, "validation": {"classes": 0.0}}},
    }
    write_settings(tmp_path, settings)
    run = snakemake(tmp_path, "results/default.0/model.safetensors", python=sys.executable)
    assert run.status == 0, run.output
    asked = memory_mb("train", Work(36, image_size=224, batch=32, threads=2))
    assert peaks(tmp_path)["train"] + SNAKEMAKE_MB < asked


def peaks(folder: Path) -> dict[str, float]:
    """The most memory that a job of each step used, in MB, as the logs tell."""
    used: dict[str, float] = {}
    for log in (folder / "results" / "logs").rglob("*.log"):
        [peak] = re.findall(r"done in [\d.]+ s, (\d+) MB", log.read_text())
        rule = "pixels" if log.parent.name == "pixels" else log.stem.partition("_")[0]
        used[rule] = max(used.get(rule, 0.0), float(peak))
    return used
