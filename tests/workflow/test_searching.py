"""Searching the results of the real workflow: its own queries get their own rankings."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from support.drawings import write_data
from support.html_reader import parse
from support.snakemake_runs import QUICK, snakemake, write_settings

pytestmark = pytest.mark.workflow

LINKED = "0010_000.png"
COMMAND = str(Path(sys.executable).with_name("lookalike"))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small network, and a head on a packaged backbone; one query is in the gallery by a link."""
    folder = tmp_path_factory.mktemp("project")
    data = write_data(folder / "data")
    (data / "gallery" / LINKED).symlink_to(Path("..") / "query_images" / LINKED)
    recipes = QUICK["recipes"] | {"strong": {"steps": 6, "batch": {"classes": 4}}}
    settings = {"runs": ["default", "strong"], "recipes": recipes, "data": {"root": "data"}}
    write_settings(folder, QUICK | settings)
    done = snakemake(folder)
    assert done.status == 0, done.output
    return folder


def answers(folder: Path, *arguments: str) -> list[dict[str, object]]:
    done = subprocess.run(
        [COMMAND, "search", "results", *arguments, "--json"],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found: list[dict[str, object]] = json.loads(done.stdout)
    return found


def test_what_the_page_says_to_type_works_as_it_stands(project: Path, tmp_path: Path) -> None:
    page = parse((project / "results/report.html").read_text())
    assert page.one("title").text.startswith("project")
    blocks = [block.text for block in page.all("pre")]
    commands = [line for block in blocks[:-1] for line in block.splitlines()]
    assert {line.split()[1] for line in commands} == {"search", "embed", "export"}
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    shutil.copytree(project / "results", folder / "results")
    shutil.copytree(project / "data", folder / "data", symlinks=True)
    shutil.copytree(project / "data/query_images", folder / "photos")
    shutil.copy(project / "data/query_images" / LINKED, folder / "photo.jpg")
    # The first of each kind: one answers, one writes a table, one a model.
    typed = {line.split()[1]: line for line in reversed(commands)}
    python = [sys.executable, "-c", blocks[-1]]
    said = {}
    for name, words in {**{k: shlex.split(v) for k, v in typed.items()}, "python": python}.items():
        words[0] = COMMAND if words[0] == "lookalike" else words[0]
        done = subprocess.run(words, cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        said[name] = done.stdout
    assert LINKED in said["search"]
    assert LINKED in said["python"]
    assert (folder / "photos.parquet").is_file()
    assert len([*folder.glob("results/*/export/model.onnx")]) == 1


@pytest.mark.parametrize("run", ["default.0", "strong.0", "strong.0/untrained"])
def test_the_queries_of_a_run_are_answered_by_its_rankings(project: Path, run: str) -> None:
    rows = pq.read_table(project / "results" / run / "rankings.parquet").to_pylist()
    manifest = pq.read_table(project / "results/manifest/gallery.parquet").to_pylist()
    labels = {row["image_id"]: row["label"] for row in manifest}
    expected = [
        {
            "query": f"data/query_images/{row['query_id']}",
            "place": row["rank"],
            "gallery_id": row["gallery_id"],
            "label": labels[row["gallery_id"]],
            "score": row["score"],
            "accepted": None,
        }
        for row in rows
    ]
    assert LINKED in labels
    found = answers(project, "data/query_images", "--k", "50", "--run", run)
    order = ("query", "place")
    assert found == sorted(expected, key=lambda row: [row[key] for key in order])


def test_a_project_that_has_moved_is_searched_by_its_first_run(
    project: Path, tmp_path: Path
) -> None:
    query = f"data/query_images/{LINKED}"
    before = answers(project, query)
    moved = tmp_path / "moved"
    project.rename(moved)
    try:
        assert answers(moved, query) == before
        assert answers(moved, query, "--run", "default.0") == before
    finally:
        moved.rename(project)


def test_what_changed_since_is_brought_up_to_date_by_a_run(project: Path) -> None:
    (project / "data/test_image_info.json").write_text(
        (project / "data/test_image_info.json")
        .read_text()
        .replace('"0010_001.png": 10', '"0010_001.png": 99')
    )
    done = snakemake(project, "results/manifest/gallery.parquet")
    assert done.status == 0, done.output
    refused = subprocess.run(
        [COMMAND, "search", "results", f"data/query_images/{LINKED}"],
        cwd=project,
        capture_output=True,
        text=True,
    )
    assert refused.returncode == 1
    assert "default.0/embeddings/gallery.parquet: is stale" in refused.stderr
    assert "Run the workflow again" in refused.stderr
    done = snakemake(project)
    assert done.status == 0, done.output
    found = answers(project, f"data/query_images/{LINKED}", "--k", "100")
    assert {row["label"] for row in found if row["gallery_id"] == "0010_001.png"} == {"99"}


def test_an_export_lies_beside_the_run_and_a_later_run_leaves_it_alone(project: Path) -> None:
    done = subprocess.run(
        [COMMAND, "export", "results", "--check"], cwd=project, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    folder = project / "results" / "default.0" / "export"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert sorted(before) == ["export.json", "model.onnx", "model_of_images.onnx"]
    assert json.loads(before["export.json"])["parity"]["n_images"] > 0
    again = snakemake(project, "--forcerun", "metrics")
    assert again.status == 0, again.output
    assert again.jobs.get("metrics")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert answers(project, f"data/query_images/{LINKED}")
