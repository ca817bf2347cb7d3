"""Where a page comes from: by which code, on which machine, and how long the steps took."""

from __future__ import annotations

import csv
import json
import math
import os
import platform
import re
import subprocess
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from lookalike import __version__
from lookalike.provenance import CARRIERS, NAME, PACKAGE, SHAPING, versions
from lookalike.report.started import Started

_BESIDE = ("workflow", "rules", "profiles", "Snakefile", "config.yaml")
"""What of a checkout decides results, from the folder above the package's."""
_PART = re.compile(r"\.\d+-of-\d+$")


@dataclass(frozen=True)
class StepTime:
    """How long the jobs of a step took when each last ran.

    Attributes:
        name: of the step.
        jobs: how many there are.
        seconds: of all together.
        longest: seconds of the longest.
        memory_mb: the most that one took; None where that was not measured.
    """

    name: str
    jobs: int
    seconds: float
    longest: float
    memory_mb: float | None


@dataclass(frozen=True)
class Origin:
    """Where a page comes from.

    Attributes:
        started: how the run was started.
        code: version and commit, in words.
        machine: that the page was written on.
        devices: those that networks were trained on, or embedded images on, as results note them.
        libraries: their versions, by name.
        steps: what they took, those that are known.
        unreadable: how many measurements could not be read.
    """

    started: Started
    code: str
    machine: str
    devices: Sequence[str]
    libraries: Mapping[str, str]
    steps: Sequence[StepTime]
    unreadable: int


def origin_of(
    started: Started,
    benchmarks: Path,
    models: Collection[str],
    pixels: Collection[str],
    trainings: Sequence[float],
    devices: Iterable[str],
) -> Origin:
    """Find out where a page comes from.

    Args:
        started: how the run was started.
        benchmarks: the folder that the rules' measurements are in; it need not be there.
        models: the folders of the runs in their states that are on the page, such as
            `default.0/untrained`.
        pixels: digests of their image settings.
        trainings: seconds of each training, from its history: trainings have no measurement.
        devices: of the runs.
    """
    steps, unreadable = step_times(benchmarks, models, pixels)
    if trainings:
        of_training = StepTime("train", len(trainings), sum(trainings), max(trainings), None)
        steps = sorted([*steps, of_training], key=lambda step: -step.seconds)
    return Origin(
        started,
        code_in_words(PACKAGE),
        machine_in_words(),
        sorted(set(devices)),
        libraries(),
        steps,
        unreadable,
    )


def step_times(
    benchmarks: Path, models: Collection[str], pixels: Collection[str]
) -> tuple[list[StepTime], int]:
    """What the jobs took that made the results, the longest step first.

    Not that of the page itself, which is not known yet. Files of runs, and of image settings, that
    the page does not show are left alone. Arguments as of `origin_of`.

    Returns:
        The steps, and how many files could not be read.
    """
    files = [path for path in benchmarks.glob("*.tsv") if path.stem != "report"]
    files += [path for path in benchmarks.glob("pixels/*.tsv") if path.stem in pixels]
    files += benchmarks.glob("selection/*.tsv")
    for model in sorted(models):
        files += _of_last_parts((benchmarks / model).glob("*.tsv"))
    times: dict[str, list[float]] = {}
    memory: dict[str, list[float]] = {}
    unreadable = 0
    for path in sorted(files):
        name = _PART.sub("", path.stem)
        if path.parent != benchmarks and path.parent.name in ("pixels", "selection"):
            name = path.parent.name
        try:
            with path.open(encoding="utf-8", newline="") as stream:
                rows = list(csv.DictReader(stream, delimiter="\t"))
            took = [float(row["s"]) for row in rows]
        except (OSError, ValueError, KeyError, TypeError, csv.Error):
            took = []
        if not took or not all(map(math.isfinite, took)):
            unreadable += 1
            continue
        times.setdefault(name, []).append(sum(took) / len(took))
        # Of a job that was over at once nothing else is measured.
        memory.setdefault(name, []).extend(
            float(row["max_rss"]) for row in rows if _is_number(row.get("max_rss"))
        )
    steps = [
        StepTime(name, len(jobs), sum(jobs), max(jobs), max(memory.get(name, []), default=None))
        for name, jobs in times.items()
    ]
    return sorted(steps, key=lambda step: (-step.seconds, step.name)), unreadable


def _of_last_parts(files: Iterable[Path]) -> list[Path]:
    """Of a model's files those of each step's last division into parts (`embed.shards`)."""
    divisions: dict[str, dict[str, list[Path]]] = {}
    for path in files:
        step = _PART.sub("", path.stem)
        n_parts = path.stem.rpartition("-of-")[2] if step != path.stem else ""
        divisions.setdefault(step, {}).setdefault(n_parts, []).append(path)
    return [
        path
        for by_parts in divisions.values()
        for path in max(
            by_parts.values(), key=lambda paths: max(path.stat().st_mtime_ns for path in paths)
        )
    ]


def _is_number(text: str | None) -> bool:
    return text is not None and re.fullmatch(r"\d+(\.\d+)?", text) is not None


def code_in_words(package: Path) -> str:
    """Version and commit of the code in a folder, and whether it was changed since."""
    return f"Lookalike {__version__}, {_commit(package)}"


def _commit(package: Path) -> str:
    # What lies in a repository is not always of it: an environment may be installed in one.
    if _git(package, "ls-files", "--", "__init__.py"):
        commit = _git(package, "rev-parse", "HEAD")
        beside = [str(package.parent.parent / name) for name in _BESIDE]
        changed = _git(package, "status", "--porcelain", "--", *beside)
        if commit and changed is not None:
            files = len(changed.splitlines())
            return f"commit {commit}" + (
                f", and {files} {'file' if files == 1 else 'files'} of the code changed since"
                if files
                else ", unchanged"
            )
    if installed := _installed_commit(package):
        return f"commit {installed}, as installed"
    return "no git: the commit is not known"


def _git(folder: Path, *arguments: str) -> str | None:
    """What git says of a folder; None where there is no git, or no repository."""
    try:
        done = subprocess.run(
            # Nothing is written there, not even git's notes.
            ["git", "--no-optional-locks", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=20,
            check=True,
            stdin=subprocess.DEVNULL,
            # Whoever was started by git has variables that name its repository.
            env={name: value for name, value in os.environ.items() if name[:4] != "GIT_"},
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _installed_commit(package: Path) -> str | None:
    """The commit that pip noted when it installed the package from a repository."""
    try:
        installed = distribution(NAME)
        if Path(str(installed.locate_file(NAME))).resolve() != package.resolve():
            return None
        noted = json.loads(installed.read_text("direct_url.json") or "{}")
        return str(noted["vcs_info"]["commit_id"])
    except (PackageNotFoundError, KeyError, TypeError, ValueError, OSError):
        return None


def machine_in_words() -> str:
    """Processor, its cores and the system of this machine."""
    cores = os.cpu_count() or 1
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else cores
    of_these = f" (this process may use {allowed})" if allowed != cores else ""
    return f"{_processor()}, {cores} cores{of_these}, {platform.system()} {platform.machine()}"


def _processor() -> str:
    try:
        if sys.platform == "darwin":
            command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
            done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True)
            return done.stdout.strip()
        info = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
        names = re.findall(r"^model name\s*:\s*(.+)$", info, re.MULTILINE)
    except (OSError, subprocess.SubprocessError):
        names = []
    return str(names[0]) if names else platform.processor() or "a processor without a name"


def libraries() -> dict[str, str]:
    """The installed versions of Python, Snakemake and what numbers come from, by name."""
    found = versions(["snakemake", *SHAPING.values(), *(CARRIERS & {"pandas", "pyarrow"})])
    return {"Python": platform.python_version()} | {
        name: version for name, version in found.items() if version != "not installed"
    }
