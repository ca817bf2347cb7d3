"""The states of a run: one declaration, from which rules, comparison and report follow."""

from __future__ import annotations

import csv
import re
import shutil
from pathlib import Path

import pytest

from lookalike.config import merge
from support.drawings import write_data
from support.html_reader import Node, parse
from support.project import ROOT
from support.snakemake_runs import QUICK, Run, snakemake, write_settings

pytestmark = pytest.mark.workflow

# Two more: one with a model of its own, one that has but the scores of what it orders anew.
DECLARED = """
    State("copied", "what a copy gives", folder="copied", against="trained"),
    State("re_ordered", "what another order gives", "re_ordered", "copied", SCORE_FILES),
"""
MADE_BY = """
from lookalike.report.runs import STATES


rule copied:
    input:
        weights="<results>/{run}/model.safetensors",
        model="<results>/{run}/model.json",
    output:
        weights="<results>/{run}/copied/model.safetensors",
        model="<results>/{run}/copied/model.json",
    shell:
        "cp {input.weights} {output.weights}; cp {input.model} {output.model}"


rule re_ordered:
    input:
        expand("<results>/{{run}}/{name}", name=STATES[-1].files),
    output:
        expand("<results>/{{run}}/re_ordered/{name}", name=STATES[-1].files),
    shell:
        "cp {input} $(dirname {output[0]})"


ruleorder: re_ordered > metrics
"""


def test_a_further_state_is_declared_and_nothing_else_changes(tmp_path: Path) -> None:
    project, folder = tmp_path / "project", tmp_path / "runs"
    project.mkdir()
    for name in ("Snakefile", "config.yaml", "rules", "workflow", "profiles"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, project / name)
    data = write_data(tmp_path / "data")
    recipe = {"recipes": {"default": {"epochs": 1}}}
    write_settings(folder, merge(QUICK, merge(recipe, {"data": {"root": str(data)}})))

    def run() -> Run:
        done = snakemake(folder, snakefile=project / "Snakefile")
        assert done.status == 0, done.output
        return done

    run()
    table = folder / "results" / "comparison.csv"
    before = table.read_text().splitlines()
    declaration = project / "workflow" / "lookalike" / "report" / "runs.py"
    text = declaration.read_text()
    end = re.search(r"^STATES = \((.*?)^\)$", text, re.M | re.S)
    assert end is not None
    declaration.write_text(text[: end.end(1)] + DECLARED.lstrip("\n") + text[end.end(1) :])
    with (project / "Snakefile").open("a") as stream:
        stream.write(MADE_BY)

    # What follows from it, and no training.
    jobs = {"copied": 1, "re_ordered": 1, "embed": 2, "metrics": 1, "compare": 1, "report": 1}
    done = run()
    assert done.jobs == jobs
    after = table.read_text().splitlines()
    assert after[:3] == before
    rows = list(csv.DictReader(after))
    states = ["trained", "untrained", "copied", "re_ordered"]
    assert [row["state"] for row in rows] == states
    # Both are copies of the trained one, by way of the same rules.
    assert {**rows[2], "state": ""} == {**rows[3], "state": ""} == {**rows[0], "state": ""}
    for name in states:
        assert re.search(rf"^default\.0 +{name} +\d", done.output, re.M), name

    page = parse((folder / "results" / "report.html").read_text())
    numbers, classes, everything = (section(page, name) for name in ("numbers", "classes", "all"))
    listed = numbers.all("table")[1].one("tbody").all("tr")
    assert [row.all("th")[-1].text for row in listed] == [*states, "chance"]
    compared = numbers.all("table")[2].one("tbody").all("tr")
    assert [row.one("th").text for row in compared] == [
        "default: trained − untrained",
        "default: copied − trained",
        "default: re_ordered − copied",
    ]
    for card in numbers.all("li", "card"):
        assert [term.text for term in card.all("dt")] == [*states[1:], "chance"]
    assert "what a copy gives" in numbers.text
    assert "ring, untrained; diamond, copied; open diamond, re_ordered; upright bar" in numbers.text
    for chart in numbers.all("svg", "chart"):
        assert "copied" in chart.attributes["aria-label"]
    headings = [[th.text for th in part.one("thead").all("th")] for part in (classes, everything)]
    others = ["Untrained", "Copied", "Re ordered"]
    assert headings == [
        # Of few queries nothing is said of what a class is mistaken for.
        ["Class", "Queries", "mAP@10", *others],
        ["Metric", "Trained", *others, "Chance", "Meaning"],
    ]


def section(page: Node, name: str) -> Node:
    return next(
        node for node in page.all("section") if node.attributes.get("aria-labelledby") == name
    )
