"""Training, embedding and scoring on a GPU, beside the bare network and product: `make bench-gpu`.

Needs torch from 2.11 and the package's libraries, but no Snakemake. Prints a table and writes it to
benchmarks/results-gpu.json after each part, so that a run cut short leaves what it has. `--small`
runs the same in a minute, on a CPU where there is no GPU.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import yaml
from numpy.typing import NDArray
from torch import Tensor, nn

from lookalike.embedding.forward import embed_batches, embed_pixels, for_device
from lookalike.embedding.tables import write_embeddings
from lookalike.images.normalisation import normalise
from lookalike.images.resizing import ImageSettings
from lookalike.jobs.torch_devices import choose_device, repeatable
from lookalike.models.building import build_model
from lookalike.retrieval.settings import MetricsSettings
from lookalike.steps.metrics import evaluate_files
from lookalike.storage.files import write_json
from lookalike.training.checkpoints import Checkpoint
from lookalike.training.distributed import fabric_for
from lookalike.training.feeds import TrainingData
from lookalike.training.loop import train
from lookalike.training.losses.building import build_loss
from lookalike.training.optimization import build_optimizer, fabric_precision
from lookalike.training.recipe import Recipe
from timing import Figure, Result, as_dict, machine, show

HERE = Path(__file__).resolve().parent
MEAN_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
DIMENSION, CLASSES = 128, 5000


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    side: int
    batch: int
    batches: int
    queries: int
    gallery: int
    agree: int
    seconds: float


FULL = Sizes(224, 128, 40, 10_000, 1_000_000, 256, 400)
SMALL = Sizes(32, 32, 2, 300, 3_000, 32, 60)


def original(sizes: Sizes) -> tuple[Recipe, ImageSettings]:
    """The original recipe, for one epoch, and its images at the size measured."""
    recipes = yaml.safe_load((HERE.parent / "config.yaml").read_text())["recipes"]
    recipe = recipes["original"] | {"epochs": 1, "batch": {"name": "shuffled", "size": sizes.batch}}
    return Recipe.from_dict(recipe), ImageSettings(sizes.side, "squash", "white", *MEAN_STD, "fast")


def network(recipe: Recipe, image: ImageSettings) -> nn.Module:
    torch.manual_seed(0)
    made = build_model(recipe.model, image.size)
    return made.to(memory_format=torch.channels_last)


def loss_by(recipe: Recipe) -> nn.Module:
    return build_loss(
        recipe.loss,
        CLASSES,
        recipe.model.embedding_dim,
        miner=recipe.miner,
        memory=recipe.memory,
    )


def waited(device: torch.device, work: Callable[[], object], repeats: int = 3) -> float:
    """Least seconds of a call after one to warm up, the device's work done."""
    times = []
    for _ in range(repeats + 1):
        started = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - started)
    return min(times[1:])


def noise(n: int, side: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (n, side, side, 3), dtype=np.uint8)


def embedding(device: torch.device, sizes: Sizes) -> list[Result | Figure]:
    """Embedding batches from memory, beside the network on one batch that is there already."""
    recipe, image = original(sizes)
    model = network(recipe, image).to(device).eval()
    batch = for_device(noise(sizes.batch, sizes.side), device)
    ready = normalise(batch.to(device), image).contiguous(memory_format=torch.channels_last)

    def bare() -> None:
        with torch.inference_mode():
            for _ in range(sizes.batches):
                model(ready)

    def ours() -> None:
        for _ in embed_batches(model, [batch] * sizes.batches, image):
            pass

    took, least = waited(device, ours), waited(device, bare)
    n = sizes.batch * sizes.batches
    what = f"embed {n:,} images at {sizes.side}"
    return [
        Result(what, took, f"the bare network, batches of {sizes.batch}", least),
        Figure(f"{what}: images a second", n / took, "images/s"),
        Figure("  the bare network", n / least, "images/s"),
    ]


def training(device: torch.device, sizes: Sizes, folder: Path) -> list[Result | Figure]:
    """An epoch from memory, beside the bare network's steps on one batch that is there already."""
    recipe, image = original(sizes)
    n = sizes.batch * sizes.batches
    pixels = noise(n, sizes.side)
    data = TrainingData(pixels, np.arange(n) // 4, image)
    fabric = fabric_for(device, fabric_precision(recipe.precision))
    runs = 0

    def ours() -> None:
        nonlocal runs
        runs += 1
        train(network(recipe, image), data, recipe, 0, fabric, Checkpoint(folder, f"run{runs}"))

    model = network(recipe, image).to(device)
    optimizer, loss_of = build_optimizer(model, recipe.optimizer), loss_by(recipe)
    ready = normalise(torch.from_numpy(pixels[: sizes.batch]).to(device), image)
    ready = ready.contiguous(memory_format=torch.channels_last)
    labels = torch.arange(sizes.batch, device=device) // 4

    def bare() -> None:
        for _ in range(sizes.batches):
            optimizer.zero_grad()
            loss_of(model(ready), labels).loss.backward()
            optimizer.step()

    took, least = waited(device, ours, 2), waited(device, bare, 2)
    what = f"train on {n:,} images at {sizes.side}"
    return [
        Result(what, took, f"the bare network, batches of {sizes.batch}", least),
        Figure(f"{what}: images a second", n / took, "images/s"),
        Figure("  the bare network", n / least, "images/s"),
    ]


def largest_batch(device: torch.device, sizes: Sizes) -> list[Result | Figure]:
    """The largest power of two of images whose step fits into the device's memory."""
    recipe, image = original(sizes)
    model, fits = network(recipe, image).to(device), 0
    loss_of = loss_by(recipe)
    batch = sizes.batch
    while batch <= (2**14 if device.type == "cuda" else 2 * sizes.batch):
        try:
            images = torch.rand(batch, 3, sizes.side, sizes.side, device=device)
            loss_of(model(images), torch.arange(batch, device=device) // 4).loss.backward()
        except torch.OutOfMemoryError:
            break
        finally:
            images = torch.empty(0)
            model.zero_grad()
        fits, batch = batch, 2 * batch
    if device.type == "cuda":
        torch.cuda.empty_cache()
    return [Figure(f"largest batch of a training step at {sizes.side}", fits, "images")]


def agreement(device: torch.device, sizes: Sizes) -> list[Result | Figure]:
    """How far embeddings are from the CPU's, and from themselves in other company."""
    recipe, image = original(sizes)
    pixels = noise(sizes.agree, sizes.side)
    model = network(recipe, image).eval()
    expected = embed_pixels(model, pixels, image).astype(np.float64)
    model.to(device)
    there = embed_pixels(model, pixels, image)
    alone = np.concatenate([embed_pixels(model, pixels[at : at + 1], image) for at in range(8)])
    lengths = np.linalg.norm(expected, axis=1)
    away = np.linalg.norm(there - expected, axis=1) / lengths
    moved = np.linalg.norm(there[:8] - alone.astype(np.float64), axis=1) / lengths[:8]
    return [
        Figure("embeddings: furthest from the CPU's", float(away.max()), "of their length"),
        Figure("  the median", float(np.median(away)), "of their length"),
        Figure("  alone, furthest from among others", float(moved.max()), "of their length"),
    ]


def unit_table(path: Path, name: str, n: int, seed: int) -> None:
    """An embeddings table of unit vectors around one centre a class."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(CLASSES, DIMENSION)).astype(np.float32)
    labels = rng.integers(CLASSES, size=n)
    vectors = centres[labels] + 2 * rng.standard_normal((n, DIMENSION), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    ids = [f"{name}{at:07d}" for at in range(n)]
    sha256s = ["0" * 64] * n
    names = [str(label) for label in labels]
    write_embeddings(path, ids, names, sha256s, vectors, {"score": "cosine"})


def scoring(device: torch.device, sizes: Sizes, folder: Path) -> list[Result | Figure]:
    """`lookalike evaluate` on files, beside the bare product; and how far a CPU's result is."""
    query, gallery = folder / "query.parquet", folder / "gallery.parquet"
    unit_table(query, "q", sizes.queries, 1)
    unit_table(gallery, "g", sizes.gallery, 2)
    few = folder / "few.parquet"
    unit_table(few, "q", min(500, sizes.queries), 1)
    settings = MetricsSettings()
    started = time.perf_counter()
    evaluate_files(query, gallery, folder / "all", settings, device=device)
    took = time.perf_counter() - started

    queries: Tensor = torch.randn(1024, DIMENSION, device=device)
    block = torch.randn(4096, DIMENSION, device=device)

    def product() -> None:
        for _ in range(0, sizes.queries, len(queries)):
            for _ in range(0, sizes.gallery, len(block)):
                torch.mm(queries, block.T)

    bare = waited(device, product, 1)
    here, there = (
        evaluate_files(few, gallery, folder / where.type, settings, device=where)["metrics"]
        for where in (torch.device("cpu"), device)
    )
    apart = max(abs(here[key] - there[key]) for key in here if key.startswith("mAP"))
    size = f"{sizes.queries:,} x {sizes.gallery:,} x {DIMENSION}"
    return [
        Result(f"lookalike evaluate, {size}", took, "bare float32 product", bare),
        Figure("  mAP furthest from the CPU's, 500 queries", apart, ""),
    ]


def measure(device: torch.device, sizes: Sizes, output: Path) -> list[Result | Figure]:
    """Everything, written to `output` after each part; parts that time does not allow are named."""
    repeatable()
    started = time.monotonic()
    results: list[Result | Figure] = []
    left_out: list[str] = []
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        parts: dict[str, Callable[[], list[Result | Figure]]] = {
            "embedding": lambda: embedding(device, sizes),
            "training": lambda: training(device, sizes, folder),
            "agreement": lambda: agreement(device, sizes),
            "scoring": lambda: scoring(device, sizes, folder),
            "largest batch": lambda: largest_batch(device, sizes),
        }
        for name, part in parts.items():
            if time.monotonic() - started > sizes.seconds:
                left_out.append(name)
                continue
            some = part()
            print(show(some), flush=True)
            results += some
            write_json(
                output,
                {
                    "machine": machine(),
                    "device": device.type,
                    "seconds": time.monotonic() - started,
                    "left_out": left_out,
                    "results": [as_dict(result) for result in results],
                },
            )
    if left_out:
        print("no time was left for:", ", ".join(left_out))
    return results


def main() -> None:
    """Measure, print, write benchmarks/results-gpu.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="a minute's worth, on any device")
    parser.add_argument("--output", type=Path, default=HERE / "results-gpu.json")
    options = parser.parse_args()
    device = choose_device("auto" if options.small else "cuda")
    measure(device, SMALL if options.small else FULL, options.output)


if __name__ == "__main__":
    main()
