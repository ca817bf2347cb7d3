"""An output takes the place of nothing but an earlier one, in a whole project."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lookalike.cli import main
from support.searched import RUN, Searched, make_searched


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Searched:
    """With an untrained state, another run, and a report, as the workflow leaves them."""
    made = make_searched(tmp_path_factory.mktemp("searched") / "project")
    shutil.copytree(made.run, made.run / "untrained")
    shutil.copytree(made.run, made.results / "other.0", ignore=shutil.ignore_patterns("untrained"))
    (made.results / "report.html").write_text("<!DOCTYPE html><title>Report</title>")
    (made.root / "mine.yaml").write_text("runs: [default]\n")
    made.run.joinpath("export").mkdir()
    return made


def contents(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def refusal(capfd: pytest.CaptureFixture[str], *arguments: object) -> str:
    with pytest.raises(SystemExit) as status:
        main([str(argument) for argument in arguments])
    out, err = capfd.readouterr()
    assert (status.value.code, out) == (1, "")
    (line,) = err.splitlines()
    return line


@pytest.mark.parametrize("run", [RUN, f"{RUN}/untrained"])
def test_no_file_of_a_project_can_be_overwritten(
    kept: Searched, tmp_path: Path, run: str, capfd: pytest.CaptureFixture[str]
) -> None:
    before = contents(kept.root)
    queries = tmp_path / "queries"
    queries.mkdir()
    shutil.copy(kept.queries[2], queries / "new.png")
    for name in before:
        output, named = kept.root / name, (kept.results, "--run", run)
        said = [
            refusal(capfd, "search", *named, queries, "--html", output),
            refusal(capfd, "search", *named, "--gallery-itself", "--html", output),
            refusal(capfd, "embed", *named, queries, "--out", output),
        ]
        assert all(name in line and "name another --" in line for line in said), said
    assert contents(kept.root) == before


def through_a_link(made: Searched, elsewhere: Path) -> Path:
    (elsewhere / "linked").symlink_to(made.results)
    return elsewhere / "linked" / "new"


def by_a_link(made: Searched, elsewhere: Path) -> Path:
    (elsewhere / "page").symlink_to(made.results / "report.html")
    return elsewhere / "page"


def of_a_run_elsewhere(made: Searched, elsewhere: Path) -> Path:
    shutil.move(made.results / "other.0", elsewhere / "other.0")
    (made.results / "other.0").symlink_to(elsewhere / "other.0")
    return elsewhere / "other.0" / "new"


def a_link_among_results(made: Searched, elsewhere: Path) -> Path:
    (made.results / "report.html").unlink()
    (made.results / "report.html").symlink_to(elsewhere / "absent.html")
    return made.results / "report.html"


def below(*parts: str) -> Callable[[Searched, Path], Path]:
    return lambda made, elsewhere: made.root.joinpath(*parts)


@pytest.mark.parametrize(
    "place",
    [
        *(through_a_link, by_a_link, of_a_run_elsewhere, a_link_among_results),
        *(below("results", *parts) for parts in [("n",), ("new", "n"), (RUN, "export", "n")]),
        *(below("data", folder, "n") for folder in ("train", "query_images", "gallery")),
        below("data", "gallery", "new", "n"),
    ],
)
def test_nothing_new_comes_among_results_and_images(
    kept: Searched,
    tmp_path: Path,
    place: Callable[[Searched, Path], Path],
    capfd: pytest.CaptureFixture[str],
) -> None:
    made, elsewhere = kept.copy(tmp_path / "project"), tmp_path / "elsewhere"
    elsewhere.mkdir()
    output = place(made, elsewhere)
    before = contents(tmp_path)
    for command in (
        ("search", made.results, "--gallery-itself", "--html"),
        ("embed", made.results, made.data / "query_images", "--out"),
    ):
        assert " lies among the " in refusal(capfd, *command, output)
    assert contents(tmp_path) == before


def test_the_earlier_page_or_table_is_replaced(
    kept: Searched, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    page, table = tmp_path / "p", tmp_path / "t"
    search = ["search", str(kept.results), "--gallery-itself", "--k", "1", "--html"]
    embed = ["embed", str(kept.results), str(kept.data / "query_images"), "--out"]
    page.touch()  # as mktemp does
    for _ in range(2):
        assert main([*search, str(page)]) == main([*embed, str(table)]) == 0
    capfd.readouterr()
    assert "no table that lookalike embed" in refusal(capfd, *embed, page)
    assert "no page that lookalike search" in refusal(capfd, *search, table)
    # Whoever has said what the images are has done work.
    rows = pq.read_table(table)
    labels = pa.array(["a", *[None] * (len(rows) - 1)], pa.string())
    place = rows.schema.get_field_index("label")
    pq.write_table(rows.set_column(place, "label", labels), table)
    assert "with labels by now" in refusal(capfd, *embed, table)
    os.mkfifo(tmp_path / "pipe")
    assert "no file that could be replaced" in refusal(capfd, *search, tmp_path / "pipe")
    notes = tmp_path / "notes.json"
    notes.write_text(json.dumps({"a.png": "cat"}))
    for command in (search, embed):
        assert "is there already" in refusal(capfd, *command, notes)
    assert json.loads(notes.read_text()) == {"a.png": "cat"}
