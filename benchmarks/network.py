"""How fast images are embedded, and in how much memory they are embedded and trained on."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch

from drawn import recipe_of, write_jpegs
from lookalike.data.manifest_table import read_manifest
from lookalike.embedding.allocation import keep_freed_memory
from lookalike.embedding.filling import EmbedSettings
from lookalike.embedding.forward import embed_batches
from lookalike.images.pixel_store import decoded
from lookalike.images.resizing import ImageSettings
from lookalike.models.building import before_training, build_model
from lookalike.models.files import save_model
from lookalike.models.settings import ModelSettings
from lookalike.steps.embed import embed_split
from lookalike.training.recipe import Recipe
from timing import Figure, Result, alternately
from training import train_once, training_data

BATCH = 128  # embed.batch_size
REPEATS = 2


def embed_all(folder: Path, manifest: Path) -> None:
    """The embed step on a manifest's images, with nothing in the cache."""
    cache = folder / "cache"
    shutil.rmtree(cache, ignore_errors=True)
    settings = EmbedSettings(cache, "cpu", BATCH, torch.get_num_threads())
    output, summary = folder / "out.parquet", folder / "out.json"
    weights = folder / "model.safetensors"
    embed_split(manifest, manifest.with_suffix(""), weights, output, summary, [], settings)


def write_model(
    folder: Path, name: str, size: int | None = None
) -> tuple[torch.nn.Module, ImageSettings]:
    """A recipe's network before its first step, saved in `folder`."""
    recipe, image = recipe_of(name, **({"image": {"size": size}} if size else {}))
    torch.manual_seed(0)
    model = build_model(ModelSettings.from_dict(recipe["model"]), image.size)
    model, settings = before_training(model, recipe["model"], trains_head=True)
    model = model.to(memory_format=torch.channels_last)
    weights, description = folder / "model.safetensors", folder / "model.json"
    kinds = {"settings": settings, "image": image.to_dict()}
    save_model(model, weights, description, **kinds, facts={})
    return model.eval(), image


def embedding(folder: Path, name: str, n_images: int) -> list[Result]:
    """Embedding JPEG files end to end, against decoding alone and a recipe's network alone.

    The network is as it is trained: where less work makes the same embeddings, ours gain by it.
    """
    folder = folder / name
    manifest = write_jpegs(folder / "jpegs", n_images)
    model, image = write_model(folder, name)
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
    what = f"{name}: embed {n_images:,} JPEGs of 640 x 480 at {image.size}"
    slower = max("decoding", "network", key=took.__getitem__)
    both = took["decoding"] + took["network"]
    return [
        Result(what, took["end to end"], f"the slower part alone: {slower}", took[slower]),
        Result(what, took["end to end"], "decoding, then the network, on all cores", both),
    ]


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
    write_model(folder, "original", size)
    return peak_mb(lambda: embed_all(folder, manifest))


def training_peak(folder: Path, n_images: int, size: int) -> float:
    folder = folder / f"peak-train-{n_images}"
    settings, image = recipe_of("default", image={"size": size})
    recipe = Recipe.from_dict(settings)
    keep_freed_memory()

    def work() -> None:
        network = build_model(recipe.model, image.size)
        train_once(folder, network, training_data(folder, image, n_images), recipe)

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
        *embedding(folder, "original", n_images),
        *embedding(folder, "strong", n_images // 5),
        *memory(folder, 64, 512),
    ]
