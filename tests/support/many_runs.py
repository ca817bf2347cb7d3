"""A results folder of many runs that share their long tables, from which a report can be made."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from lookalike.storage.files import write_json, write_parquet
from support.report_folder import LABELS, RUNS, Made, make_folder

OF_RUN = ("per_query.parquet", "rankings.parquet", "threshold.json")
LOSSES = ("triplet", "contrastive", "multi_similarity")


def make_many(root: Path, n_recipes: int, seeds: int = 1, *, queries: int = 14) -> Made:
    """Runs of a sweep over rate, margin and loss; what each scored follows from these, with noise.

    The tables of all are those of one run, by hard links: only metrics.json tells them apart.
    """
    first = RUNS[0]
    made = make_folder(
        root, dict.fromkeys(LABELS, queries), dict.fromkeys(LABELS, 4), [first], bootstrap=1000
    )
    results = root / "results"
    source = results / f"{first[0]}.{first[1]}"
    rng = np.random.default_rng(0)
    summaries = {
        state: json.loads((source / state / "metrics.json").read_text())
        for state in ("", "untrained")
    }
    model = json.loads((source / "model.json").read_text())
    epochs = np.arange(1, 31)
    history = pa.table(
        {
            "epoch": epochs,
            "images": np.full(30, 40),
            "loss": 1 / epochs,
            "active_negatives": np.full(30, 0.5),
            "spread": np.full(30, 0.8),
            "zero_loss": np.zeros(30),
            "without_positives": np.zeros(30),
            "without_negatives": np.zeros(30),
            "validation_mAP@10": 1 - 1 / epochs,
            "seconds": np.full(30, 2.0),
        }
    )
    for recipe in range(n_recipes):
        rate, margin = float(10 ** rng.uniform(-5, -2)), float(rng.uniform(0.1, 1.5))
        loss, width = LOSSES[recipe % 3], int(rng.choice([64, 128, 256]))
        settings: dict[str, Any] = {
            "model": {"name": "cnn4", "embedding_dim": width},
            "loss": {"name": loss, "margin": margin},
            "optimizer": {"name": "adamw", "lr": rate, "weight_decay": 0.01},
            "epochs": 30,
        }
        good = 0.9 - 0.1 * (np.log10(rate) + 3.5) ** 2 - 0.05 * (recipe % 3 == 0)
        for seed in range(seeds):
            folder = results / f"r{recipe:04d}.{seed}"
            value = float(np.clip(good + rng.normal(scale=0.01), 0.01, 0.99))
            for state, summary in summaries.items():
                (folder / state).mkdir(parents=True, exist_ok=True)
                for name in OF_RUN[: 2 if state else 3]:
                    os.link(source / state / name, folder / state / name)
                shift = value - summary["metrics"]["mAP@10"] if not state else 0.0
                write_json(folder / state / "metrics.json", shifted(summary, shift))
            described = model | {"settings": settings, "parameters": 5000 * width, "seed": seed}
            write_json(folder / "model.json", described)
            seconds = pa.array(rng.uniform(1, 3, 30) * width / 64)
            at = history.schema.get_field_index("seconds")
            write_parquet(folder / "history.parquet", history.set_column(at, "seconds", seconds))
            (folder / "embeddings").mkdir()
            done = {"images": 100, "embedded": 100, "seconds": 0.5 + width / 256}
            write_json(folder / "embeddings" / "gallery.json", done)
    return made


def shifted(summary: dict[str, Any], shift: float) -> dict[str, Any]:
    """A metrics.json whose mAP@10 and its interval are others."""
    changed = {**summary, "metrics": dict(summary["metrics"]), "ci95": dict(summary["ci95"])}
    changed["metrics"]["mAP@10"] += shift
    changed["ci95"]["mAP@10"] = [bound + shift for bound in summary["ci95"]["mAP@10"]]
    return changed


def runs_of_many(n_recipes: int, seeds: int = 1) -> list[tuple[str, int, float]]:
    """As `Made.write` takes them."""
    return [(f"r{recipe:04d}", seed, 0.0) for recipe in range(n_recipes) for seed in range(seeds)]
