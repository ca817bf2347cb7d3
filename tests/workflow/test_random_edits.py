"""Random edits in sequence: what an incremental run leaves is what a run from scratch makes.

Each step makes one to three edits, some while the workflow runs or just before it is killed, and
runs it. The results must be, byte for byte, those of a run in a fresh folder with an empty cache;
another run must find nothing to do; no image may be embedded that its model has embedded before.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from support.edited_project import Project
from support.page_parts import repeatable_part
from support.random_edits import edit
from support.snakemake_runs import Run, repeatable, snakemake, write_settings

pytestmark = pytest.mark.workflow

# What an embedding job says of its work.
EMBEDDED = re.compile(r"(\d+) of these not yet embedded")


@pytest.mark.parametrize(
    ("seed", "steps"), [(3896, 2), pytest.param(1, 20, marks=pytest.mark.long)]
)
def test_results_are_those_of_a_run_from_scratch(seed: int, steps: int, tmp_path: Path) -> None:
    project = Project(tmp_path, seed)
    for step in range(1, steps + 1):
        past = project.past / f"the data before step {step}"
        shutil.copytree(project.data, past, symlinks=True)
        project.story.append(f"step {step}:")
        for _ in range(project.rng.randint(1, 3)):
            edit(project)
        before = summaries(project)
        run = project.run()
        check_counters(project, before, run)
        check_nothing_is_left_to_do(project)
        check_results(project, from_scratch(project, tmp_path / "fresh"), run.jobs)


def from_scratch(project: Project, folder: Path) -> Path:
    """Run the workflow on the data and settings as they are, with no earlier result or cache.

    How it is embedded (`embed`) changes no byte: it is left out. A state that was run is not run
    again.
    """
    settings = {key: value for key, value in project.settings.items() if key != "embed"}
    state = hashlib.sha256(json.dumps(settings).encode())
    for path in sorted(project.data.rglob("*.*")):
        link = path.readlink() if path.is_symlink() else ""
        content = hashlib.sha256(path.read_bytes() if path.exists() else b"").hexdigest()
        state.update(f"{path.relative_to(project.data)} {link} {content}\n".encode())
    folder = folder / state.hexdigest()
    if not folder.exists():
        write_settings(folder, settings)
        run = snakemake(folder)
        assert run.status == 0, project.told(run.output)
    return folder


def check_results(project: Project, fresh: Path, jobs: dict[str, int]) -> None:
    histories = [f"results/{run}/history.parquet" for run in project.runs]
    for name in [*repeatable(*project.runs), *histories, "results/report.html"]:
        told = project.told(f"{name} is not that of a run from scratch; jobs that ran: {jobs}")
        assert (project.folder / name).exists(), told
        is_equal = comparable(project.folder / name) == comparable(fresh / name)
        assert is_equal, told  # pytest would show both files


def comparable(path: Path) -> object:
    """What must be equal of a file: all of it, but for times in a history and on the page."""
    if path.name == "history.parquet":
        return pq.read_table(path).drop_columns(["seconds", "images_per_second"])
    return repeatable_part(path.read_text()) if path.suffix == ".html" else path.read_bytes()


def check_nothing_is_left_to_do(project: Project) -> None:
    again = project.run()
    assert "Nothing to be done" in again.output, project.told(f"run again:\n{again.output}")
    assert again.jobs == {}, project.told(f"run again: {again.jobs}")


def summaries(project: Project) -> dict[Path, int]:
    """Where embedding jobs say what they did, and when they last did."""
    paths = [
        project.folder / "results" / run / twin / "embeddings" / f"{split}.json"
        for run in project.runs
        for twin in ("", "untrained")
        for split in ("query", "gallery")
    ]
    return {path: path.stat().st_mtime_ns for path in paths if path.exists()}


def check_counters(project: Project, before: dict[Path, int], run: Run) -> None:
    """No content was embedded by a model that has embedded it before."""
    embedded: dict[str, int] = {}
    contents: dict[str, set[str]] = {}
    for path, changed in summaries(project).items():
        if before.get(path) == changed:
            continue
        summary = json.loads(path.read_text())
        table = pq.read_table(path.with_suffix(".parquet"))
        distinct = set(table["sha256"].to_pylist())
        told = project.told(f"{path} says {summary} of {len(distinct)} distinct images")
        assert summary["images"] == len(table), told
        assert summary["decoded"] == summary["embedded"] >= 0, told
        assert summary["from_store"] == max(0, len(distinct) - summary["embedded"]), told
        digest = summary["model_digest"]
        embedded[digest] = embedded.get(digest, 0) + summary["embedded"]
        contents[digest] = contents.get(digest, set()) | distinct
    new = {
        digest: len(contents[digest] - project.embedded.get(digest, set())) for digest in contents
    }
    told = project.told(f"images embedded: {embedded}, of which are new: {new}; {run.output}")
    # A summary may count what a part of its split embedded in a run that was killed.
    if project.settings["embed"]["shards"] == 1:
        assert all(count <= new[digest] for digest, count in embedded.items()), told
    work = [int(count) for count in EMBEDDED.findall(run.output)]
    assert len(work) == run.jobs.get("embed", 0) + run.jobs.get("embed_shard", 0), told
    assert sum(work) <= sum(new.values()), told
    for digest, distinct in contents.items():
        project.embedded[digest] = project.embedded.get(digest, set()) | distinct
