"""Where a page comes from, held against git, the packages themselves and files made by hand."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import PIL
import pytest
import snakemake

from lookalike import __version__
from lookalike.report.origin import code_in_words, libraries, machine_in_words, step_times

HEAD = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time"


def measure(path: Path, seconds: object, memory: object = 100.5) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{HEAD}\n{seconds}\t0:00:01\t{memory}\t1\t1\t1\t1\t1\t1\t1\n")


def test_steps_are_the_sums_of_their_jobs(tmp_path: Path) -> None:
    folder = tmp_path / "benchmarks"
    for name, seconds, memory in [
        ("manifest", 3.0, 50.5),
        ("report", 99.0, 1.0),  # of the page before this one
        ("a.0/embed_gallery", 10.0, 200.25),
        ("a.0/untrained/embed_gallery", 12.0, 300.75),
        ("a.0/embed_query.1-of-2", 1.0, 10.0),
        ("a.0/embed_query.2-of-2", 2.0, 20.0),
        ("a.0/embed_query", 500.0, "NA"),  # before it was divided
        ("a.0/threshold", 0.01, "-"),
        ("gone.0/embed_gallery", 1000.0, 1.0),
        ("pixels/0123456789abcdef", 7.0, 1.0),
        ("pixels/fedcba9876543210", 8.0, 1.0),
        ("selection", 1.0, 2.0),
        ("selection/sweep.1", 4.0, 1.0),
        ("selection/sweep.2", 6.0, 1.0),
    ]:
        measure(folder / f"{name}.tsv", seconds, memory)
    os.utime(folder / "a.0" / "embed_query.tsv", (0, 0))
    steps, unreadable = step_times(folder, ["a.0", "a.0/untrained"], ["0123456789abcdef"])
    assert unreadable == 0
    assert [
        (step.name, step.jobs, step.seconds, step.longest, step.memory_mb) for step in steps
    ] == [
        ("embed_gallery", 2, 22.0, 12.0, 300.75),
        ("selection", 3, 11.0, 6.0, 2.0),
        ("pixels", 1, 7.0, 7.0, 1.0),
        ("embed_query", 2, 3.0, 2.0, 20.0),
        ("manifest", 1, 3.0, 3.0, 50.5),
        ("threshold", 1, 0.01, 0.01, None),
    ]


def test_a_repeated_measurement_counts_by_its_mean(tmp_path: Path) -> None:
    rows = pd.DataFrame({"s": [1.0, 2.0, 6.0], "max_rss": [5.0, 9.0, 7.0]})
    rows.to_csv(tmp_path / "manifest.tsv", sep="\t", index=False)
    (step,), _ = step_times(tmp_path, [], [])
    assert (step.jobs, step.seconds, step.memory_mb) == (1, rows["s"].mean(), 9.0)


@pytest.mark.parametrize(
    "content", [b"", b"s\n", b"x\n1\n", b"s\nNA\n", b"s\n\n", b"s\nnan\n", b"\xff\xfe", b"s\th\n"]
)
def test_what_cannot_be_read_is_counted_and_nothing_is_invented(
    tmp_path: Path, content: bytes
) -> None:
    measure(tmp_path / "compare.tsv", 2.0)
    (tmp_path / "manifest.tsv").write_bytes(content)
    (tmp_path / "a.0" / "folder.tsv").mkdir(parents=True)
    steps, unreadable = step_times(tmp_path, ["a.0"], [])
    assert [step.name for step in steps] == ["compare"]
    assert unreadable == 2
    assert step_times(tmp_path / "absent", ["a.0"], []) == ([], 0)


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=n", "-c", "user.email=n@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(
        ["git", "-C", str(folder), *identity, *arguments],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "GIT_CONFIG_GLOBAL": os.devnull},
    )
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository with the package's place in it, and an environment that git ignores."""
    if shutil.which("git") is None:
        pytest.skip("there is no git")
    root = tmp_path / "check out"
    for name in ("workflow/lookalike", "rules", "config", "env/lookalike"):
        (root / name).mkdir(parents=True)
    for name in ("workflow/lookalike", "env/lookalike"):
        (root / name / "__init__.py").write_text("")
    (root / "Snakefile").write_text("")
    (root / ".gitignore").write_text("/env\n*.pyc\n")
    git(tmp_path, "init", "-q", str(root))
    git(root, "add", ".")
    git(root, "commit", "-qm", "all")
    return root


def test_the_commit_is_gits_and_changes_of_the_code_are_told(checkout: Path) -> None:
    package = checkout / "workflow" / "lookalike"
    commit = git(checkout, "rev-parse", "HEAD")
    assert len(commit) == 40
    unchanged = f"Lookalike {__version__}, commit {commit}, unchanged"
    assert code_in_words(package) == unchanged
    # Settings and results of the user's are no code, nor is what git ignores.
    (checkout / "mine.yaml").write_text("")
    (checkout / "results").mkdir()
    (checkout / "results" / "a.csv").write_text("")
    (package / "a.pyc").write_text("")
    assert code_in_words(package) == unchanged
    (checkout / "Snakefile").write_text("# edited")
    assert code_in_words(package).endswith(f"{commit}, and 1 file of the code changed since")
    (package / "new_loss.py").write_text("")
    assert code_in_words(package).endswith(", and 2 files of the code changed since")


def test_what_only_lies_in_a_repository_has_no_commit(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As in a program that git itself has started.
    monkeypatch.setenv("GIT_DIR", str(checkout / ".git"))
    none = f"Lookalike {__version__}, no git: the commit is not known"
    assert code_in_words(checkout / "env" / "lookalike") == none
    outside = tmp_path / "outside"
    outside.mkdir()
    assert code_in_words(outside) == none
    assert code_in_words(tmp_path / "absent") == none


def test_without_git_the_commit_is_not_known(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "no git" in code_in_words(checkout / "workflow" / "lookalike")


def test_versions_are_those_that_the_libraries_say_of_themselves() -> None:
    found = libraries()
    assert found["numpy"] == np.__version__
    assert found["pandas"] == pd.__version__
    assert found["pillow"] == PIL.__version__
    assert found["snakemake"] == snakemake.__version__
    assert "torch" in found
    assert "not installed" not in found.values()


def test_the_machine_has_a_name_and_its_cores() -> None:
    told = machine_in_words()
    assert f", {os.cpu_count()} cores" in told
    assert "\n" not in told
