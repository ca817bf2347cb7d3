"""The page of many runs: what it shows of all at once, and what of the leading ones alone."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from lookalike.report.subject import MOST_SHOWN
from lookalike.steps.report import CURVES
from support.html_reader import Node, parse
from support.many_runs import make_many, runs_of_many
from support.project import ROOT
from support.report_folder import Made

RECIPES, SEEDS = 24, 2


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make_many(tmp_path_factory.mktemp("many"), RECIPES, SEEDS)


@pytest.fixture(scope="module")
def page(made: Made) -> Node:
    return parse(made.write(runs_of_many(RECIPES, SEEDS)))


def section(page: Node, name: str) -> Node:
    return next(
        node for node in page.all("section") if node.attributes.get("aria-labelledby") == name
    )


def scores(made: Made) -> pd.DataFrame:
    table = pd.read_csv(made.root / "results" / "comparison.csv")
    return table[table["state"] == "trained"].set_index("run")


def loss_of(run: Path) -> str:
    return str(json.loads((run / "model.json").read_text())["settings"]["loss"]["name"])


def with_first(made: Made, count: int) -> set[str]:
    values = scores(made)["mAP@10"]
    first = values.index[0]
    return {first, *values.drop(first).nlargest(count - 1).index}


def test_only_the_highest_runs_are_shown_one_by_one_and_that_is_said(
    made: Made, page: Node
) -> None:
    # The run that is shown first, here that of the first recipe, is always among them.
    leading = with_first(made, MOST_SHOWN)
    for name, table in (("numbers", 1), ("setup", 1), ("answers", 0)):
        part = section(page, name)
        assert f"Of {RECIPES * SEEDS} runs, the {MOST_SHOWN} with the highest mAP@10" in part.text
        assert "comparison.csv has all" in part.text
        rows = part.all("table")[table].one("tbody").all("tr")
        shown = {row.all("th")[0].text for row in rows} & set(scores(made).index)
        assert shown == leading
    everything = section(page, "all")
    assert {each.one("summary").text for each in everything.all("details")} == leading
    training = section(page, "training")
    curves = {entry.text for entry in training.one("ul").all("li")}
    assert curves == with_first(made, CURVES)
    assert f"the {CURVES} trainings with the highest mAP@10" in training.text


def test_every_recipe_is_in_the_figures_of_all(made: Made, page: Node) -> None:
    part = section(page, "sweep")
    assert f"All {RECIPES} recipes by mAP@10" in part.text
    means = scores(made).groupby("recipe")["mAP@10"].mean().sort_values(ascending=False)
    estimates, *others = part.all("svg", "chart")
    label = estimates.attributes["aria-label"]
    told = re.findall(r"(r\d{4}) (0\.\d{3})", label)
    ends = [*means.index[:5], means.index[-1]]
    assert told == [(recipe, f"{means[recipe]:.3f}") for recipe in ends]
    names = re.findall(r"\br\d{4}\b", estimates.text)
    assert names == list(means.index)  # a row each, the highest first

    headings = [figure.one("strong").text for figure in part.all("figure")]
    assert headings[1] == "optimizer.lr"  # it decides most of what the runs score
    # What is the same in all is left out.
    assert set(headings[2:-3]) == {"loss.name", "loss.margin", "model.embedding_dim"}
    assert headings[-3:] == [
        "mAP@10 by training, seconds",
        "mAP@10 by parameters of the network",
        "mAP@10 by images embedded a second",
    ]
    (words,) = (
        each.attributes["aria-label"]
        for each in others
        if each.attributes["aria-label"].startswith("Mean mAP@10 by loss.name")
    )
    losses = [loss_of(made.root / "results" / run) for run in scores(made).index]
    of_losses = scores(made)["mAP@10"].groupby(losses).mean()
    assert dict(re.findall(r"(\w+) (0\.\d{3})", words)) == {
        loss: f"{value:.3f}" for loss, value in of_losses.items()
    }


def test_the_table_of_the_fronts_holds_what_is_drawn(made: Made, page: Node) -> None:
    part = section(page, "sweep")
    rows = part.one("table").one("tbody").all("tr")
    means = scores(made).groupby("recipe")["mAP@10"].mean()
    listed = {row.one("th").text: row.all("td")[-1].text for row in rows}
    assert list(listed) == sorted(listed, key=lambda recipe: -means[recipe])
    # The best of all is surpassed by none, whatever it costs.
    assert listed[str(means.idxmax())] == (
        "training, seconds; parameters of the network; images embedded a second"
    )
    for chart in part.all("svg", "chart"):
        label = chart.attributes["aria-label"]
        if "On the front" in label:
            cost = label.partition(" by ")[2].partition(".")[0]
            drawn = re.findall(r"r\d{4}", label)
            assert [recipe for recipe in drawn if cost not in listed[recipe]] == []


def test_few_recipes_have_no_section_of_their_own(made: Made) -> None:
    page = parse(made.write(runs_of_many(2, SEEDS)))
    assert "sweep" not in [each.attributes.get("aria-labelledby") for each in page.all("section")]
    assert "#sweep" not in [link.attributes.get("href") for link in page.all("a")]
    assert "comparison.csv has all" not in page.text
    three = parse(made.write(runs_of_many(3, SEEDS)))
    assert section(three, "sweep").all("svg", "chart")


def test_equal_runs_make_equal_pages(made: Made) -> None:
    first, second = (made.write(runs_of_many(4, 1)) for _ in range(2))
    assert first == second


PROGRAM = """
import json, resource, sys
from pathlib import Path
from support.many_runs import runs_of_many
from support.report_folder import Made
text = Made(Path(sys.argv[1])).write(runs_of_many(int(sys.argv[2])))
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps({"peak": peak, "page": len(text.encode())}))
"""


@pytest.mark.long
def test_a_thousand_runs_take_at_most_two_gigabytes_and_make_a_page_of_ten_megabytes(
    tmp_path: Path,
) -> None:
    make_many(tmp_path, 1000, queries=400)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path), "1000"],
        capture_output=True,
        text=True,
        env={"PATH": "", "PYTHONPATH": f"{ROOT / 'workflow'}:{ROOT / 'tests'}"},
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["peak"] <= 2e9
    assert found["page"] <= 10e6
