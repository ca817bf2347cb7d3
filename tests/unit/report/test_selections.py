"""What was chosen from sweeps, read back from the page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lookalike.errors import LookalikeError
from lookalike.report.selections import NEXT, read_selections
from lookalike.storage.files import write_json
from lookalike.sweeps.plan import Contender, Selection
from lookalike.sweeps.selection import decide, table_of_selection
from support.html_reader import Node, parse
from support.report_folder import LABELS, RUNS, Made, make_folder

SEEDS = [0, 1]
# The last digit says how good one is: of two groups, one so small that it has a single rung.
NAMES = {"ntxent": [f"ms-ntxent-lr{n}" for n in range(9)], "triplet": ["ms-triplet-lr5"]}


def selection(eta: int) -> Selection:
    candidates = tuple(
        Contender(name, {"loss.name": group}, group)
        for group, names in NAMES.items()
        for name in names
    )
    finals = {group: f"ms-{group}" for group in NAMES}
    return Selection("ms", "mAP@R", "loss.name", candidates, 2, eta, 100, finals)


def score(run: str, sign: int) -> float:
    recipe, _, seed = run.rpartition(".")
    return 0.5 + sign * int(recipe.split("lr")[1][0]) / 20 + int(seed) / 500


def write(path: Path, eta: int, sign: int = 1) -> Path:
    """selection.json as the steps themselves make it."""
    made, decisions = selection(eta), list[dict[str, Any]]()
    survivors: list[str] = []
    for rung in range(made.rungs):
        runs = [
            run for one in made.entrants(rung, survivors) for run in made.runs(one, rung, SEEDS)
        ]
        scores = {run: score(run, sign) for run in runs}
        decisions.append(decide(made, rung, survivors, SEEDS, scores))
        survivors = decisions[-1]["survivors"]
    write_json(path, table_of_selection(decisions))
    return path


def test_winners_come_first_and_those_that_went_further_before_the_others(tmp_path: Path) -> None:
    one, alone = read_selections(write(tmp_path / "s.json", 3))
    assert (one.recipe, one.by, one.n_candidates, one.rungs) == (
        *("ms-ntxent", "validation mAP@R"),
        *(9, 3),
    )
    # Nine, then three at a third of the length, then one.
    told = [(each.recipe[-1], each.share, each.n_runs) for each in one.candidates]
    assert told == [("8", 1, 4), ("7", 3, 4), ("6", 3, 4), ("5", 9, 4)]
    assert one.candidates[0].value == pytest.approx(0.901)
    assert (alone.recipe, alone.n_candidates, alone.rungs) == ("ms-triplet", 1, 1)
    # The other way round, and without halving.
    one, _ = read_selections(write(tmp_path / "s.json", 0, sign=-1))
    assert [(each.recipe[-1], each.share) for each in one.candidates] == [
        (str(n), 1) for n in range(1 + NEXT)
    ]
    assert one.rungs == 1


@pytest.mark.parametrize(
    "damaged", [[], {"ms": 3}, {"ms": {}}, {"ms": {"candidates": [], "winners": {"a": "b"}}}]
)
def test_a_damaged_table_is_told(damaged: Any, tmp_path: Path) -> None:
    write_json(tmp_path / "selection.json", damaged)
    with pytest.raises(LookalikeError, match=r"selection.json is not what was written there"):
        read_selections(tmp_path / "selection.json")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    counts = dict.fromkeys(LABELS, 3)
    return make_folder(tmp_path_factory.mktemp("selections"), counts, counts, RUNS[:1])


def sweep(page: Node) -> list[Node]:
    return [
        node for node in page.all("section") if node.attributes.get("aria-labelledby") == "sweep"
    ]


def test_the_page_shows_them_though_there_is_one_run_alone(made: Made, tmp_path: Path) -> None:
    assert not sweep(parse(made.write(RUNS[:1])))
    path = write(tmp_path / "selection.json", 3)
    page = parse(made.write(RUNS[:1], selection=path))
    (section,) = sweep(page)
    assert "#sweep" in [link.attributes["href"] for link in page.one("nav").all("a")]
    (table,) = section.all("table")
    groups = table.all("tbody")
    heads = [" ".join(group.one("th").text.split()) for group in groups]
    assert heads == [
        "ms-ntxent by validation mAP@R, of 9 candidates in 3 rungs",
        "ms-triplet by validation mAP@R, of 1 candidate",
    ]
    rows = [[cell.text for cell in row.all("td")] for row in groups[0].all("tr")]
    assert rows == [
        ["ms-ntxent-lr8", "0.901", "4", "full"],
        ["ms-ntxent-lr7", "0.851", "4", "one in 3"],
        ["ms-ntxent-lr6", "0.801", "4", "one in 3"],
        ["ms-ntxent-lr5", "0.751", "4", "one in 9"],
    ]
    assert groups[0].one("th").attributes["rowspan"] == "4"
