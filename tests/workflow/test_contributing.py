"""The recipes of CONTRIBUTING.md, followed to the letter in a copy of the project."""

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from support.project import ROOT, copy_project

TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
BLOCK = r":\n\n```python\n(.*?)```"
NEW_FILE = re.compile(rf"^New file `([^`]+)`{BLOCK}", re.MULTILINE | re.DOTALL)
BEFORE = re.compile(rf"^Before `(\w+)` in `([^`]+)`{BLOCK}", re.MULTILINE | re.DOTALL)
AT_THE_END = re.compile(rf"^At the end of `(\w+)` in `([^`]+)`{BLOCK}", re.MULTILINE | re.DOTALL)
ABOVE = re.compile(r"^Above `([^`]+)` in `([^`]+)`:\n\n```\w+\n(.*?)```", re.MULTILINE | re.DOTALL)
BECOMES = re.compile(r"^In `([^`]+)`, `([^`]+)` becomes `([^`]+)`", re.MULTILINE)
DONE_WHEN = re.compile(r"^Done when `pytest ([^`]+)`", re.MULTILINE)


def recipe(heading: str) -> str:
    found = re.search(rf"^## {heading}\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL)
    assert found
    return found[1]


def follow(text: str, project: Path) -> int:
    """Make the changes that a recipe's text asks for; returns how many."""
    changes = 0
    for name, code in NEW_FILE.findall(text):
        assert not (project / name).exists()
        (project / name).write_text(code)
        changes += 1
    for what, name, code in BEFORE.findall(text):
        lines, at = found(project / name, what)
        lines.insert(at, f"{code}\n\n")
        (project / name).write_text("".join(lines))
        changes += 1
    for what, name, code in AT_THE_END.findall(text):
        lines, at = found(project / name, what)
        end = next(n for n in range(at, len(lines)) if lines[n].rstrip() in (")", "}"))
        lines.insert(end, textwrap.indent(code.rstrip(), "    ") + ",\n")
        (project / name).write_text("".join(lines))
        changes += 1
    for what, name, code in ABOVE.findall(text):
        lines = (project / name).read_text().splitlines(keepends=True)
        (at,) = (n for n, line in enumerate(lines) if line.strip().startswith(what))
        lines.insert(at, code)
        (project / name).write_text("".join(lines))
        changes += 1
    for name, old, new in BECOMES.findall(text):
        source = (project / name).read_text()
        assert source.count(old) == 1, (name, old)
        (project / name).write_text(source.replace(old, new))
        changes += 1
    return changes


def found(path: Path, what: str) -> tuple[list[str], int]:
    """A file's lines, and the first that begins with a name."""
    lines = path.read_text().splitlines(keepends=True)
    return lines, next(n for n, line in enumerate(lines) if re.match(rf"{what}\b", line))


def python(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(str(project / name) for name in ("workflow", "tests"))
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=project,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return copy_project(tmp_path)


@pytest.mark.workflow
@pytest.mark.parametrize(
    ("heading", "changes", "proof"),
    [
        ("A metric", 3, "metrics"),
        ("A loss", 3, "losses"),
        ("A network", 3, "networks"),
        ("An image format", 2, "formats"),
        pytest.param("A state of the search side", 10, "states", marks=pytest.mark.long),
    ],
)
def test_a_recipe_leads_to_what_it_promises(
    heading: str, changes: int, proof: str, project: Path
) -> None:
    text = recipe(heading)
    assert follow(text, project) == changes
    if "`make docs`" in text:
        for page in ("metrics_page", "variant_tables"):
            done = python(project, "-m", f"support.{page}")
            assert done.returncode == 0, done.stderr
    (tests,) = DONE_WHEN.findall(text)
    done = python(project, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests.split())
    assert done.returncode == 0, done.stdout + done.stderr
    done = python(project, "-c", PROOFS[proof])
    assert done.returncode == 0, done.stdout + done.stderr


PROOFS = {
    "metrics": """
from lookalike.retrieval.metrics import metrics_at
assert "F1@5" in metrics_at([5])
""",
    "losses": """
from lookalike.config import resolve
from lookalike.storage.yaml_files import read_yaml
loss = {"name": "binomial_deviance", "alpha": 3.0}
schema = read_yaml("workflow/schemas/config.schema.yaml")
settings = resolve([{"recipes": {"mine": {"loss": loss}}}], schema)
assert settings["recipes"]["mine"]["loss"] == {**loss, "base": 0.5}
assert "`binomial_deviance`" in open("config/README.md").read()
""",
    "networks": """
from lookalike.config import resolve
from lookalike.storage.yaml_files import read_yaml
schema = read_yaml("workflow/schemas/config.schema.yaml")
settings = resolve([{"recipes": {"mine": {"model": {"name": "linear"}}}}], schema)
assert settings["recipes"]["mine"]["model"]["embedding_dim"] == 128
""",
    "states": """
import sys
import tempfile
from pathlib import Path
import numpy as np
from lookalike.config import merge
from lookalike.embedding.tables import read_vectors
from support.drawings import write_data
from support.snakemake_runs import QUICK, snakemake, write_settings
with tempfile.TemporaryDirectory() as folder:
    data = {"root": str(write_data(Path(folder) / "data", train_classes=5, test_classes=3))}
    recipe = {"recipes": {"default": {"epochs": 1}}}
    more = {**recipe, "data": data, "search": {"binarized": True}}
    write_settings(Path(folder), merge(QUICK, more))
    done = snakemake(Path(folder), python=sys.executable)
    assert done.status == 0, done.output
    assert done.jobs["binarize"] == 1
    run = Path(folder) / "results" / "default.0"
    own, made = (
        np.concatenate([*read_vectors(run / state / "embeddings" / "gallery.parquet")])
        for state in ("", "binarized")
    )
    assert np.array_equal(np.where(own < 0, -1, 1), np.sign(made))
    assert "default.0,default,0,binarized," in (run.parent / "comparison.csv").read_text()
    assert "default: binarized" in (run.parent / "report.html").read_text()
""",
    "formats": """
from lookalike.images.decoding import FORMATS
assert "JPEG2000" in FORMATS
""",
}


@pytest.mark.parametrize("name", re.findall(r"`((?:workflow|tests|rules|config)/[\w./]+)`", TEXT))
def test_files_that_are_named_are_there(name: str) -> None:
    made = {made for made, _ in NEW_FILE.findall(TEXT)}
    assert name in made or (ROOT / name).exists()
