"""Which parts of the default recipe earn their place: the tables in docs/recipes.md.

    python benchmarks/ablation.py resources/demo resources/digits --out ablation.csv

Each variant changes one thing of the default recipe (or of `original`). It is trained on a part of
the *training* classes of a folder in the seed document's layout and scored, by leave-one-out
mAP@10, on the other training classes, which it has never seen. The test split is not opened.
"""

from __future__ import annotations

import argparse
import csv
import json
import logging
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lookalike.config import image_settings, merge, resolve
from lookalike.embedding.forward import embed_pixels
from lookalike.errors import LookalikeError
from lookalike.images.resizing import ImageSettings, load_pixels
from lookalike.models.building import build_model
from lookalike.storage.yaml_files import read_yaml
from lookalike.training.checkpoints import Checkpoint
from lookalike.training.distributed import fabric_for
from lookalike.training.feeds import TrainingData
from lookalike.training.held_out import hold_out_classes
from lookalike.training.loop import train
from lookalike.training.optimization import fabric_precision
from lookalike.training.recipe import Recipe
from lookalike.training.validation import leave_one_out_scores

CPU = torch.device("cpu")
SCHEMA = Path(__file__).resolve().parents[1] / "workflow" / "schemas" / "config.schema.yaml"
HELD_OUT = {"demo": 0.25, "digits": 0.5}

NO_AUGMENT = {
    "flip": 0.0,
    "scale": 1.0,
    "aspect": 0.0,
    "rotate": 0.0,
    "brightness": 0.0,
    "contrast": 0.0,
    "saturation": 0.0,
    "grayscale": 0.0,
}
STRONG_AUGMENT = {
    "scale": 0.5,
    "aspect": 0.3,
    "rotate": 15.0,
    "brightness": 0.3,
    "contrast": 0.3,
    "saturation": 0.3,
    "grayscale": 0.4,
}
CONTRASTIVE: dict[str, Any] = {"loss": {"name": "contrastive"}}
# name: (recipe it starts from, what it changes). `epochs: 0` stands for the untrained network.
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "untrained": ("default", {"epochs": 0}),
    "original": ("original", {}),
    "default": ("default", {}),
    "contrastive loss": ("default", CONTRASTIVE),
    "contrastive loss, grey images": (
        "default",
        {**CONTRASTIVE, "augment": {"grayscale": 0.2}},
    ),
    "contrastive loss, embeddings not normalised": (
        "default",
        {**CONTRASTIVE, "model": {"normalize": False}},
    ),
    "no batch normalisation": ("default", {"model": {"batch_norm": False}}),
    "shuffled batches of 24": ("default", {"batch": {"name": "shuffled", "size": 24}}),
    "16 classes x 3": ("default", {"batch": {"classes": 16}}),
    "contrastive loss, one mean over all pairs": (
        "default",
        {"loss": {"name": "contrastive", "mean": "all"}},
    ),
    "contrastive loss, margin 0.4": ("default", {"loss": {"name": "contrastive", "margin": 0.4}}),
    "contrastive loss, margin 0.6": ("default", {"loss": {"name": "contrastive", "margin": 0.6}}),
    "constant learning rate": (
        "default",
        {"optimizer": {"schedule": "constant", "warmup_epochs": 0}},
    ),
    "learning rate 0.003": ("default", {"optimizer": {"lr": 0.003}}),
    "no augmentation": ("default", {"augment": NO_AUGMENT}),
    "stronger augmentation": ("default", {"augment": STRONG_AUGMENT}),
    "grey images": ("default", {"augment": {"grayscale": 0.2}}),
    "triplet loss": ("default", {"loss": {"name": "triplet"}}),
    "NT-Xent loss": ("default", {"loss": {"name": "ntxent"}}),
}


@cache
def training_images(folder: Path, size: int) -> TrainingData:
    """The training split of a folder in the seed document's layout, decoded."""
    settings = resolve([{"image": {"size": size}}], read_yaml(SCHEMA))
    image = ImageSettings.from_dict(image_settings(settings, "default"))
    names = json.loads((folder / "train_image_info.json").read_text())
    pixels = np.stack([load_pixels(folder / "train" / name, image) for name in names])
    labels = np.unique([str(label) for label in names.values()], return_inverse=True)[1]
    return TrainingData(pixels, labels.astype(np.int64), image)


def one_run(folder: Path, name: str, seed: int, size: int, epochs: int) -> dict[str, Any]:
    """Train one variant on a part of the training classes and score it on the others."""
    torch.set_num_threads(1)
    logging.disable(logging.INFO)
    base, change = VARIANTS[name]
    layer = {"recipes": {"default": {"epochs": epochs}, "original": {"epochs": epochs}}}
    settings = resolve([layer], read_yaml(SCHEMA))["recipes"][base]
    settings = resolve(
        [{"recipes": {"variant": merge(settings, change | {"epochs": epochs})}}], read_yaml(SCHEMA)
    )["recipes"]["variant"]
    settings["validation"]["classes"] = 0.0
    recipe = Recipe.from_dict(settings)
    data = training_images(folder, size)
    seen, unseen = hold_out_classes(data.labels, HELD_OUT.get(folder.name, 0.25), seed)
    torch.manual_seed(seed)
    model = build_model(recipe.model, size)
    started = time.monotonic()
    problem = ""
    if change.get("epochs", epochs):
        part = TrainingData(data.pixels[seen], data.labels[seen], data.image)
        with tempfile.TemporaryDirectory() as scratch:
            try:
                kept = Checkpoint(Path(scratch), "run")
                fabric = fabric_for(CPU, fabric_precision(recipe.precision))
                train(model, part, recipe, seed, fabric, kept)
            except LookalikeError as error:
                problem = str(error)
    vectors = embed_pixels(model, data.pixels[unseen], data.image)
    score = None
    if np.isfinite(vectors).all():
        score = leave_one_out_scores(vectors, data.labels[unseen], recipe.model.score, 10).at_k
    return {
        "data": folder.name,
        "variant": name,
        "seed": seed,
        "mAP@10": score,
        "seconds": round(time.monotonic() - started, 1),
        "problem": problem,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the variants asked for and append a line for each to the CSV file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", nargs="*", default=list(VARIANTS))
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1])
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--processes", type=int, default=2)
    chosen = parser.parse_args(arguments)
    jobs = [
        (folder, name, seed, chosen.size, chosen.epochs)
        for seed in chosen.seeds
        for folder in chosen.folders
        for name in chosen.only
    ]
    with ProcessPoolExecutor(chosen.processes, mp_context=get_context("spawn")) as pool:
        for future in [pool.submit(one_run, *job) for job in jobs]:
            row = future.result()
            print(row, flush=True)
            with chosen.out.open("a", newline="", encoding="utf-8") as stream:
                writer = csv.DictWriter(stream, list(row))
                if stream.tell() == 0:
                    writer.writeheader()
                writer.writerow(row)


if __name__ == "__main__":
    main()
