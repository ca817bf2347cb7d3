"""How fast each part is, as ratios to a baseline measured in the same run: `make bench`.

Prints a table and writes it to benchmarks/results.json beside a description of the machine. Nothing
here decides whether a test passes.
"""

from __future__ import annotations

import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from pytorch_metric_learning.distances import CosineSimilarity
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
from pytorch_metric_learning.utils.inference import CustomKNN
from torchvision import transforms

from drawings import draw
from lookalike.checkpoints import Checkpoint
from lookalike.config import read_yaml, resolve
from lookalike.embedding import embed_pixels
from lookalike.files import write_json
from lookalike.images import ImageSettings, load_pixels
from lookalike.losses import build_loss
from lookalike.models import build_model
from lookalike.normalisation import normalise
from lookalike.ranking import Block
from lookalike.retrieval import Protocol, evaluate
from lookalike.sampling import epoch_batches
from lookalike.training import TrainingData, build_optimizer, train

HERE = Path(__file__).resolve().parent
SCHEMA = HERE.parent / "workflow" / "schemas" / "config.schema.yaml"
IMAGE = ImageSettings(64, "squash", "white", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
REPEATS = 5


@dataclass(frozen=True)
class Result:
    """One line of the table: how long ours took, and the baseline, in seconds."""

    what: str
    ours: float
    baseline: str
    baseline_seconds: float

    @property
    def ratio(self) -> float:
        """Time of ours over time of the baseline; below 1 is faster."""
        return self.ours / self.baseline_seconds


def seconds(work: Callable[[], object], repeats: int = REPEATS) -> float:
    """Median time of `repeats` calls, after one to warm up."""
    work()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def reading(folder: Path) -> list[Result]:
    """Reading JPEG files of 640 x 480 as pixels, against torchvision's usual chain."""
    paths = []
    for number in range(40):
        paths.append(folder / f"{number}.jpg")
        draw(number, 0, 640).resize((640, 480)).save(paths[-1], quality=90)
    chain = transforms.Compose([transforms.Resize((64, 64)), transforms.ToTensor()])

    def usual() -> None:
        for path in paths:
            with Image.open(path) as image:
                chain(image.convert("RGB"))

    ours = seconds(lambda: [load_pixels(path, IMAGE) for path in paths])
    return [Result("read 40 JPEGs of 640 x 480", ours, "torchvision's chain", seconds(usual))]


def drawn(classes: int, each: int) -> TrainingData:
    """Drawings as decoded pixels."""
    labels = np.repeat(np.arange(classes), each)
    images = [draw(label, number, 64) for label in range(classes) for number in range(each)]
    return TrainingData(np.stack([np.asarray(image) for image in images]), labels, IMAGE)


def embedding(data: TrainingData) -> list[Result]:
    """Embedding decoded images, against the bare forward passes."""
    recipe = resolve([], read_yaml(SCHEMA))["recipes"]["default"]
    model = build_model(recipe["model"], IMAGE.size).eval().to(memory_format=torch.channels_last)
    inputs = normalise(torch.from_numpy(data.pixels[:128]), IMAGE)

    def forward() -> None:
        with torch.inference_mode():
            for _ in range(4):
                model(inputs)

    ours = seconds(lambda: embed_pixels(model, data.pixels[:512], IMAGE))
    return [Result("embed 512 images of 64 x 64", ours, "bare forward passes", seconds(forward))]


def training(data: TrainingData) -> list[Result]:
    """A training epoch with all it does, against the same steps on one batch held in memory."""
    changes = {"epochs": 1, "validation": {"classes": 0.0}}
    recipe = resolve([{"recipes": {"default": changes}}], read_yaml(SCHEMA))["recipes"]["default"]
    batches = epoch_batches(data.labels, recipe["batch"], 0, 1)
    torch.manual_seed(0)
    model = build_model(recipe["model"], IMAGE.size).to(memory_format=torch.channels_last)
    optimizer, loss_of = build_optimizer(model, recipe["optimizer"]), build_loss(recipe["loss"])
    inputs = normalise(torch.from_numpy(data.pixels[batches[0]]), IMAGE)
    labels = torch.from_numpy(data.labels[batches[0]])

    def epoch() -> None:
        fresh = build_model(recipe["model"], IMAGE.size)
        with tempfile.TemporaryDirectory() as kept:
            train(fresh, data, recipe, 0, torch.device("cpu"), Checkpoint(Path(kept), "run"))

    def steps() -> None:
        for _ in batches:
            optimizer.zero_grad()
            loss_of(model(inputs), labels).loss.backward()
            optimizer.step()

    what = f"one epoch of {len(data.labels)} images"
    return [Result(what, seconds(epoch, 3), "its steps on one batch in memory", seconds(steps, 3))]


def evaluation() -> list[Result]:
    """Every metric, 500 queries and 20,000 gallery items, against others and the bare product."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(1000, 128))

    def block(n: int, name: str) -> tuple[Block, NDArray[np.int64]]:
        labels = rng.integers(0, 1000, n)
        vectors = (centres[labels] + rng.normal(size=(n, 128))).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        ids = [f"{name}{number}" for number in range(n)]
        return Block(ids, [str(label) for label in labels], vectors), labels

    (query, query_labels), (gallery, gallery_labels) = block(500, "q"), block(20_000, "g")
    protocol = Protocol(k=(1, 10, 50), bootstrap=1000)
    ours = seconds(
        lambda: evaluate([query], lambda: [gallery], score="cosine", protocol=protocol), 3
    )
    a, b = torch.from_numpy(query.vectors), torch.from_numpy(gallery.vectors)

    def naive() -> None:
        order = np.argsort(-(query.vectors @ gallery.vectors.T), axis=1)
        for row, label in zip(order, query_labels, strict=True):
            hits = gallery_labels[row] == label
            (np.cumsum(hits) / np.arange(1, len(row) + 1) * hits).sum() / max(hits.sum(), 1)

    search = CustomKNN(CosineSimilarity())
    peer = AccuracyCalculator(include=("mean_average_precision",), k=50, knn_func=search)

    def peers() -> None:
        peer.get_accuracy(a, torch.from_numpy(query_labels), b, torch.from_numpy(gallery_labels))

    what = "all metrics, 500 x 20,000 x 128"
    return [
        Result(what, ours, "bare float32 product", seconds(lambda: a @ b.T)),
        Result(what, ours, "full argsort and a loop, mAP alone", seconds(naive, 1)),
        Result(what, ours, "pytorch-metric-learning, mAP alone, k = 50", seconds(peers, 1)),
    ]


def show(results: Sequence[Result]) -> str:
    """The results as an aligned table."""
    lines = [f"{'what':<34}{'seconds':>9}   {'baseline':<44}{'seconds':>9}{'ratio':>8}"]
    lines += [
        f"{r.what:<34}{r.ours:>9.3f}   {r.baseline:<44}{r.baseline_seconds:>9.3f}{r.ratio:>8.2f}"
        for r in results
    ]
    return "\n".join(lines)


def machine() -> dict[str, Any]:
    """What the figures are measured on."""
    return {
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "snakemake": version("snakemake"),
    }


def main() -> None:
    """Measure everything, print it, write benchmarks/results.json."""
    described = machine()
    print(described)
    with tempfile.TemporaryDirectory() as scratch:
        results = reading(Path(scratch))
    data = drawn(128, 4)
    results += embedding(data)
    results += training(data)
    results += evaluation()
    print(show(results))
    rows = [{**asdict(result), "ratio": result.ratio} for result in results]
    write_json(HERE / "results.json", {"machine": described, "results": rows})


if __name__ == "__main__":
    main()
