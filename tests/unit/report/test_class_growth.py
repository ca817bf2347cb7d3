"""The curve over the number of training classes, read back from the page."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lookalike.report.class_growth import (
    CURVES_DRAWN,
    ClassCurve,
    OnCurve,
    gain_in_words,
    groups_by_classes,
)
from lookalike.report.class_growth_chart import ClassLine, ClassPoint, by_classes
from lookalike.report.differences import Judged
from lookalike.report.results import Results
from lookalike.report.svg import Measured
from lookalike.report.verdicts import Against
from lookalike.retrieval.statistics import Difference
from support.html_reader import Node, parse
from support.report_folder import LABELS, Made, make_folder

SHARES = {0.25: 12, 0.5: 25, 1.0: 50}
# Less noise with more classes.
NOISE = {0.25: 1.2, 0.5: 0.8, 1.0: 0.45}
RUNS = [
    (f"ms-train_classes{share}", seed, NOISE[share] + 0.05 * seed)
    for share in SHARES
    for seed in (0, 1, 2)
]
OTHER = [("other", 0, 1.0)]


def describe(folder: Path, classes: int, share: float, **settings: Any) -> None:
    """Say in model.json on how many classes a run was trained."""
    path = folder / "model.json"
    model = json.loads(path.read_text())
    model["settings"] |= {"train_classes": share, **settings}
    if share == 1:
        # As a training leaves it.
        del model["settings"]["train_classes"]
    else:
        model["trained_on"] = {"classes": classes, "of": 50}
    path.write_text(json.dumps(model))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    root = tmp_path_factory.mktemp("classes")
    counts = dict.fromkeys(LABELS, 9)
    made = make_folder(root, counts, dict.fromkeys(LABELS, 6), [*RUNS, *OTHER])
    for recipe, seed, _ in RUNS:
        share = float(recipe.removeprefix("ms-train_classes"))
        same_model = {"model": {"name": "cnn4", "normalize": False}, "epochs": "auto"}
        describe(root / "results" / f"{recipe}.{seed}", SHARES[share], share, **same_model)
    describe(root / "results" / "other.0", 50, 1.0, loss={"name": "triplet"})
    return made


@pytest.fixture(scope="module")
def page(made: Made) -> Node:
    return growth(parse(made.write([*RUNS, *OTHER])))


def growth(page: Node) -> Node:
    return next(
        node for node in page.all("section") if node.attributes.get("aria-labelledby") == "growth"
    )


def table_of(page: Node) -> list[list[str]]:
    (table,) = (
        table for table in page.all("table") if "training classes" in table.one("caption").text
    )
    return [
        [" ".join(cell.text.split()) for cell in row.children if cell.tag in ("td", "th")]
        for row in table.one("tbody").all("tr")
    ]


def head_of(page: Node) -> list[str]:
    (table,) = (
        table for table in page.all("table") if "training classes" in table.one("caption").text
    )
    return [cell.text for cell in table.one("thead").all("th")]


def test_the_table_has_the_means_of_the_comparison_and_untrained_as_none(
    made: Made, page: Node
) -> None:
    scores = pd.read_csv(made.root / "results" / "comparison.csv")
    of_state = scores.groupby(["recipe", "state"])["mAP@10"].mean()
    expected = [("0", "ms, untrained", of_state["ms-train_classes1.0", "untrained"])] + [
        (str(n), f"ms-train_classes{share}", of_state[f"ms-train_classes{share}", "trained"])
        for share, n in SHARES.items()
    ]
    rows = table_of(page)
    assert [(row[0], row[1]) for row in rows] == [(n, name) for n, name, _ in expected]
    at = head_of(page).index("mAP@10")
    for row, (_, _, mean) in zip(rows, expected, strict=True):
        assert row[2] == "3"
        found = re.fullmatch(r"(0\.\d{3}) (0\.\d{3}) to ([01]\.\d{3})", row[at])
        assert found and float(found[1]) == pytest.approx(mean, abs=6e-4)
        assert float(found[2]) < mean < float(found[3])


def test_the_intervals_are_those_of_recipe_means(made: Made, page: Node) -> None:
    # As the verdicts' own table has them.
    whole = parse(made.write([*RUNS, *OTHER]))
    text = " ".join(whole.text.split())
    for row in table_of(page)[1:]:
        interval = row[3].partition(" ")[2]
        assert text.count(interval) >= 2


def test_the_chart_says_the_same_and_has_none_to_the_left(page: Node) -> None:
    figure = next(
        node
        for node in page.all("figure")
        if "by the number of training classes" in node.one("svg").attributes["aria-label"]
    )
    svg = figure.one("svg")
    label = svg.attributes["aria-label"]
    rows = table_of(page)
    values = [f"{row[3].split()[0]} of {row[0]}" for row in rows]
    assert f"ms: {', '.join(values)}." in label
    ticks = [node.text.strip() for node in svg.all("text")]
    assert ticks[:4] == ["0", "12", "25", "50"]
    assert "training classes" in ticks


def test_a_sentence_says_what_the_last_doubling_gave(made: Made, page: Node) -> None:
    (said,) = (item.text for item in page.all("ul")[-1].all("li"))
    found = re.fullmatch(
        r"ms: twice as many classes, 50 in place of 25, changed mAP@10 by \+(0\.\d+) "
        r"\(95 % interval \+(0\.\d+) to \+(0\.\d+)\): better with more classes\.",
        said,
    )
    assert found, said
    values = [
        np.mean(
            [
                made.table("per_query.parquet", f"ms-train_classes{share}.{seed}")["mAP@10"].mean()
                for seed in (0, 1, 2)
            ]
        )
        for share in (1.0, 0.5)
    ]
    assert float(found[1]) == pytest.approx(values[0] - values[1], abs=6e-4)
    assert float(found[2]) < float(found[1]) < float(found[3])
    assert "epochs" not in page.text


def test_with_one_seed_it_speaks_of_networks_and_by_epochs_of_steps(
    made: Made, tmp_path: Path
) -> None:
    made = Made(Path(shutil.copytree(made.root, tmp_path / "changed")))
    alone = [run for run in RUNS if run[1] == 0 and not run[0].endswith("1.0")]
    for recipe, seed, _ in alone:
        path = made.root / "results" / f"{recipe}.{seed}" / "model.json"
        model = json.loads(path.read_text())
        model["settings"]["epochs"] = 4
        path.write_text(json.dumps(model))
    page = growth(parse(made.write(alone)))
    (said,) = (item.text for item in page.all("ul")[-1].all("li"))
    assert "2.08 times as many classes, 25 in place of 12, changed mAP@10, between these" in said
    assert "fewer classes had fewer steps, too" in page.text
    # An interval of the network alone, as the comparison has it.
    scores = pd.read_csv(made.root / "results" / "comparison.csv")
    row = scores[(scores["run"] == "ms-train_classes0.5.0") & (scores["state"] == "trained")]
    low, high = (float(row[f"mAP@1_{end}"].iloc[0]) for end in ("low", "high"))
    assert f"{low:.3f} to {high:.3f}" in table_of(page)[-1][3]


def test_where_recipes_differ_in_more_there_is_no_curve(made: Made) -> None:
    page = growth(parse(made.write([RUNS[-1], *OTHER])))
    assert "training classes" not in page.text


def results_of(place: int, classes: int | None, seed: int = 0, **settings: Any) -> Results:
    known = {} if classes is None else {"trained_on": {"classes": classes, "of": 80}}
    model = {"settings": {"model": {"name": "cnn4"}, **settings}, "image": {}, **known}
    return Results(f"r{place}", seed, place, {}, model, pd.DataFrame(), {})


def test_groups_have_all_else_in_common() -> None:
    runs = [
        results_of(0, 40, loss={"name": "triplet"}, train_classes=0.5),
        results_of(1, None, loss={"name": "triplet"}),
        results_of(2, 80, loss={"name": "triplet"}, train_classes=80),
        results_of(3, 20, loss={"name": "ntxent"}, train_classes=0.25),
        results_of(3, 20, seed=1, loss={"name": "ntxent"}, train_classes=0.25),
        results_of(4, 10, loss={"name": "ntxent"}, train_classes=0.125),
        results_of(5, 10, loss={"name": "triplet"}, steps=9, train_classes=0.125),
        # All classes, and nothing that says how many these are; nothing trained.
        results_of(6, None, loss={"name": "contrastive"}),
        results_of(6, None, loss={"name": "contrastive"}, train_classes=1.0),
        results_of(7, 20, loss={"name": "triplet"}, train="none"),
    ]
    found = groups_by_classes(runs)
    assert [
        {classes: [run.name for run in group] for classes, group in one.items()}
        for one in found.values()
    ] == [{40: ["r0.0"], 80: ["r1.0"]}, {10: ["r4.0"], 20: ["r3.0", "r3.1"]}]


def test_many_numbers_of_classes_are_told_by_a_few_of_them() -> None:
    counts = [0, *range(10, 1000, 30)]
    points = [ClassPoint(count, Measured(0.1 + count / 2000)) for count in counts]
    assert len(counts) > CURVES_DRAWN
    svg = parse(str(by_classes("x", "label", [ClassLine("a", 0, points)])))
    ticks = [node.text.strip() for node in svg.all("text")]
    shown = [int(tick) for tick in ticks if tick.isdigit()]
    assert shown[0] == 0 and shown[1] == 10 and shown[-1] == 970 and len(shown) <= 8
    assert set(shown) <= set(counts)


def test_a_difference_that_is_not_told_is_not_called_worse() -> None:
    """An interval beside 0 is no verdict."""
    judged = Judged(Difference(0.02, 0.001, 0.04), "not told apart")
    gain = Against("r", ("a", "b"), (1, 1), 40, False, {"mAP@10": judged}, {}, {}, {})
    points = [OnCurve(count, f"r{count}", 1, {}) for count in (10, 20)]
    said = gain_in_words(ClassCurve("r", 0, points, gain, False), "mAP@10")
    assert "better" not in said and "worse" not in said
    assert said.endswith("these data do not tell whether more classes helped.")
