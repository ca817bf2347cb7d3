"""`lookalike check` tells what Snakemake says of the same settings, and leaves nothing behind."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from lookalike.preview.dry_run import job_counts
from support.drawings import write_data
from support.project import ROOT
from support.snakemake_runs import QUICK

pytestmark = pytest.mark.workflow


def called(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, capture_output=True, text=True, check=False
    )


def check(folder: Path, *files: str) -> subprocess.CompletedProcess[str]:
    return called(
        folder,
        "-c",
        "import sys; from lookalike.cli import main; sys.exit(main())",
        "check",
        *files,
        "--cores",
        "2",
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_data(tmp_path / "photos")
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(QUICK | {"data": {"root": "photos"}}))
    (tmp_path / "more.yaml").write_text("seeds: [0, 1]\n")
    return tmp_path


def test_it_names_the_jobs_that_snakemake_names_and_writes_the_probe_alone(folder: Path) -> None:
    before = {*folder.rglob("*")}
    found = check(folder, "mine.yaml", "more.yaml")
    assert found.returncode == 0, found.stdout + found.stderr
    written = {path for path in {*folder.rglob("*")} - before if path.is_file()}
    assert written
    assert {path.parent for path in written} == {folder / ".lookalike" / "speed"}
    said = called(
        folder,
        *("-m", "snakemake", "-s", str(ROOT / "Snakefile"), "-n", "--cores", "2"),
        *("--configfile", "mine.yaml", "more.yaml"),
    ).stdout
    counts = job_counts(said)
    assert counts["train"] == 2
    (line,) = [line for line in found.stdout.splitlines() if line.startswith("would run: ")]
    jobs, total = line.removeprefix("would run: ").split("; ")
    told = {rule: int(n) for rule, n in (job.split() for job in jobs.split(", "))}
    assert told == {rule: count for rule, count in counts.items() if rule != "total"}
    assert total == f"{counts['total']} jobs in all"
    # 40 training images of 10 classes, two of which are held out.
    for run in ("default.0", "default.1"):
        assert f"training {run}: 4 epochs x " in found.stdout
    assert "train: 40 images of 10 classes" in found.stdout


@pytest.mark.parametrize(
    ("spoil", "place"),
    [
        (lambda folder: (folder / "more.yaml").write_text("\nimage: {sise: 64}\n"), "more.yaml:2"),
        (lambda folder: (folder / "more.yaml").write_text("image: [\n"), "more.yaml:2"),
        (lambda folder: (folder / "photos" / "train_image_info.json").unlink(), "mine.yaml:"),
        (
            lambda folder: (folder / "more.yaml").write_text(
                "recipes:\n  theirs:\n    embeddings: {query: q.parquet, gallery: g.parquet}\n"
                "runs: [default, theirs]\n"
            ),
            "more.yaml:3",
        ),
    ],
    ids=["key", "YAML", "data", "embeddings"],
)
def test_a_mistake_ends_it_with_file_and_line(folder: Path, spoil: object, place: str) -> None:
    assert callable(spoil)
    spoil(folder)
    found = check(folder, "mine.yaml", "more.yaml")
    assert found.returncode == 1
    assert place in found.stdout
    assert "Traceback" not in found.stdout + found.stderr
    assert "would run: " not in found.stdout


def test_of_the_demo_that_is_not_made_yet_the_jobs_are_told(tmp_path: Path) -> None:
    found = check(tmp_path, str(ROOT / "config" / "demo.yaml"))
    assert found.returncode == 0, found.stdout + found.stderr
    assert "demo 1" in found.stdout
    assert "disk:" not in found.stdout
    assert [*tmp_path.iterdir()] == []


def test_labels_the_wrong_way_round_are_told_as_the_manifest_would(folder: Path) -> None:
    labels = folder / "photos" / "train_image_info.json"
    turned: dict[str, list[str]] = {}
    for name, label in json.loads(labels.read_text()).items():
        turned.setdefault(str(label), []).append(name)
    labels.write_text(json.dumps(turned))
    found = check(folder, "mine.yaml")
    assert found.returncode == 1
    assert "the other way round" in found.stdout
