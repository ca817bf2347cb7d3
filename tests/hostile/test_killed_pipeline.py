"""The whole workflow is killed at random moments of every step, and ends as one that never was."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import load_file

from lookalike.config import merge
from lookalike.storage.files import HALF_WRITTEN, read_checked
from support.drawings import write_data
from support.snakemake_runs import QUICK, repeatable, snakemake, start, write_settings

pytestmark = [
    pytest.mark.workflow,
    pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds processes by /proc"),
]

# In the order in which they come, and the log file of each of a step's jobs below results/logs.
STEPS = {
    "manifest": r"manifest\.log",
    "pixels": r"pixels/\w+\.log",
    "train": r"default\.0/train\.log",
    "embed_shard": r".*/embed_\w+\.\d-of-2\.log",
    "embed": r".*/embed_\w+\.log",
    "metrics": r".*/metrics\.log",
    "threshold": r"default\.0/threshold\.log",
    "compare": r"compare\.log",
    "report": r"report\.log",
}
# What each writes below results.
OUTPUTS = {
    "manifest": r"manifest/.*|data_report\.json",
    "pixels": r"pixels/.*",
    "train": r".*/(model\.(safetensors|json)|history\.parquet)",
    "embed_shard": r".*/embeddings/\w+\.\d-of-2\.json",
    "embed": r".*/embeddings/\w+\.(parquet|json)",
    "metrics": r"default.*/(metrics\.json|(per_query|rankings)\.parquet)",
    "threshold": r"default\.0/threshold\.json",
    "compare": r"comparison\.\w+",
    "report": r"report\.html",
}
# A kill comes while one of the first so many jobs of a step is at work. Of the tables of a split,
# three wait for the last parts.
JOBS = {"embed_shard": 4, "embed": 3, "metrics": 2}
# Images so large that an epoch takes longer than a glance at its log.
SETTINGS = merge(QUICK, {"data": {"root": "data"}, "embed": {"shards": 2}, "image": {"size": 48}})
EPOCHS = SETTINGS["recipes"]["default"]["epochs"]
HISTORY = "results/default.0/history.parquet"
# In the environment of everything that Snakemake starts, wherever it goes.
MARK = "OF_THE_KILLED_PIPELINE"
# Seconds after a step's work in which its process ends and Snakemake notes that it did.
AFTERWARDS = 0.1


class Life:
    """One start of Snakemake in a folder, watched from outside until it ends or is killed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.before = log_times(folder)
        self.began: dict[str, tuple[str, float]] = {}  # by Snakemake's number of the job
        self.ended: dict[str, float] = {}
        self.lines: list[str] = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(MARK, str(folder))
            # Each Snakemake that is killed leaves its copy of the rules there.
            patch.setenv("XDG_CACHE_HOME", str(folder / ".cache"))
            self.process = start(folder, "--quiet", "host", own_group=True)
        self.reader = Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        for line in self.process.stdout or ():
            self.lines.append(line)
            # All but the last one, which only asks for the others' files.
            if job := re.match(r"Job (\d+): (?!all:)(\w+):(.*)", line):
                part = "_shard" if job[2] == "embed" and ", part " in job[3] else ""
                self.began[job[1]] = (job[2] + part, time.monotonic())
            elif job := re.match(r"Finished jobid: (\d+) ", line):
                self.ended[job[1]] = time.monotonic()

    @property
    def output(self) -> str:
        return "".join(self.lines)

    @property
    def is_over(self) -> bool:
        return self.process.poll() is not None

    @property
    def at_work(self) -> list[str]:
        """The steps of the jobs that began and did not end, as far as Snakemake has said."""
        return [step for job, (step, _) in [*self.began.items()] if job not in self.ended]

    def logs(self, step: str) -> list[Path]:
        """The log files that jobs of `step` have begun in this life."""
        return [
            path
            for path, written in log_times(self.folder).items()
            if written != self.before.get(path) and step_of(path, STEPS, "results/logs") == step
        ]

    def wait_for(self, happened: Callable[[], bool]) -> None:
        """Wait until something has `happened`, or the life is over."""
        limit = time.monotonic() + 120
        while not happened() and not self.is_over:
            assert time.monotonic() < limit, self.output
            time.sleep(0.005)

    def wait(self) -> None:
        """Wait for the end of a life that nobody kills."""
        self.reader.join()
        assert self.process.wait() == 0, self.output

    def kill(self) -> int:
        """Kill the process group, and what has left it; returns how many had left it."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        outside = set()
        limit = time.monotonic() + 30
        while left := running(self.folder):
            assert time.monotonic() < limit, left
            for process, group in left.items():
                if group != self.process.pid:
                    outside.add(process)
                    os.kill(process, signal.SIGKILL)
            time.sleep(0.005)
        self.reader.join()
        return len(outside)


def running(folder: Path) -> dict[int, int]:
    """The processes that come from a life in `folder`, and the process group of each."""
    found = {}
    mark = f"{MARK}={folder}".encode()
    for place in Path("/proc").iterdir():
        try:
            if place.name.isdigit() and mark in (place / "environ").read_bytes().split(b"\0"):
                found[int(place.name)] = os.getpgid(int(place.name))
        except OSError:
            continue  # it has ended, or is another user's
    return found


def files_of(folder: Path) -> list[Path]:
    """The files in `folder` that are at their place: hidden ones are not, or not yet."""
    return [path for path in folder.rglob("[!.]*") if path.is_file()]


def step_of(path: Path, patterns: dict[str, str], below: str) -> str | None:
    """The first step whose pattern `path` has, from the folder `below` on."""
    name = str(path).rpartition(f"/{below}/")[2]
    return next((step for step, pattern in patterns.items() if re.fullmatch(pattern, name)), None)


def log_times(folder: Path) -> dict[Path, int]:
    """When each log file was last written."""
    times = {}
    for path in files_of(folder / "results/logs"):
        with suppress(FileNotFoundError):  # deleted meanwhile
            times[path] = path.stat().st_mtime_ns
    return times


def forget(folder: Path, step: str) -> None:
    """Delete what `step` and the steps after it made; of the caches, a training's state."""
    steps = list(STEPS)
    for path in files_of(folder / "results"):
        made_by = step_of(path, OUTPUTS, "results")
        if made_by and steps.index(made_by) >= steps.index(step):
            path.unlink()
    if steps.index(step) <= steps.index("train"):
        shutil.rmtree(folder / ".lookalike" / "training", ignore_errors=True)


def assert_nothing_is_half_written(folder: Path, expected: dict[str, bytes]) -> None:
    """Every output and every file of the cache that is there is whole."""
    for path in [*files_of(folder / "results"), *files_of(folder / ".lookalike")]:
        name = str(path.relative_to(folder))
        # How fast the machine is is another time each time.
        if name in expected and "speed" not in path.parts:
            is_equal = path.read_bytes() == expected[name]
            assert is_equal, name  # pytest would show both files
        match path.suffix:
            case ".parquet":
                pq.read_table(path)
            case ".safetensors":
                load_file(path)
            case ".json":
                json.loads(path.read_bytes())
            case ".arrow":
                pa.ipc.open_file(path).read_all()
            case "" if {"scan", "speed"} & {*path.parts}:
                read_checked(path)
            case ".html":
                assert path.read_text(encoding="utf-8").rstrip().endswith("</html>"), name
            case _:
                assert name in expected or name.startswith(
                    ("results/logs/", "results/benchmarks/")
                ), f"{name}: nobody looks into it"


def history(folder: Path) -> dict[str, list[Any]]:
    """What a training tells of its epochs, but for how long they took."""
    table = pq.read_table(folder / HISTORY)
    return dict(table.drop_columns(["seconds", "images_per_second"]).to_pydict())


class Undisturbed:
    """A run that nobody disturbs: what it made, and how long each step takes."""

    def __init__(self, folder: Path) -> None:
        new_folder(folder)
        life = Life(folder)
        life.wait()
        self.results = {name: (folder / name).read_bytes() for name in repeatable("default.0")}
        self.history = history(folder)
        # Of a step's longest job: with its process's start and end, and without.
        self.whole, self.work = dict.fromkeys(STEPS, 0.0), dict.fromkeys(STEPS, 0.0)
        for job, (step, began) in life.began.items():
            self.whole[step] = max(self.whole[step], life.ended[job] - began)
        for step in STEPS:
            for path in life.logs(step):
                [said] = re.findall(r"done in (.*?) s", path.read_text())
                self.work[step] = max(self.work[step], float(said))
        assert all(self.whole.values()), self.whole
        seconds = pq.read_table(folder / HISTORY)["seconds"].to_pylist()
        self.later_epochs = sum(seconds[1:])


def has_state(folder: Path) -> bool:
    """Whether the state of a training is kept."""
    return any((folder / ".lookalike" / "training").glob("[!.]*.safetensors"))


def new_folder(folder: Path) -> None:
    write_data(folder / "data", test_classes=4)
    write_settings(folder, SETTINGS)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    return Undisturbed(tmp_path_factory.mktemp("undisturbed"))


class Trainings:
    """What the logs of one training's lives say: no life loses more than an epoch of the last."""

    def __init__(self) -> None:
        self.kept = 0  # epochs that cannot be lost any more
        self.went_on = 0  # lives that did, after one epoch or more

    def see(self, life: Life) -> None:
        for path in life.logs("train"):
            said = path.read_text()
            done = [int(epoch) for epoch in re.findall(rf"epoch (\d+)/{EPOCHS}, loss", said)]
            went_on = re.search(r"going on after .*?epoch (\d+)", said)
            if not (went_on or done):
                continue  # killed before it said where it began
            after = int(went_on[1]) if went_on else 0
            assert after >= self.kept, f"{self.kept} epochs were kept\n{said}"
            self.went_on += after > 0
            # An epoch's state is kept after its line is written: a kill may come between.
            self.kept = max([after, *(epoch - 1 for epoch in done)])


def wait_for_a_moment_of(
    step: str, life: Life, undisturbed: Undisturbed, rng: random.Random, whole: bool, hurry: int
) -> None:
    """Wait for a random moment of a job of `step`, or for the life's end if it does not come.

    whole: of all the time that its process takes, most of which it may spend on imports; else of
        its work, and of a training's work after an epoch.
    hurry: what a cache knows takes less time; wait for so many times less.
    """
    number = rng.randint(1, JOBS.get(step, 1))
    if whole:
        life.wait_for(lambda: [began for began, _ in [*life.began.values()]].count(step) >= number)
        seconds = undisturbed.whole[step]
    elif step == "train":
        epoch = re.compile(rf"epoch \d+/{EPOCHS}, loss")
        life.wait_for(
            lambda: (
                has_state(life.folder)
                and any(epoch.search(path.read_text()) for path in life.logs(step))
            )
        )
        seconds = undisturbed.later_epochs
    else:
        life.wait_for(lambda: len(life.logs(step)) >= number)
        seconds = undisturbed.work[step] + AFTERWARDS
    moment = time.monotonic() + rng.uniform(0, seconds / hurry)
    life.wait_for(lambda: time.monotonic() > moment)


@pytest.mark.parametrize("kills", [1, pytest.param(6, marks=pytest.mark.long)])
def test_a_pipeline_killed_in_every_step_ends_the_same(
    undisturbed: Undisturbed, tmp_path: Path, kills: int
) -> None:
    rng = random.Random(kills)
    killed: Counter[str] = Counter()
    lives, went_on, forced, outside, left_over = 0, 0, 0, 0, 0
    for turn in range(kills):
        folder = tmp_path / str(turn // 2)
        if turn % 2 == 0:
            new_folder(folder)
        else:
            shutil.rmtree(folder / "results")  # the caches stay
        trainings = Trainings()
        for step in STEPS:
            whole, hurry, hit = turn > 0 and rng.random() < 0.5, 1, False
            while not hit:
                life = Life(folder)
                lives += 1
                wait_for_a_moment_of(step, life, undisturbed, rng, whole, hurry)
                if life.is_over:
                    life.wait()
                else:
                    outside += life.kill()
                    killed.update(set(life.at_work) or {"between jobs"})
                    assert_nothing_is_half_written(folder, undisturbed.results)
                    unlocked = snakemake(folder, "--unlock")
                    assert unlocked.status == 0, unlocked.output
                trainings.see(life)
                forced += "Reason: Forced execution" in life.output
                hit = step in life.at_work
                if step == "train" and not whole:
                    hit = hit and has_state(folder)
                if not hit:  # too late
                    forget(folder, step)
                    trainings.kept = 0
                    hurry += 1

        life = Life(folder)
        life.wait()
        trainings.see(life)
        for name, content in undisturbed.results.items():
            is_equal = (folder / name).read_bytes() == content
            assert is_equal, name
        assert history(folder) == undisturbed.history
        assert_nothing_is_half_written(folder, undisturbed.results)
        again = snakemake(folder)
        assert again.jobs == {}, again.output
        assert "Nothing to be done" in again.output
        went_on += trainings.went_on
        left_over += len([*(folder / "results").rglob(f".*{HALF_WRITTEN}")])
    print(f"kills by step: {', '.join(f'{step} {killed[step]}' for step in STEPS)};")
    print(f"{killed['between jobs']} between jobs; {killed.total()} in {lives} lives;")
    print(
        f"{went_on} trainings went on; in {forced} lives, outputs of a killed job were made again;"
    )
    print(f"{outside} processes had left their group; {left_over} half-written files are left")
    assert went_on > 0
    # Nothing here asks for it but `rerun-incomplete`, where a killed job left outputs.
    assert forced > 0
    assert outside == 0
