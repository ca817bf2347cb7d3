"""Each step as its script calls it, in a process of its own.

A step works from `inputs`, what an undisturbed run of each step made in a folder of its name, to
`place`.
"""

from __future__ import annotations

import os
import resource
import time
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import pytest
import torch

from lookalike.data.layout import SPLITS, DataSettings
from lookalike.embedding import filling
from lookalike.embedding.filling import EmbedSettings
from lookalike.images import pixel_store as pixels
from lookalike.jobs.step import step as logged
from lookalike.report.runs import Run
from lookalike.retrieval.settings import MetricsSettings
from lookalike.steps.bring import bring_embeddings
from lookalike.steps.compare import write_comparison
from lookalike.steps.embed import embed_shard, embed_split
from lookalike.steps.manifest import write_manifest
from lookalike.steps.metrics import evaluate_files
from lookalike.steps.pixels import write_pixels
from lookalike.steps.report import write_report
from lookalike.steps.train import train_run
from lookalike.storage.files import write_parquet
from lookalike.training.job import TrainingJob
from support import processes
from support.report_folder import (
    LABELS,
    RUNS,
    TEMPLATES,
    K,
    make_data_report,
    make_images,
    make_run,
)
from support.training import IMAGE, recipe


def manifest(inputs: Path, place: Path) -> None:
    data = {
        "root": str(inputs / "data"),
        "train": "train",
        "query": "query_images",
        "gallery": "gallery",
        "train_labels": "train_image_info.json",
        "test_labels": "test_image_info.json",
    }
    outputs = {split: place / f"results/manifest/{split}.parquet" for split in SPLITS}
    report = place / "results/data_report.json"
    write_manifest(DataSettings.from_dict(data), outputs, report, cache=place / "cache", threads=2)


def pixel(inputs: Path, place: Path) -> None:
    write_pixels(
        inputs / "manifest/results/manifest/train.parquet",
        inputs / "data/train",
        place / "results/pixels.parquet",
        image=IMAGE.to_dict(),
        cache=place / "cache",
        pixel_store_gb=1.0,
        threads=2,
    )


def train(inputs: Path, place: Path) -> None:
    train_run(
        TrainingJob(
            manifest=str(inputs / "manifest/results/manifest/train.parquet"),
            folder=str(inputs / "data/train"),
            trained=str(place / "results"),
            untrained=str(place / "results/untrained"),
            history=str(place / "results/history.parquet"),
            recipe_name="small",
            recipe=recipe(epochs=2, batch={"classes": 4}, validation={"classes": 0.2}),
            image=IMAGE.to_dict(),
            seed=0,
            device="cpu",
            cache=str(place / "cache"),
            pixel_store_gb=1.0,
            code="",
            software={},
            threads=1,
        )
    )


def part(inputs: Path, place: Path) -> None:
    embed_shard(
        inputs / "manifest/results/manifest/gallery.parquet",
        inputs / "data/gallery",
        inputs / "train/results/model.safetensors",
        place / "results/gallery.1-of-2.json",
        "1-of-2",
        EmbedSettings(place / "cache", "cpu", batch_size=4, threads=1),
    )


def embed(inputs: Path, place: Path) -> None:
    embed_split(
        inputs / "manifest/results/manifest/gallery.parquet",
        inputs / "data/gallery",
        inputs / "train/results/model.safetensors",
        place / "results/gallery.parquet",
        place / "results/gallery.json",
        # Only one of two: what the other would have made, this one makes.
        [inputs / "part/results/gallery.1-of-2.json"],
        EmbedSettings(place / "cache", "cpu", batch_size=4, threads=1),
    )


def bring(inputs: Path, place: Path) -> None:
    splits = ("query", "gallery")
    bring_embeddings(
        "given",
        dict.fromkeys(splits, inputs / "embed/results/gallery.parquet"),
        dict.fromkeys(splits, inputs / "manifest/results/manifest/gallery.parquet"),
        {split: place / f"results/{split}.parquet" for split in splits},
        {split: place / f"results/{split}.json" for split in splits},
    )


def metrics(inputs: Path, place: Path) -> None:
    table = inputs / "embed/results/gallery.parquet"
    evaluate_files(
        table,
        table,
        place / "results",
        MetricsSettings(k=[1, 10], exclude="same_id"),
    )


def runs(inputs: Path) -> list[Run]:
    return [Run(name, seed, inputs / f"scored/results/{name}.{seed}") for name, seed, _ in RUNS]


def compare(inputs: Path, place: Path) -> None:
    results = place / "results"
    write_comparison(runs(inputs), results / "comparison.csv", results / "comparison.parquet")


def report(inputs: Path, place: Path) -> None:
    scored = inputs / "scored"
    write_report(
        place / "results/report.html",
        markdown=place / "results/comparison.md",
        latex=place / "results/comparison.tex",
        templates=TEMPLATES,
        comparison=inputs / "compare/results/comparison.parquet",
        data_report=scored / "data_report.json",
        runs=runs(inputs),
        folders={split: scored / split for split in SPLITS},
        manifests={split: scored / f"{split}.parquet" for split in SPLITS},
        title="A title",
        k=K,
        changes={"other.0": place / "results/changes/other.0.html"},
    )


class Step(NamedTuple):
    """A step and its outputs below `results`."""

    work: Callable[[Path, Path], None]
    outputs: tuple[str, ...]


MODEL = ("model.safetensors", "model.json")
STEPS = {
    "manifest": Step(
        manifest, (*(f"manifest/{split}.parquet" for split in SPLITS), "data_report.json")
    ),
    "pixels": Step(pixel, ("pixels.parquet",)),
    "train": Step(train, (*MODEL, *(f"untrained/{name}" for name in MODEL), "history.parquet")),
    "part": Step(part, ("gallery.1-of-2.json",)),
    "embed": Step(embed, ("gallery.parquet", "gallery.json")),
    "bring": Step(bring, ("query.parquet", "gallery.parquet", "query.json", "gallery.json")),
    "metrics": Step(metrics, ("metrics.json", "per_query.parquet", "rankings.parquet")),
    "compare": Step(compare, ("comparison.csv", "comparison.parquet")),
    "report": Step(
        report, ("report.html", "comparison.md", "comparison.tex", "changes/other.0.html")
    ),
}


class Case(NamedTuple):
    """A step to run.

    Attributes:
        step: a key of STEPS.
        inputs: what an undisturbed run of each step made.
        place: where its results and its cache go.
        largest: the largest file that it may write.
        refuses: it may, beforehand, where it sees that there is too little room.
    """

    step: str
    inputs: Path
    place: Path
    largest: int = resource.RLIM_INFINITY
    refuses: bool = False


def serve(connection: Connection) -> None:
    """Answer each case with the exit status and all that was said, each in a fork of its own.

    What takes long to import is imported once.
    """
    while True:
        case = connection.recv()
        reading, writing = os.pipe()
        process = os.fork()
        if not process:
            os.dup2(writing, 1)
            os.dup2(writing, 2)
            os._exit(status_of(case))
        os.close(writing)
        with open(reading, encoding="utf-8") as stream:  # noqa: PTH123 - a descriptor
            said = stream.read()
        connection.send((os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), said))


def status_of(case: Case) -> int:
    """Run a case as its script does; what Python would exit with."""
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (case.largest, resource.RLIM_INFINITY))
        patch = pytest.MonkeyPatch()
        # Several writes to each store.
        patch.setattr(pixels, "CHUNK_IMAGES", 16)
        patch.setattr(filling, "STORE_BATCHES", 1)
        if not case.refuses:
            plenty = SimpleNamespace(free=2**60)
            patch.setattr("lookalike.jobs.preflight.shutil.disk_usage", lambda _: plenty)
        torch.set_num_threads(1)
        work, outputs = STEPS[case.step]
        with logged(
            case.place / "log.txt", [str(case.place / "results" / name) for name in outputs]
        ):
            work(case.inputs, case.place)
    except SystemExit as end:
        return int(end.code or 0)
    except BaseException:
        traceback.print_exc()
        return 99
    return 0


class Server:
    """A process that runs cases, one at a time."""

    def __init__(self) -> None:
        self.connection, theirs = processes.CONTEXT.Pipe()
        self.process = processes.start(serve, theirs)

    def run(self, case: Case, seen: Callable[[], object] = lambda: None) -> tuple[int, str]:
        """The exit status and what was said; calls `seen` again and again meanwhile."""
        self.connection.send(case)
        limit = time.monotonic() + 120
        while not self.connection.poll(0.001):
            seen()
            assert time.monotonic() < limit, case
        status, said = self.connection.recv()
        return int(status), str(said)


def scored(place: Path) -> None:
    """Runs with their metrics and images, for a comparison and a report."""
    queries = make_images(place, "query", dict.fromkeys(LABELS, 3))
    gallery = make_images(place, "gallery", dict.fromkeys(LABELS, 4))
    for name, seed, noise in RUNS:
        make_run(place / f"results/{name}.{seed}", queries, gallery, noise, name)
    train_images = make_images(place, "train", {LABELS[0]: 2})
    for split, table in zip(SPLITS, (train_images, queries, gallery), strict=True):
        write_parquet(place / f"{split}.parquet", table)
    make_data_report(place / "data_report.json")
