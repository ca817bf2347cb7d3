"""What Snakemake would run, as its own dry run says."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_TABLE = re.compile(r"^Job stats:\njob +count\n[- ]+\n(.*?)\n\n", re.M | re.S)
_TRAINED = re.compile(r"^Job \d+: train: (\S+) \(", re.M)
_EMBEDDED = re.compile(r"^Job \d+: embed: (query|gallery|train) images by (\S+)$", re.M)
# What a dry run says before it comes to anything.
_BEFORE = (
    "Using workflow specific profile",
    "Config file ",
    "Workflow defines that rule",
    "Assuming unrestricted shared filesystem",
    "host: ",
    "Building DAG of jobs",
)
_LAST_LINES = 20


@dataclass(frozen=True)
class DryRun:
    """What a dry run told.

    Attributes:
        counts: jobs by rule; none where nothing is to be done.
        trained: the runs that would be trained, as far as they are known by now.
        embedded: (split, run or one of its states) of what would be embedded.
        fault: why it failed, in its own words; empty where it did not.
    """

    counts: dict[str, int]
    trained: list[str]
    embedded: list[tuple[str, str]]
    fault: str = ""

    @property
    def in_words(self) -> str:
        """The jobs by rule, in a line."""
        if not self.counts:
            return "nothing: all results are there, and up to date"
        jobs = [f"{rule} {count}" for rule, count in self.counts.items() if rule != "total"]
        return f"{', '.join(jobs)}; {self.counts['total']} jobs in all"


def dry_run(snakefile: Path, files: Sequence[Path], cores: int) -> DryRun:
    """Let Snakemake say what it would do with these settings, in the working directory.

    Args:
        snakefile: of the workflow.
        files: for `--configfile`.
        cores: of this machine, that a run may use.
    """
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(snakefile), "--dry-run"]
    command += ["--quiet", "host", "reason", "--nocolor", "--cores", str(cores)]
    if files:
        command += ["--configfile", *map(str, files)]
    state = Path(".snakemake")
    was_there = state.exists()
    try:
        ended = subprocess.run(command, capture_output=True, text=True, errors="replace")
    finally:
        if not was_there:
            _remove_empty(state)
    said = f"{ended.stdout}\n{ended.stderr}"
    if ended.returncode:
        lines = [line for line in said.splitlines() if line and not line.startswith(_BEFORE)]
        return DryRun({}, [], [], "\n".join(lines[-_LAST_LINES:]))
    return DryRun(job_counts(said), _TRAINED.findall(said), _EMBEDDED.findall(said))


def job_counts(said: str) -> dict[str, int]:
    """Jobs by rule, and `total`, from what a dry run says; empty where there is nothing to do."""
    table = _TABLE.search(said)
    if table is None:
        return {}
    rows = (line.split() for line in table[1].splitlines())
    return {rule: int(count) for rule, count in rows}


def _remove_empty(folder: Path) -> None:
    """Remove what a dry run leaves in a folder that it made: folders, and a note of files."""
    with suppress(OSError):
        (folder / "iocache" / "latest.pkl").unlink()
    for inside in sorted(folder.rglob("*"), reverse=True):
        with suppress(OSError):
            inside.rmdir()
    with suppress(OSError):
        folder.rmdir()
