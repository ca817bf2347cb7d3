"""How fast images go through a network, embedding and training, and in how much memory."""

from __future__ import annotations

import hashlib
import io
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from lookalike.config import resolve
from lookalike.data.manifest_table import SCHEMA, read_manifest
from lookalike.embedding.allocation import keep_freed_memory
from lookalike.embedding.filling import EmbedSettings
from lookalike.embedding.forward import embed_batches
from lookalike.images.normalisation import scale, standardise
from lookalike.images.pixel_store import decoded, training_pixels
from lookalike.images.resizing import ImageSettings
from lookalike.models.building import build_model
from lookalike.models.files import save_model
from lookalike.models.settings import ModelSettings
from lookalike.steps.embed import embed_split
from lookalike.storage.files import write_parquet
from lookalike.storage.yaml_files import read_yaml
from lookalike.training.augmentation import augment, build_augmentation
from lookalike.training.checkpoints import Checkpoint
from lookalike.training.distributed import fabric_for
from lookalike.training.feeds import TrainingData
from lookalike.training.loop import train
from lookalike.training.losses.building import build_loss
from lookalike.training.optimization import build_optimizer, fabric_precision
from lookalike.training.recipe import Recipe
from lookalike.training.sampling import epoch_batches
from support.drawings import draw
from timing import Figure, Result, alternately

CONFIG = Path(__file__).resolve().parents[1] / "workflow" / "schemas" / "config.schema.yaml"
CPU = torch.device("cpu")
BATCH = 128  # embed.batch_size
REPEATS = 2
DRAWN = 64  # distinct drawings; the files differ beyond that only in what no decoder reads
PER_CLASS = 4


def recipe_of(name: str, **changes: Any) -> tuple[dict[str, Any], ImageSettings]:
    """Settings of a recipe of one epoch without validation, and its image settings."""
    changes |= {"epochs": 1, "validation": {"classes": 0.0}}
    settings = resolve([{"recipes": {name: changes}}], read_yaml(CONFIG))
    image = settings["image"] | settings["recipes"][name]["image"]
    return settings["recipes"][name], ImageSettings.from_dict(image)


def write_jpegs(folder: Path, n_images: int) -> Path:
    """JPEG files of 640 x 480, all of distinct content; returns their manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    drawings = []
    for number in range(min(n_images, DRAWN)):
        stream = io.BytesIO()
        draw(number, 0, 640).resize((640, 480)).save(stream, "JPEG", quality=90)
        drawings.append(stream.getvalue())
    rows = []
    for number in range(n_images):
        content = drawings[number % len(drawings)] + number.to_bytes(8, "big")
        name, label = f"{number:07d}.jpg", str(number // PER_CLASS)
        (folder / name).write_bytes(content)
        sha256 = hashlib.sha256(content).hexdigest()
        known = {"image_id": name, "label": label, "sha256": sha256, "status": "ok"}
        rows.append(dict.fromkeys(SCHEMA.names) | known)
    manifest = folder.with_suffix(".parquet")
    write_parquet(manifest, pa.Table.from_pylist(rows, schema=SCHEMA))
    return manifest


def embed_all(folder: Path, manifest: Path) -> None:
    """The embed step on a manifest's images, with nothing in the cache."""
    cache = folder / "cache"
    shutil.rmtree(cache, ignore_errors=True)
    settings = EmbedSettings(cache, "cpu", BATCH, torch.get_num_threads())
    output, summary = folder / "out.parquet", folder / "out.json"
    weights = folder / "model.safetensors"
    embed_split(manifest, manifest.with_suffix(""), weights, output, summary, [], settings)


def write_model(folder: Path, size: int | None = None) -> tuple[torch.nn.Module, ImageSettings]:
    """The recipe original's network before its first step, saved in `folder`."""
    recipe, image = recipe_of("original", **({"image": {"size": size}} if size else {}))
    torch.manual_seed(0)
    model = build_model(ModelSettings.from_dict(recipe["model"]), image.size)
    model = model.to(memory_format=torch.channels_last)
    weights, description = folder / "model.safetensors", folder / "model.json"
    kinds = {"settings": recipe["model"], "image": image.to_dict()}
    save_model(model, weights, description, **kinds, facts={})
    return model.eval(), image


def embedding(folder: Path, n_images: int) -> list[Result]:
    """Embedding JPEG files end to end, against decoding alone and the network alone."""
    manifest = write_jpegs(folder / "jpegs", n_images)
    model, image = write_model(folder)
    table = read_manifest(manifest)
    files = [
        (key, folder / "jpegs" / name)
        for key, name in zip(
            table["sha256"].to_pylist(), table["image_id"].to_pylist(), strict=True
        )
    ]
    keep_freed_memory()
    some = islice(decoded(files, image, 1), min(BATCH, n_images))
    held = torch.from_numpy(np.stack([values for _, values in some]))
    batches = [held[: min(BATCH, n_images - start)] for start in range(0, n_images, BATCH)]

    def decode() -> None:
        for _ in decoded(files, image, torch.get_num_threads()):
            pass

    took = alternately(
        {
            "end to end": lambda: embed_all(folder, manifest),
            "decoding": decode,
            "network": lambda: list(embed_batches(model, batches, image)),
        },
        REPEATS if n_images <= 1000 else 1,
        warm_up=n_images <= 1000,
    )
    what = f"embed {n_images:,} JPEGs of 640 x 480 at {image.size}"
    slower = max("decoding", "network", key=took.__getitem__)
    both = took["decoding"] + took["network"]
    return [
        Result(what, took["end to end"], f"the slower part alone: {slower}", took[slower]),
        Result(what, took["end to end"], "decoding, then the network, on all cores", both),
    ]


def training(folder: Path, size: int, n_images: int) -> list[Result]:
    """A training epoch from the pixel store, against the same steps on one batch in memory."""
    folder = folder / f"train-{size}"
    settings, image = recipe_of("default", image={"size": size})
    recipe = Recipe.from_dict(settings)
    data = training_data(folder, image, n_images)
    batches = epoch_batches(data.labels, recipe.batch, 0, 1)
    keep_freed_memory()
    model = build_model(recipe.model, size).to(memory_format=torch.channels_last)
    optimizer = build_optimizer(model, recipe.optimizer)
    loss_of = build_loss(
        recipe.loss,
        int(data.labels.max()) + 1,
        recipe.model.embedding_dim,
        miner=recipe.miner,
        memory=recipe.memory,
    )
    transform = build_augmentation(recipe.augment, size)
    half = fabric_precision(recipe.precision) == "bf16-mixed"
    pixels = torch.from_numpy(data.pixels[batches[0]])
    labels = torch.from_numpy(data.labels[batches[0]])

    def steps(augmented: bool) -> None:
        for step, _ in enumerate(batches):
            images = augment(scale(pixels), transform if augmented else None, step)
            with torch.autocast("cpu", torch.bfloat16, enabled=half):
                embeddings = model(standardise(images, image))
            optimizer.zero_grad()
            loss_of(embeddings, labels).loss.backward()
            optimizer.step()

    took = alternately(
        {
            "epoch": lambda: train_once(folder, data, recipe),
            "steps": lambda: steps(True),
            "bare": lambda: steps(False),
        },
        REPEATS,
    )
    what = f"one epoch of {n_images:,} images at {size}"
    return [
        Result(what, took["epoch"], "its steps on one batch in memory", took["steps"]),
        Result(what, took["epoch"], "the same without augmentation", took["bare"]),
    ]


def training_data(folder: Path, image: ImageSettings, n_images: int) -> TrainingData:
    """JPEG files as a training sees them."""
    manifest = read_manifest(write_jpegs(folder / "jpegs", n_images))
    pixels = training_pixels(
        manifest, folder / "jpegs", image, folder / "cache", torch.get_num_threads(), 1.0
    )
    labels = np.unique(manifest["label"].to_numpy(), return_inverse=True)[1].astype(np.int64)
    return TrainingData(pixels, labels, image)


def train_once(folder: Path, data: TrainingData, recipe: Recipe) -> None:
    """Train a fresh network by a recipe, and keep nothing of it."""
    torch.manual_seed(0)
    checkpoint = Checkpoint(folder / "training", "run")
    fabric = fabric_for(CPU, fabric_precision(recipe.precision))
    train(build_model(recipe.model, data.image.size), data, recipe, 0, fabric, checkpoint)
    checkpoint.path.unlink()


# Memory: measured in processes of their own.


def private_mb() -> float:
    """This process's memory that no file backs, in MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) / 1000
    raise RuntimeError("/proc/self/status has no RssAnon")


def peak_mb(work: Callable[[], object]) -> float:
    """The most private memory while `work` runs, above what there was before."""
    before = peak = private_mb()
    done = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.002):
            peak = max(peak, private_mb())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        work()
    finally:
        done.set()
        watcher.join()
    return peak - before


def embedding_peak(folder: Path, n_images: int, size: int) -> float:
    folder = folder / f"peak-embed-{n_images}"
    manifest = write_jpegs(folder / "jpegs", n_images)
    write_model(folder, size)
    return peak_mb(lambda: embed_all(folder, manifest))


def training_peak(folder: Path, n_images: int, size: int) -> float:
    folder = folder / f"peak-train-{n_images}"
    settings, image = recipe_of("default", image={"size": size})
    recipe = Recipe.from_dict(settings)
    keep_freed_memory()

    def work() -> None:
        train_once(folder, training_data(folder, image, n_images), recipe)

    return peak_mb(work)


def memory(folder: Path, size: int, n_images: int) -> list[Figure]:
    """Peaks of private memory for some images and for four times as many."""
    rows = []
    for n in (n_images, 4 * n_images):
        for what, measured in (("embed", embedding_peak), ("train on", training_peak)):
            with ProcessPoolExecutor(1, get_context("spawn")) as fresh:
                peak = fresh.submit(measured, folder, n, size).result()
            rows.append(Figure(f"{what} {n:,} images at {size}", peak, "MB of private memory"))
    return rows


def measure(folder: Path, n_images: int = 256) -> list[Result | Figure]:
    """Everything; `n_images` JPEG files are embedded end to end."""
    return [
        *embedding(folder, n_images),
        *training(folder, 64, 512),
        *training(folder, 224, 72),
        *memory(folder, 64, 512),
    ]
