"""The suite's runs: the project's own workflow on each data set, and the peer beside it.

A run is resumable: Snakemake makes what is missing, and a training that was stopped goes on from
where it was; of the peer's runs, those that are not complete are made again.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import FrameType
from typing import Any

import torch

from lookalike.config import Settings
from lookalike.models.building import build_model
from lookalike.storage.digests import digest_of
from lookalike.storage.files import read_json, write_json
from suite.datasets import DATA_SETS, DataSet, build
from suite.origins import digest_of_folder, origin_of_peer
from suite.settings import (
    ROOT,
    Budget,
    complete,
    default_budget,
    images_of,
    settings_of,
    training_labels,
    write_settings,
)
from support.warm_python import warm_python

DATA = Path("resources", "suite")
RESULTS = Path("results", "suite")

OVERHEAD = 8.0
"""Seconds of a core that a run takes beside its training: embedding and scoring, twice of ours."""


@dataclass(frozen=True)
class Plan:
    """What is to be run.

    Attributes:
        folder: everything is below it: data, results, cache.
        split: development | final.
        data: names of data sets.
        recipes: by name.
        peers: the peer's losses on each data set.
        seeds: of every training.
        steps: batches of the default recipe; None: the data set's own.
    """

    folder: Path
    split: str
    data: Sequence[str]
    recipes: dict[str, Settings]
    peers: dict[str, Sequence[str]]
    seeds: Sequence[int]
    steps: int | None = None

    def of(self, name: str) -> PlanOfData:
        """What is to be run on one data set, which has been made."""
        data = DATA_SETS[name]
        labels = training_labels(self.folder / DATA / name / self.split)
        budget = default_budget(data, labels, self.steps or data.steps)
        return PlanOfData(self, data, budget)

    def results(self, name: str) -> Path:
        """The folder of a data set's results, as the settings name it."""
        return RESULTS / self.split / name

    def peer_results(self, name: str, loss: str, seed: int) -> Path:
        """The folder of one of the peer's runs."""
        return RESULTS / self.split / "peer" / name / f"{loss}.{seed}"


@dataclass(frozen=True)
class PlanOfData:
    """A plan's part on one data set."""

    plan: Plan
    data: DataSet
    budget: Budget

    @property
    def missing(self) -> tuple[int, int]:
        """How many of our runs, and of the peer's, are not there; what is stale is not counted."""
        plan, name = self.plan, self.data.name
        ours = [
            plan.folder / plan.results(name) / f"{recipe}.{seed}" / "metrics.json"
            for recipe in plan.recipes
            for seed in plan.seeds
        ]
        theirs = [self.peer_is_done(loss, seed) for loss, seed in self.peer_runs]
        return sum(not path.exists() for path in ours), theirs.count(False)

    @property
    def peer_runs(self) -> list[tuple[str, int]]:
        """Losses and seeds of the peer."""
        losses = self.plan.peers[self.data.name]
        return [(loss, seed) for seed in self.plan.seeds for loss in losses]

    def workflow(self, children: Children) -> bool:
        """Run the project's workflow on this data set; whether all of it was done."""
        plan, name = self.plan, self.data.name
        folders = {
            "data": str(DATA / name / plan.split),
            "results": str(plan.results(name)),
            "cache": str(Path(".lookalike", "suite", name)),
        }
        labels = training_labels(plan.folder / folders["data"])
        settings = settings_of(self.data, folders, plan.recipes, plan.seeds, labels, self.budget)
        file = plan.folder / RESULTS / plan.split / f"{name}.yaml"
        write_settings(file, settings)
        # Results are locked by the workflow itself; Snakemake's locks would outlive a kill.
        command = ["-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--cores", "1"]
        options = ["--nolock", "--keep-going", "--configfile", str(file)]
        return children.run([*command, *options], plan.folder, file.with_suffix(".log"))

    def peer(self, children: Children, loss: str, seed: int) -> bool:
        """Make one of the peer's runs, unless it is there; whether it was done."""
        if self.peer_is_done(loss, seed):
            return True
        plan, name = self.plan, self.data.name
        out = plan.folder / plan.peer_results(name, loss, seed)
        shutil.rmtree(out, ignore_errors=True)  # of other data or code: no table may show it
        out.mkdir(parents=True)
        batch = complete({}, self.data).batch.values
        options = {
            "--set": name,
            "--loss": loss,
            "--seed": seed,
            "--steps": self.budget.steps,
            "--classes": batch["classes"],
            "--images-per-class": batch["images_per_class"],
        }
        words = [str(word) for option in options.items() for word in option]
        folder = plan.folder / DATA / name / plan.split
        command = ["-m", "suite.peer", str(folder), str(out), *words]
        done = children.run(command, plan.folder, out / "log.txt")
        if done:
            write_json(out / "made.json", {"of": self._decides(loss, seed)})
        return done

    def peer_is_done(self, loss: str, seed: int) -> bool:
        """Whether the peer's run is there, of these settings and data, this code and libraries."""
        made = self.plan.folder / self.plan.peer_results(self.data.name, loss, seed) / "made.json"
        return made.exists() and read_json(made) == {"of": self._decides(loss, seed)}

    def _decides(self, loss: str, seed: int) -> str:
        return digest_of([loss, seed, self.budget.steps, *self._decides_all])

    @cached_property
    def _decides_all(self) -> list[str]:
        """What decides each of the peer's runs: images and labels, settings, code, libraries."""
        recipe = complete({}, self.data)
        settings = repr((recipe.model, recipe.batch, images_of(self.data)))
        folder = self.plan.folder / DATA / self.data.name / self.plan.split
        return [digest_of_folder(folder), settings, origin_of_peer(recipe.model.name)]


@dataclass
class Children:
    """The programs that are running; on SIGTERM and ctrl-c they are asked to end."""

    running: list[subprocess.Popen[bytes]] = field(default_factory=list)
    ending: bool = False

    def is_ending(self) -> bool:
        """Whether a signal has come, in whichever thread this is asked."""
        return self.ending

    def run(self, arguments: Sequence[str], folder: Path, log: Path) -> bool:
        """Run Python on one core until it ends, its output in a file; whether it ended well."""
        if self.is_ending():
            return False
        packages = [str(ROOT / name) for name in ("workflow", "benchmarks", "tests")]
        variables = {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(packages)}
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as stream:
            child = subprocess.Popen(
                [warm_python(), *arguments],
                cwd=folder,
                env={**os.environ, **variables},
                stdout=stream,
                stderr=subprocess.STDOUT,
            )
            self.running.append(child)
            if self.is_ending():  # meanwhile
                child.send_signal(signal.SIGTERM)
            status = child.wait()
            self.running.remove(child)
        return status == 0

    @contextmanager
    def ended_with_us(self) -> Iterator[None]:
        """Within, a signal to end goes to all of them; then KeyboardInterrupt is raised."""

        def end(signal_number: int, frame: FrameType | None) -> None:
            self.ending = True
            for child in list(self.running):
                child.send_signal(signal.SIGTERM)
            raise KeyboardInterrupt

        before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def run(plan: Plan, cores: int) -> list[str]:
    """Make the data sets and all runs that are missing; return what failed, with its log.

    Args:
        plan: what.
        cores: programs at a time, each on one core.
    """
    os.environ["OMP_NUM_THREADS"] = "1"  # before the Python that all are forked from
    for name in plan.data:
        build(name, plan.folder / DATA, plan.folder / DATA / "packages")
    parts = [plan.of(name) for name in plan.data]
    print(f"estimated: {estimate(parts) / cores / 60:.0f} minutes on {cores} cores", flush=True)
    children, started, failed = Children(), time.monotonic(), list[str]()
    with children.ended_with_us(), ThreadPoolExecutor(cores) as pool:
        pending: dict[Any, str] = {}

        def add(what: str, work: Callable[..., bool], *arguments: Any) -> None:
            pending[pool.submit(work, children, *arguments)] = what

        # The longest first.
        for part in sorted(parts if plan.recipes else (), key=lambda part: -part.data.size):
            add(f"{plan.results(part.data.name)}.log", part.workflow)
        for part in parts:
            for loss, seed in part.peer_runs:
                place = plan.peer_results(part.data.name, loss, seed)
                add(str(place / "log.txt"), part.peer, loss, seed)
        while pending:
            done, _ = wait(pending, return_when=FIRST_COMPLETED)
            for future in done:
                what = pending.pop(future)
                if not future.result():
                    failed.append(what)
                minutes = (time.monotonic() - started) / 60
                told = "FAILED" if what in failed else "done"
                print(f"{minutes:6.1f} min  {told}  {what}", flush=True)
    return failed


def estimate(parts: Sequence[PlanOfData]) -> float:
    """Seconds of one core that what is missing will take, from a few steps of the network now."""
    seconds = 0.0
    took: dict[tuple[int, int], float] = {}
    for part in parts:
        ours, theirs = part.missing
        shape = part.data.size, part.budget.batch
        if shape not in took:
            took[shape] = _seconds_of_a_step(part)
        seconds += (ours + theirs) * (part.budget.steps * took[shape] + OVERHEAD)
    return seconds


def _seconds_of_a_step(part: PlanOfData) -> float:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    model = build_model(complete({}, part.data).model, part.data.size)
    model = model.to(memory_format=torch.channels_last)
    images = torch.randn(part.budget.batch, 3, part.data.size, part.data.size)
    images = images.contiguous(memory_format=torch.channels_last)
    times = []
    for _ in range(8):
        started = time.perf_counter()
        model(images).square().sum().backward()
        times.append(time.perf_counter() - started)
    torch.set_num_threads(threads)
    return sorted(times)[len(times) // 2]
