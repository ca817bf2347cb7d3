"""The table of recipes, held against the comparison that it is gathered from."""

from __future__ import annotations

import shutil
from itertools import chain
from pathlib import Path

import pandas as pd
import pytest
from scipy.stats import hypergeom

from lookalike.report.numbers import number
from lookalike.report.outcome import of_hundred, outcome_in_words
from lookalike.storage.files import read_json, write_json
from support.html_reader import Node, parse
from support.report_folder import LABELS, Made, make_folder

RUNS = [("default", 0, 0.2), ("default", 1, 0.5), ("ms", 0, 2.0), ("ntx", 0, 1.0), ("ntx", 1, 1.5)]
KEYS = ["mAP@1", "mAP@5", "CMC@10", "mAP@10", "mean_rank"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """All begin with one network, but for ntx.1; default.0 has a state of the search side, too."""
    made = make_folder(
        tmp_path_factory.mktemp("report"),
        dict(zip(LABELS, [6, 6, 6, 6, 2], strict=True)),
        dict(zip(LABELS[:4], [4, 3, 2, 5], strict=True)),
        RUNS,
    )
    results = made.root / "results"
    for name in ("metrics.json", "per_query.parquet", "rankings.parquet"):
        shutil.copy(results / "ms.0" / name, results / "ntx.1" / "untrained" / name)
    for recipe, seed, _ in RUNS:
        run = results / f"{recipe}.{seed}"
        shutil.copytree(run / "untrained", run / "whitened")
        write_json(run / "whitened" / "search.json", {"dim": 7, "bytes_per_image": 28})
    return made


def cells_of(page: Node) -> dict[str, list[str]]:
    table = page.one("main").one("table")
    assert [cell.text for cell in table.one("thead").all("th")] == [
        *("Recipe", *(key.replace("_", " ") for key in KEYS), "Gain in mAP@10")
    ]
    return {
        row.one("th").text: [" ".join(cell.text.split()) for cell in row.all("td")]
        for row in table.one("tbody").all("tr")
    }


def test_rows_are_of_recipes_then_of_distinct_untrained_networks_then_chance_once(
    made: Made,
) -> None:
    page = parse(made.write(RUNS))
    rows = cells_of(page)
    assert list(rows) == [
        "default (mean of 2 seeds)",
        "ms",
        "ntx (mean of 2 seeds)",
        "untrained: default, ms",
        "untrained: ntx (mean of 2 seeds)",
        "chance",
    ]
    frame = pd.read_csv(made.root / "results" / "comparison.csv")
    of_state = {state: group.set_index("run") for state, group in frame.groupby("state")}
    trained, untrained = of_state["trained"], of_state["untrained"]
    expected = {
        "default (mean of 2 seeds)": trained.loc[["default.0", "default.1"]],
        "ms": trained.loc[["ms.0"]],
        "ntx (mean of 2 seeds)": trained.loc[["ntx.0", "ntx.1"]],
        "untrained: default, ms": untrained.loc[["ms.0"]],
        "untrained: ntx (mean of 2 seeds)": untrained.loc[["ntx.0", "ntx.1"]],
    }
    for name, group in expected.items():
        for key, cell in zip(KEYS, rows[name], strict=False):
            shown = number(key, group[key].mean())
            if len(group) == 1:
                low, high = (number(key, group[f"{key}_{end}"].iloc[0]) for end in ("low", "high"))
                shown += f" {low} to {high}"
            assert cell == shown, (name, key)
    assert rows["chance"][:-1] == [number(key, trained[f"{key}_chance"].iloc[0]) for key in KEYS]
    # Gains are those of the table of differences.
    differences = next(
        table for table in page.all("table") if table.one("thead").all("th")[0].text == "Compared"
    )
    column = [cell.text for cell in differences.all("th")].index("mAP@10") - 1
    gains = {
        row.one("th").text: " ".join(
            chain.from_iterable(text.split() for text in _texts(row.all("td")[column])[:2])
        )
        for row in differences.one("tbody").all("tr")
    }
    for name in ("default (mean of 2 seeds)", "ms", "ntx (mean of 2 seeds)"):
        assert rows[name][-1] == gains[f"{name}: trained − untrained"]
    assert {rows[name][-1] for name in list(rows)[3:]} == {"–"}


def _texts(cell: Node) -> list[str]:
    return [child.text for child in cell.children if child.text.strip()]


def test_states_of_the_search_side_follow_their_recipe(made: Made) -> None:
    states = ["trained", "untrained", "whitened"]
    rows = cells_of(parse(made.write(RUNS, states=states)))
    assert list(rows)[:4] == [
        *("default (mean of 2 seeds)", "default (mean of 2 seeds), whitened"),
        *("ms", "ms, whitened"),
    ]
    # The untrained network stands in for it here.
    assert rows["ms, whitened"][:-1] == rows["untrained: default, ms"][:-1]
    assert rows["ms, whitened"][-1] == "0.000"
    said = "What the search side adds has an interval over the trained network alone"
    assert said in (made.root / "results" / "comparison.md").read_text()
    made.write(RUNS)
    assert said not in (made.root / "results" / "comparison.md").read_text()


def test_chance_has_a_row_for_each_gallery(made: Made, tmp_path: Path) -> None:
    root = tmp_path / "copy"
    shutil.copytree(made.root, root)
    path = root / "results" / "ms.0" / "metrics.json"
    content = read_json(path)
    content["chance"]["mAP@10"] = 0.5
    write_json(path, content)
    rows = cells_of(parse(Made(root).write(RUNS)))
    assert list(rows)[-2:] == ["chance: default, ntx", "chance: ms"]
    assert rows["chance: ms"][3] == "0.500"


def test_many_recipes_on_one_network_are_told_by_the_first(made: Made, tmp_path: Path) -> None:
    root = tmp_path / "copy"
    shutil.copytree(made.root, root)
    names = ["ms", *(f"ms{number}" for number in range(8))]
    for name in names[1:]:
        shutil.copytree(root / "results" / "ms.0", root / "results" / f"{name}.0")
    rows = cells_of(parse(Made(root).write([(name, 0, 0.0) for name in names])))
    assert list(rows)[-2:] == ["untrained: ms, ms0, ms1, ms2, ms3 and 4 more", "chance"]


def test_the_page_begins_with_the_sentence_that_the_terminal_ends_with(made: Made) -> None:
    """Of the tables of queries, counted by hand."""
    page = parse(made.write(RUNS, slices=()))
    said = page.one("p", "outcome").text
    results = made.root / "results"
    changed = ". What training changed in the second number may be chance. Mind the warnings."
    assert said.endswith(changed)
    told = said.removesuffix(changed)
    at_the_end = outcome_in_words(results / "report.html", results / "comparison.csv")
    assert at_the_end.partition("; ")[2] == told

    def share(state: str, k: int) -> str:
        table = made.table("per_query.parquet", f"default.0/{state}")
        scored = table[table["scored"]]
        return of_hundred(float((scored["first_rank"] <= k).mean()))

    def chance(k: int) -> str:
        table = made.table("per_query.parquet")
        scored = table[table["scored"]]
        missed = hypergeom.pmf(0, scored["n_gallery"], scored["n_relevant"], k)
        return of_hundred(float((1 - missed).mean()))

    assert told == (
        f"default.0: for {share('.', 1)} of 100 queries the first image is right "
        f"(untrained {share('untrained', 1)}, chance {chance(1)}); "
        f"for {share('.', 10)} of 100 at least one of the first ten is "
        f"(untrained {share('untrained', 10)}, chance {chance(10)})"
    )
    assert page.one("p", "outcome").one("a").attributes["href"] == "#alarm"
    # A page of one run has no need to name it.
    assert parse(made.write(RUNS[:1])).one("p", "outcome").text.startswith("For ")
