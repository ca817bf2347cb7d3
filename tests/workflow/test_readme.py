"""What README and the tutorial tell a person to type, typed; and the demo's numbers in README."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from support.drawings import draw
from support.project import ROOT, copy_project
from support.readme_table import far_from_stated

TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
TUTORIAL = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
N_CLASSES, N_IMAGES = 14, 6

pytestmark = [pytest.mark.workflow, pytest.mark.slow]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The project with its environment, in a home that has a folder of class folders."""
    folder = copy_project(tmp_path / "lookalike")
    (folder / ".venv").symlink_to(sys.prefix)
    for label in range(N_CLASSES):
        of_class = tmp_path / "Downloads" / "photos" / f"shape {label}"
        of_class.mkdir(parents=True)
        for number in range(N_IMAGES):
            draw(label, number, 160).save(of_class / f"{number}.jpg")
    return folder


def typed(project: Path, commands: str) -> subprocess.CompletedProcess[str]:
    """What a shell makes of commands: it ends at the first that fails."""
    # The package of the checkout, as the copy's is the same: its compiled code is there already.
    path = os.pathsep.join(filter(None, [str(ROOT / "workflow"), os.environ.get("PYTHONPATH")]))
    return subprocess.run(
        ["bash", "-e", "-c", commands],
        cwd=project,
        env={**os.environ, "HOME": str(project.parent), "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_commands_lead_from_class_folders_to_an_answer(project: Path) -> None:
    found = re.search(r"^## Your own images\n.*?```bash\n(.*?)```", TEXT, re.MULTILINE | re.DOTALL)
    assert found
    commands = [line for line in found[1].splitlines() if not line.startswith("source ")]
    assert [command.split()[:2] for command in commands] == [
        ["lookalike", "init"],
        ["lookalike", "check"],
        ["snakemake", "--configfile"],
        ["lookalike", "search"],
    ]
    draw(3, N_IMAGES, 160).save(project / "another.jpg")
    done = typed(project, found[1])
    assert done.returncode == 0, done.stdout + done.stderr
    assert (project / "results" / "report.html").stat().st_size > 10_000
    answers = done.stdout[done.stdout.rindex("another.jpg") :].splitlines()
    assert any("shape " in line for line in answers), done.stdout


@pytest.mark.long
def test_the_tutorial_leads_from_class_folders_to_an_answer(project: Path) -> None:
    blocks = re.findall(r"^```(\w*)\n(.*?)^```", TUTORIAL, re.MULTILINE | re.DOTALL)
    # Nothing of it is left untyped.
    assert {language for language, _ in blocks} == {"bash"}
    assert not re.search(
        r"\n\n(    |\t)\S", re.sub(r"^```.*?^```", "", TUTORIAL, flags=re.M | re.S)
    )
    done = typed(project, "\n".join(f"echo '== '\n{code}" for _, code in blocks))
    assert done.returncode == 0, done.stdout + done.stderr
    _, said_of_classes, said_by_init, _, _, found, *_ = done.stdout.split("== \n")[1:]
    assert "shape 29" in said_of_classes
    assert "runs: [strong]" in said_by_init
    answers = [line for line in found.splitlines() if re.search(r" shape \d+ +[0-9.]+$", line)]
    assert len(answers) == 3, found
    assert (project / "answers.html").stat().st_size > 10_000
    results = project / "results"
    made = pq.read_table(results / "comparison.parquet").to_pylist()
    assert {row["run"] for row in made} == {"strong.0", "small.0"}
    # The image that came in later is searched, and neither it nor the other recipe trained anew.
    listed = pq.read_table(results / "strong.0" / "embeddings" / "gallery.parquet").to_pylist()
    assert ("8.jpg", "shape 1") in [(row["image_id"], row["label"]) for row in listed]
    trained, searched = (results / "logs/strong.0/train.log", project / "answers.html")
    assert trained.stat().st_mtime < searched.stat().st_mtime


@pytest.mark.long
def test_the_demo_gives_what_readme_says(project: Path) -> None:
    recipe = re.search(r"^demo: .*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert recipe
    commands = (
        recipe[1].replace("$(BIN)", ".venv/bin").replace("$(CORES)", "all").replace("\t@", "\t")
    )
    done = typed(project, commands)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Now open results/demo/report.html" in done.stdout
    assert far_from_stated(project / "results" / "demo" / "comparison.parquet") == []
