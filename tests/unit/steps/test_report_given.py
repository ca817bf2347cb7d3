"""The page of runs whose embeddings come from elsewhere, beside such that were trained here."""

from __future__ import annotations

import shutil

import pytest

from support.html_reader import Node, parse
from support.report_folder import LABELS, Made, make_folder

TABLES = {"query": "q.parquet", "gallery": "<b>g.parquet"}
RUNS = [("default", 0, 2.0), ("dino", 0, 0.2)]
GIVEN = {"dino": {"embeddings": TABLES}}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    made = make_folder(
        tmp_path_factory.mktemp("report"),
        dict.fromkeys(LABELS, 6),
        dict.fromkeys(LABELS, 4),
        RUNS,
    )
    folder = made.root / "results" / "dino.0"
    shutil.rmtree(folder / "untrained")
    (folder / "history.parquet").unlink()
    # Left of a time in which the recipe trained: it is not looked at.
    (folder / "model.json").write_text("{")
    return made


def section(page: Node, name: str) -> Node:
    return next(
        node for node in page.all("section") if node.attributes.get("aria-labelledby") == name
    )


@pytest.mark.parametrize("runs", [RUNS, RUNS[::-1], RUNS[1:]], ids=["last", "first", "alone"])
def test_it_is_a_run_like_any_other_without_a_network(
    made: Made, runs: list[tuple[str, int, float]]
) -> None:
    page = parse(made.write(runs, GIVEN))
    numbers = section(page, "numbers")
    rows = {}
    for line in numbers.all("table")[1].one("tbody").all("tr"):
        heads = [cell.text for cell in line.all("th")]
        if len(heads) == 2:
            rows[heads[0]] = heads[1]
    assert rows["dino"] == "as given"
    assert len(rows) == len(runs)

    # What it is compared with is the other run, not an untrained twin.
    compared = [
        line.one("th").text
        for table in numbers.all("table")[2:]
        for line in table.one("tbody").all("tr")
    ]
    assert not [name for name in compared if name.startswith("dino:")]
    if len(runs) > 1:
        assert any("dino" in name and "default" in name for name in compared)
    for chart in numbers.all("svg", "chart"):
        assert "dino: as given" in chart.attributes["aria-label"]

    setup = section(page, "setup")
    (line,) = [
        row for row in setup.all("table")[1].all("tr") if row.text.strip().startswith("dino")
    ]
    cells = [cell.text for cell in line.all("td")]
    assert cells == ["embeddings from elsewhere", *["–"] * 7]
    named = {row.one("th").text: row.text for row in setup.all("table")[2].one("tbody").all("tr")}
    assert TABLES["gallery"] in named["embeddings.gallery"]
    # One recipe that trains differs from no other.
    assert not [name for name, text in named.items() if "differs" in text]

    trained = [each for each in page.all("section") if "dino" in each.text]
    assert "training" not in [each.attributes["aria-labelledby"] for each in trained]
    # The pictures are of the run that stands first, whichever it is.
    assert page.all("symbol")[1:]
    assert "beside the" not in section(page, "classes").text or len(runs) > 1
