"""What a re-evaluation costs, beside a full one: `make bench-incremental`.

Draws a data set, trains for one epoch so that there are weights, and then runs the workflow again
and again through the real Snakemake, after one change at a time. Prints what ran, how many images
were decoded and embedded, and how long it took as a ratio to the full evaluation of the same
gallery; writes the figures to benchmarks/results-incremental.json. `decoded` is what embedding
decoded: the manifest's scan opens each new image once more, to see whether it can be used.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple

from lookalike.config import resolve
from lookalike.data.layout import DataSettings, fingerprint
from lookalike.storage.files import read_json, write_json
from lookalike.storage.yaml_files import read_yaml
from support.drawings import draw
from support.snakemake_runs import Run, snakemake, write_settings
from timing import REPEATS, machine, seconds

HERE = Path(__file__).resolve().parent
SCHEMA = HERE.parent / "workflow" / "schemas" / "config.schema.yaml"

TRAINING_CLASSES, IMAGES_PER_CLASS = 20, 4
# Classes of the test images: one query each, the gallery's images in turn.
TEST_CLASSES = range(100, 600)
FINGERPRINTED_FILES = 100_000
# A single image is added, and relabelled, as many times: the median counts.
ONE_BY_ONE = 3
ONE_ADDED, ONE_RELABELLED = "1 image added", "1 image relabelled"

# What is promised: at most this.
ONE_IMAGE_OF_FULL = 0.05
NO_OP_OF_PLAIN = 1.5
FINGERPRINT_SECONDS = 1.0

PLAIN_WORKFLOW = """\
rule second:
    input:
        "first.txt",
    output:
        "second.txt",
    shell:
        "cp {input} {output}"


rule first:
    output:
        "first.txt",
    shell:
        "echo first > {output}"
"""


class Drawing(NamedTuple):
    """Image `number` of class `label`, as tests/support/drawings.py draws it."""

    label: int
    number: int

    @property
    def name(self) -> str:
        """The name of its file."""
        return f"{self.label:04d}_{self.number:05d}.jpg"


@dataclass(frozen=True)
class Evaluation:
    """One run of the workflow: its jobs, its work in images over all models, and its times.

    Attributes:
        what: the change before it.
        jobs: how many of each rule ran.
        decoded: images decoded to be embedded.
        embedded: images sent through a network.
        seconds: from calling Snakemake until it returned.
        of_full: `seconds` as a share of the full evaluation's.
        goal: what `of_full` should be at most, if that is promised.
        seconds_of: seconds within each job, by the name of its benchmark file.
    """

    what: str
    jobs: dict[str, int]
    decoded: int
    embedded: int
    seconds: float
    of_full: float
    goal: float | None
    seconds_of: dict[str, float]


@dataclass(frozen=True)
class NoOp:
    """`snakemake` with nothing to do beside `snakemake -n` on a plain workflow, medians."""

    data: str
    seconds: float
    plain_seconds: float
    goal: float = NO_OP_OF_PLAIN

    @property
    def ratio(self) -> float:
        """Ours over the plain one."""
        return self.seconds / self.plain_seconds


def gallery_of(n_images: int) -> list[Drawing]:
    """The gallery, and those to be added; number 0 of each class is its query."""
    turns = (divmod(place, len(TEST_CLASSES)) for place in range(n_images + ONE_BY_ONE + 500))
    return [Drawing(TEST_CLASSES[label], 1 + turn) for turn, label in turns]


def save_drawing(folder: Path, size: int, drawing: Drawing) -> None:
    draw(*drawing, size).save(folder / drawing.name, quality=90)


class Project:
    """A folder with settings and data; each of the drawings becomes part of a split when put."""

    def __init__(self, folder: Path, drawings: Path, image_size: int) -> None:
        self.folder, self.drawings = folder, drawings
        self.settings: dict[str, Any] = {
            "image": {"size": image_size},
            "recipes": {"default": {"epochs": 1}},
        }
        write_settings(folder, self.settings)
        self.results = folder / "results"
        self._labels: dict[str, dict[str, int]] = {"train": {}, "test": {}}

    def put(self, split: str, drawings: Sequence[Drawing]) -> None:
        """Add drawings to the folder of a split, and their labels."""
        place = self.folder / "data" / split
        place.mkdir(parents=True, exist_ok=True)
        for drawing in drawings:
            (place / drawing.name).hardlink_to(self.drawings / drawing.name)
        self.label(split, {drawing.name: drawing.label for drawing in drawings})

    def label(self, split: str, labels: dict[str, int]) -> None:
        """Give images of a split these labels."""
        kind = "train" if split == "train" else "test"
        self._labels[kind] |= labels
        path = self.folder / "data" / f"{kind}_image_info.json"
        path.write_text(json.dumps(self._labels[kind]))

    def cut_offs(self, k: list[int]) -> None:
        """Change metrics.k."""
        write_settings(self.folder, self.settings | {"metrics": {"k": k}})

    def run(self) -> Run:
        """Call Snakemake; what it says is shown where it fails."""
        done = snakemake(self.folder, python=sys.executable)
        if done.status != 0:
            raise SystemExit(done.output)
        return done


class Evaluations:
    """Runs of one project, measured, and printed as they end; the first one is the full one."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.done: list[Evaluation] = []
        print(
            f"{'':<24}{'decoded':>9}{'embedded':>9}{'seconds':>9}{'of full':>9}{'goal':>7}   jobs"
        )

    def run(self, what: str, *changes: Callable[[], None], goal: float | None = None) -> None:
        """Run the workflow after each of the changes, all of one kind; keep the median run."""
        runs = [self._run(what, change, goal) for change in changes]
        runs.sort(key=attrgetter("seconds"))
        self.done.append(runs[len(runs) // 2])
        self._print(self.done[-1])

    def _run(self, what: str, change: Callable[[], None], goal: float | None) -> Evaluation:
        change()
        before, started = time.time(), time.perf_counter()
        jobs = self.project.run().jobs
        took = time.perf_counter() - started
        results = self.project.results
        # A job writes its files anew: those that are older speak of an earlier run.
        summaries = [
            read_json(path)
            for split in ("query", "gallery")
            for path in results.rglob(f"embeddings/{split}.json")
            if path.stat().st_mtime >= before
        ]
        times = {
            path.relative_to(results / "benchmarks").with_suffix("").as_posix(): job_seconds(path)
            for path in sorted((results / "benchmarks").rglob("*.tsv"))
            if path.stat().st_mtime >= before
        }
        return Evaluation(
            what=what,
            jobs=dict(sorted(jobs.items())),
            decoded=sum(summary["decoded"] for summary in summaries),
            embedded=sum(summary["embedded"] for summary in summaries),
            seconds=took,
            of_full=took / self.done[0].seconds if self.done else 1.0,
            goal=goal,
            seconds_of=times,
        )

    def _print(self, one: Evaluation) -> None:
        goal = "" if one.goal is None else f"{one.goal:.3f}"
        jobs = ", ".join(f"{rule} {count}" for rule, count in one.jobs.items()) or "none"
        print(
            f"{one.what:<24}{one.decoded:>9,}{one.embedded:>9,}{one.seconds:>9.1f}"
            f"{one.of_full:>9.3f}{goal:>7}   {jobs}",
            flush=True,
        )


def job_seconds(benchmark: Path) -> float:
    """Column `s` of a benchmark file of Snakemake's: the job's wall-clock time."""
    names, values = (line.split("\t") for line in benchmark.read_text().splitlines()[:2])
    return float(dict(zip(names, values, strict=True))["s"])


def draw_missing(drawings: Sequence[Drawing], folder: Path, size: int) -> None:
    """Draw those images that are not in `folder`, on all cores."""
    folder.mkdir(parents=True, exist_ok=True)
    there = {path.name for path in folder.iterdir()}
    todo = [drawing for drawing in drawings if drawing.name not in there]
    with ProcessPoolExecutor() as pool:
        list(pool.map(partial(save_drawing, folder, size), todo, chunksize=64))


def evaluations(project: Project, n_images: int) -> list[Evaluation]:
    """The full evaluation of a gallery of `n_images`, and those after each kind of change."""
    gallery = gallery_of(n_images)
    one_by_one = gallery[n_images : n_images + ONE_BY_ONE]

    def everything() -> None:
        project.put("gallery", gallery[1:n_images])
        project.put("query_images", [Drawing(label, 0) for label in TEST_CLASSES[1:]])

    def relabel(drawing: Drawing) -> None:
        project.label("gallery", {drawing.name: drawing.label + 1})

    runs = Evaluations(project)
    runs.run("full evaluation", everything)
    runs.run(
        ONE_ADDED,
        *(partial(project.put, "gallery", [drawing]) for drawing in one_by_one),
        goal=ONE_IMAGE_OF_FULL,
    )
    runs.run("500 images added", partial(project.put, "gallery", gallery[n_images + ONE_BY_ONE :]))
    # What follows from one changed row of the manifest where no image is new: the floor.
    runs.run(ONE_RELABELLED, *(partial(relabel, drawing) for drawing in one_by_one))
    runs.run("metrics.k changed", partial(project.cut_offs, [1, 5, 10]))
    runs.run("nothing", lambda: None)
    return runs.done


def floor_table(runs: Sequence[Evaluation], idle: NoOp) -> str:
    """Where a re-evaluation's time goes before an image is decoded or embedded."""
    after = {run.what: run for run in runs}
    full, one, floor = runs[0], after[ONE_ADDED], after[ONE_RELABELLED]
    jobs = sum(floor.seconds_of.values())
    lines = [
        "",
        "the floor: 1 image relabelled, the same jobs without an image to decode or embed",
        f"{'':<34}{'seconds':>9}{'of full':>9}",
        *(
            f"{name:<34}{took:>9.2f}{took / full.seconds:>9.4f}"
            for name, took in (
                ("Snakemake, nothing to do", idle.seconds),
                *floor.seconds_of.items(),
                ("between jobs, less what overlaps", floor.seconds - idle.seconds - jobs),
                ("the floor", floor.seconds),
                (ONE_ADDED, one.seconds),
                ("the image itself: what is above", one.seconds - floor.seconds),
            )
        ),
    ]
    return "\n".join(lines)


def no_op(project: Project, plain: Path, data: str) -> NoOp:
    """Time both in turns, so that whatever else the machine does meets both."""

    def timed(work: Callable[[], object]) -> float:
        started = time.perf_counter()
        work()
        return time.perf_counter() - started

    def dry_run() -> None:
        if snakemake(plain, "-n", snakefile=plain / "Snakefile", python=sys.executable).status != 0:
            raise SystemExit("the plain workflow failed")

    pairs = [(timed(project.run), timed(dry_run)) for _ in range(REPEATS)]
    ours, theirs = (statistics.median(times) for times in zip(*pairs, strict=True))
    return NoOp(data, ours, theirs)


def plain_workflow(folder: Path) -> Path:
    """A workflow of two rules, which have run, to compare with."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "Snakefile").write_text(PLAIN_WORKFLOW)
    if snakemake(folder, snakefile=folder / "Snakefile", python=sys.executable).status != 0:
        raise SystemExit("the plain workflow failed")
    return folder


def fingerprint_seconds() -> float:
    """Median time of the look at a folder of many files that each parsing takes."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "gallery").mkdir()
        for number in range(FINGERPRINTED_FILES):
            (root / "gallery" / f"{number:06d}.jpg").touch()
        settings = resolve([{"data": {"root": folder, "gallery": "gallery"}}], read_yaml(SCHEMA))
        data = DataSettings.from_dict(settings["data"])
        return seconds(lambda: fingerprint(data, print))


def measure(folder: Path, n_images: int, size: int, image_size: int) -> dict[str, Any]:
    """Everything, printed on the way; returns the content of results-incremental.json."""
    training = [
        Drawing(label, number)
        for label in range(TRAINING_CLASSES)
        for number in range(IMAGES_PER_CLASS)
    ]
    drawings = [
        *training,
        *(Drawing(label, 0) for label in TEST_CLASSES),
        *gallery_of(n_images),
    ]
    draw_missing(drawings, folder / f"drawings-{size}", size)
    for name in ("project", "plain"):
        shutil.rmtree(folder / name, ignore_errors=True)

    plain = plain_workflow(folder / "plain")
    project = Project(folder / "project", folder / f"drawings-{size}", image_size)
    project.put("train", training)
    project.put("query_images", [Drawing(TEST_CLASSES[0], 0)])
    project.put("gallery", gallery_of(n_images)[:1])
    project.run()
    small = no_op(project, plain, f"{len(training)} training images")

    runs = evaluations(project, n_images)
    large = no_op(project, plain, f"{len(gallery_of(n_images)):,} gallery images")
    print(floor_table(runs, large))

    print("\nsnakemake with nothing to do, beside `snakemake -n` on a workflow of two rules")
    for result in (small, large):
        print(
            f"{result.data:<34}{result.seconds:>9.2f}{result.plain_seconds:>9.2f}"
            f"{result.ratio:>9.2f}   goal {result.goal}"
        )
    fingerprinted = fingerprint_seconds()
    print(
        f"\nfingerprint of {FINGERPRINTED_FILES:,} files: {fingerprinted:.2f} s   "
        f"goal {FINGERPRINT_SECONDS:.0f} s"
    )
    return {
        "images": n_images,
        "size": size,
        "image_size": image_size,
        "evaluations": [asdict(run) for run in runs],
        "no_op": [{**asdict(result), "ratio": result.ratio} for result in (small, large)],
        "fingerprint": {
            "files": FINGERPRINTED_FILES,
            "seconds": fingerprinted,
            "goal": FINGERPRINT_SECONDS,
        },
    }


def main() -> None:
    """Measure, print, write benchmarks/results-incremental.json."""
    parser = argparse.ArgumentParser(description="What a re-evaluation costs beside a full one.")
    parser.add_argument("--images", type=int, default=50_000, help="gallery images")
    parser.add_argument("--size", type=int, default=96, help="pixels on each side of a drawing")
    parser.add_argument("--image-size", type=int, default=96, help="the network's input")
    parser.add_argument("--folder", type=Path, help="work here, and keep what was drawn")
    options = parser.parse_args()
    described = machine()
    print(described)
    with tempfile.TemporaryDirectory() as scratch:
        folder = (options.folder or Path(scratch)).resolve()
        figures = measure(folder, options.images, options.size, options.image_size)
    write_json(HERE / "results-incremental.json", {"machine": described, **figures})


if __name__ == "__main__":
    main()
