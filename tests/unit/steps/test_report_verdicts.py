"""The report's page says no more than its queries, seeds and steps can tell."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from lookalike.errors import LookalikeError
from lookalike.storage.files import write_parquet
from support.html_reader import Node, parse
from support.report_folder import LABELS, Made, make_folder

VERDICTS = ("better", "worse", "no difference shown", "not told apart")
RUNS = [
    ("default", 0, 0.2),
    ("default", 1, 0.5),
    ("other", 0, 2.0),
    ("other", 1, 1.5),
    ("third", 0, 2.5),
]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    queries = dict(zip(LABELS, [5, 5, 5, 5, 2], strict=True))
    gallery = dict(zip(LABELS[:4], [4, 3, 2, 5], strict=True))
    return make_folder(tmp_path_factory.mktemp("verdicts"), queries, gallery, RUNS)


def section(page: Node, name: str) -> Node:
    return next(
        node for node in page.all("section") if node.attributes.get("aria-labelledby") == name
    )


def sentences(made: Made, *names: str) -> str:
    """The text under the numbers' heading of a page of these runs."""
    chosen = [run for run in RUNS if f"{run[0]}.{run[1]}" in names]
    return " ".join(section(parse(made.write(chosen)), "numbers").text.split())


def test_one_network_tells_nothing_about_its_recipe(made: Made) -> None:
    said = sentences(made, "default.0")
    assert "default is one trained network. One seed tells nothing about the recipe" in said
    assert "shown first" not in said
    assert "mean of" not in said
    assert "Recipes against" not in said


def test_one_seed_each_compares_two_trained_networks_and_not_recipes(made: Made) -> None:
    said = sentences(made, "default.0", "other.0")
    assert "other − default" in said
    assert "As trained networks, other is worse than default: mAP@10 −0." in said
    assert "a difference is one between these trained networks" in said
    assert "One seed tells nothing about the recipes default and other" in said
    assert "noise of the seeds" not in said


def test_several_seeds_are_compared_by_means_with_the_noise_of_seeds_in_the_interval(
    made: Made,
) -> None:
    said = sentences(made, "default.0", "default.1", "other.0", "other.1")
    assert "other (mean of 2 seeds) − default (mean of 2 seeds)" in said
    assert "stand by the mean over their seeds (2), query by query, never by the best" in said
    assert "hold the noise of the seeds and of the queries together" in said
    assert "Two seeds tell little of how much a seed matters" in said
    values = {
        name: json.loads((made.root / "results" / name / "metrics.json").read_text())["metrics"]
        for name in ("default.0", "default.1", "other.0", "other.1")
    }
    for recipe in ("default", "other"):
        both = sorted(values[f"{recipe}.{seed}"]["mAP@10"] for seed in (0, 1))
        assert f"{both[0]:.3f} to {both[1]:.3f}" in said
    assert "One seed tells" not in said


def test_a_recipe_of_one_seed_beside_one_of_two_is_a_network(made: Made) -> None:
    said = sentences(made, "default.0", "default.1", "other.0")
    assert "default stands by the mean over its seeds (2), query by query" in said
    assert "other is one trained network" in said
    assert "One seed tells nothing about the recipe other" in said


def test_every_recipe_stands_against_the_baseline_that_is_asked_for(made: Made) -> None:
    numbers = section(parse(made.write(RUNS, baseline="third")), "numbers")
    heading = next(node for node in numbers.all("h3") if node.attributes.get("id") == "recipes")
    assert heading.text == "Recipes against third"
    rows = numbers.all("table")[3].one("tbody").all("tr")
    assert [row.one("th").text for row in rows] == [
        "default (mean of 2 seeds) − third",
        "other (mean of 2 seeds) − third",
    ]
    said = " ".join(numbers.text.split())
    assert "The verdict allows for all 2 comparisons of a column" in said
    assert "by mAP@10 on these queries, only describes them" in said
    assert "As trained networks, default (mean of 2 seeds) is better than third: mAP@10" in said
    assert "after correction" in said
    with pytest.raises(LookalikeError, match="no run of a recipe 'thrid'; did you mean 'third'"):
        made.write(RUNS, baseline="thrid")


def held_out(made: Made, scores: dict[str, float | None], **validation: Any) -> None:
    """Give runs a score of held-out images in their last epoch, and recipes what holds them out."""
    for run, score in scores.items():
        history = made.table("history.parquet", run)
        history["validation_mAP@10"] = [0.99, *[None] * (len(history) - 2), score]
        write_parquet(
            made.root / "results" / run / "history.parquet",
            pa.Table.from_pandas(history, preserve_index=False),
        )
        described(made, run, validation={"of": "auto", "classes": 0.1, "seed": 0} | validation)


def test_what_training_held_out_chooses_the_run_that_is_shown_first_and_never_the_test_split(
    tmp_path: Path,
) -> None:
    made = make_folder(tmp_path, dict.fromkeys(LABELS, 4), dict.fromkeys(LABELS, 4), RUNS[:4])
    # By the test split default is the best by far; by single seeds, too.
    held_out(made, {"default.0": 0.9, "default.1": 0.1, "other.0": 0.5, "other.1": 0.6})
    said = " ".join(section(parse(made.write(RUNS[:4])), "numbers").text.split())
    assert (
        "Run other.0: the first seed of the recipe with the highest mAP@10 on training images "
        "that both recipes held out (0.550, each sought among these alone" in said
    )
    assert "No query of the test split had a say in which run is shown first" in said
    # The same, whatever the test split says of it.
    for name in ("metrics.json", "per_query.parquet"):
        (best, worst) = (tmp_path / "results" / run / name for run in ("default.0", "other.0"))
        content = best.read_bytes(), worst.read_bytes()
        best.write_bytes(content[1])
        worst.write_bytes(content[0])
    assert "Run other.0: the first seed" in section(parse(made.write(RUNS[:4])), "numbers").text
    held_out(made, {"other.1": None}, classes=0.0)
    history = made.table("history.parquet", "other.1").assign(**{"validation_mAP@10": None})
    write_parquet(
        tmp_path / "results" / "other.1" / "history.parquet",
        pa.Table.from_pandas(history.astype({"validation_mAP@10": float}), preserve_index=False),
    )
    said = section(parse(made.write(RUNS[:4])), "numbers").text
    assert "Run default.0: the first in runs, since no training images were held out" in said
    assert "to choose by in other." in said


@pytest.mark.parametrize(("unit", "count"), [("query", 25), ("class", 0)])
def test_an_interval_of_few_units_is_warned_of(unit: str, count: int, tmp_path: Path) -> None:
    queries = dict.fromkeys(LABELS, 5)
    made = make_folder(tmp_path, queries, queries, RUNS[:1], bootstrap_unit=unit)
    page = parse(made.write(RUNS[:1]))
    warned = f"All intervals and verdicts come from {count} queries: below 30 they are a rough"
    assert (warned in section(page, "alarm").text) == (unit == "query")
    assert f"metrics.bootstrap_unit is {unit}" in section(page, "numbers").text or unit == "class"


@pytest.mark.parametrize(
    ("queries", "unit", "bootstrap", "why"),
    [
        ([3, 3, 3], "query", 1000, "9 scored queries are too few; it takes at least 10"),
        ([1], "query", 1000, "1 scored query is too few; it takes at least 10"),
        ([9, 9, 9], "class", 1000, "3 scored classes are too few; it takes at least 10"),
        ([9], "class", 1000, "1 scored class is too few; it takes at least 10"),
        ([9, 9, 9], "query", 0, "switched off (metrics.bootstrap: 0)"),
        ([4, 3, 3], "query", 1000, None),
    ],
)
def test_a_page_of_few_queries_has_no_interval_and_no_verdict_and_says_why(
    queries: list[int], unit: str, bootstrap: int, why: str | None, tmp_path: Path
) -> None:
    counts = dict(zip(LABELS, queries, strict=False))
    gallery = dict.fromkeys(LABELS, 3)
    made = make_folder(
        tmp_path, counts, gallery, RUNS[:3], bootstrap_unit=unit, bootstrap=bootstrap
    )
    page = parse(made.write(RUNS[:3]))
    numbers = section(page, "numbers")
    words = [small.text for row in numbers.all("tr") for small in row.all("small")]
    verdicts = [word for word in words if word in VERDICTS]
    bounds = [word for word in words if re.fullmatch(r"[+−]?[\d.]+ to [+−]?[\d.]+", word)]
    # Five metrics: of three runs and their twins, of four differences and of two recipes; the mean
    # over seeds and their range.
    values, compared, means, ranges = 6 * 5, 5 * 5, 5, 5
    # In the table of recipes five, of a network and of the untrained one of all, and two gains.
    values_of_recipes = 2 * 5 + 2
    frame = pd.read_csv(made.root / "results" / "comparison.csv")
    ends = frame[[name for name in frame.columns if name.endswith(("_low", "_high"))]]
    if why is None:
        assert len(verdicts) == compared
        assert len(bounds) == values_of_recipes + values + compared + means + ranges
        assert "–" not in words
        assert "No intervals" not in section(page, "alarm").text
        assert ends.notna().all(axis=None)
        return
    assert verdicts == []
    assert len(bounds) == ranges
    assert words.count("–") == values + compared + means
    assert "95 % interval " not in numbers.text
    captions = [table.one("caption").text for table in page.all("table")]
    # Of recipes, every run, differences, recipes compared, and of all metrics of each run.
    assert sum(why in caption for caption in captions) == 4 + 3
    assert why in section(page, "alarm").text
    assert ends.isna().all(axis=None)


def test_an_interval_of_one_point_is_said_to_be_no_certainty(tmp_path: Path) -> None:
    runs = [("default", 0, 0.0)]
    counts = dict.fromkeys(LABELS, 3)
    page = parse(make_folder(tmp_path, counts, counts, runs).write(runs))
    numbers = section(page, "numbers").text
    assert "1.000 to 1.000" in numbers
    assert "An interval of one point is no certainty: all queries scored alike" in numbers


def test_without_intervals_a_score_no_higher_than_the_untrained_one_is_still_a_warning(
    tmp_path: Path,
) -> None:
    runs = [("default", 0, 0.0), ("other", 0, 0.0)]
    made = make_folder(tmp_path, {"plain": 4, "rare": 3}, dict.fromkeys(LABELS, 3), runs)
    folder = made.root / "results" / "default.0"
    for name in ("metrics.json", "per_query.parquet", "rankings.parquet"):
        shutil.copy(folder / "untrained" / name, folder / name)
    alarm = section(parse(made.write(runs)), "alarm").text
    assert "Training did not raise the mAP@10 of default on" in alarm
    assert "other" not in alarm.replace("another", "")


def test_a_pretrained_backbone_by_itself_is_called_before_training(tmp_path: Path) -> None:
    runs = [("default", 0, 0.0), ("other", 0, 0.0)]
    made = make_folder(tmp_path, {"plain": 4, "rare": 3}, dict.fromkeys(LABELS, 3), runs)
    path = made.root / "results" / "default.0" / "model.json"
    described = json.loads(path.read_text())
    described["settings"]["model"] = {"name": "timm", "weights": "pretrained"}
    path.write_text(json.dumps(described))
    for name in ("metrics.json", "per_query.parquet", "rankings.parquet"):
        shutil.copy(path.parent / "untrained" / name, path.parent / name)
    page = parse(made.write(runs[:1]))
    for name in ("numbers", "all", "classes"):
        words = section(page, name).text
        assert "before training" in words.lower(), name
        assert "untrained network" not in words
    said = " ".join(section(page, "numbers").text.split())
    assert "the pretrained backbone's own features give before training, without the head" in said
    assert "it is no higher than before training" in section(page, "alarm").text
    # Beside it, a network from random weights is what it was called.
    both = section(parse(made.write(runs)), "numbers").all("th")
    states = [cell.text for cell in both if cell.text in ("before training", "untrained")]
    assert states == ["before training", "untrained"]


def described(made: Made, run: str, **settings: Any) -> Path:
    """Give a run these settings; returns its folder."""
    path = made.root / "results" / run / "model.json"
    content = json.loads(path.read_text())
    content["settings"] |= settings
    path.write_text(json.dumps(content))
    return path.parent


def as_it_came(made: Made, run: str, weights: str) -> None:
    """Make the files of a run those of one in which nothing is trained."""
    network = {"name": "timm", "backbone": "vit_tiny", "weights": weights, "head": "mlp"}
    folder = described(made, run, model=network | {"embedding_dim": 8}, train="none")
    for name in ("metrics.json", "per_query.parquet", "rankings.parquet"):
        shutil.copy(folder / "untrained" / name, folder / name)
    history = made.table("history.parquet", run).head(0)
    write_parquet(folder / "history.parquet", pa.Table.from_pandas(history, preserve_index=False))


@pytest.mark.parametrize("weights", ["pretrained", "none"])
def test_where_nothing_is_trained_the_page_speaks_of_no_training(
    weights: str, tmp_path: Path
) -> None:
    runs = [("default", 0, 0.0), ("other", 0, 2.0), ("other", 1, 2.0)]
    made = make_folder(tmp_path, dict.fromkeys(LABELS, 6), dict.fromkeys(LABELS, 6), runs)
    for run in ("other.0", "other.1"):
        as_it_came(made, run, weights)
    page = parse(made.write(runs))
    assert "other" not in section(page, "alarm").text
    rows = {row.one("th").text: row for row in section(page, "setup").all("table")[1].all("tr")}
    cells = [[cell.text for cell in rows[run].all("td")] for run in ("default", "other.0")]
    assert cells == [
        [
            "cnn4",
            "1,234,567",
            "contrastive",
            "32 px, squash",
            "4",
            "1.6 s",
            "0.4 s 100 images/s",
            "cpu",
        ],
        ["timm vit_tiny", "1,234,567", "–", "32 px, squash", "–", "–", "–", "cpu"],
    ]
    table = section(page, "setup").all("table")[2]
    settings = {row.all("th")[0].text: row.all("td")[1].text for row in table.all("tr")[1:]}
    used = {name for name, value in settings.items() if value != "–"}
    image = {"image.size", "image.resize", "image.background"}
    assert used == image | {"model.name", "model.backbone", "model.weights", "train"}
    numbers = section(page, "numbers")
    compared = [row.one("th").text for row in numbers.all("table")[2].one("tbody").all("tr")]
    assert compared == ["default: trained − untrained"]
    against = [row.one("th").text for row in numbers.all("table")[3].one("tbody").all("tr")]
    assert against == ["other (mean of 2 seeds) − default"]
    before = "untrained or before training" if weights == "pretrained" else "untrained"
    words = " ".join(numbers.text.split())
    assert f"disc, trained or as it came; ring, {before}; upright bar" in words
    assert "other.0: as it came " in numbers.one("svg", "chart").attributes["aria-label"]
    said = "In other nothing is trained: every seed gives this network." in numbers.text
    assert said == (weights == "pretrained")
    assert "other." not in section(page, "training").text
    # By itself there is no difference to show and no course of a training.
    alone = parse(made.write(runs[1:2]))
    assert "training" not in {each.attributes["aria-labelledby"] for each in alone.all("section")}
    assert not [node for node in alone.all("h3") if node.attributes.get("id") == "differences"]
    assert "Training" not in section(alone, "alarm").text


def test_a_charts_words_and_differences_call_a_state_what_the_page_calls_it(
    tmp_path: Path,
) -> None:
    made = make_folder(tmp_path, dict.fromkeys(LABELS, 4), dict.fromkeys(LABELS, 4), RUNS[:1])
    described(made, "default.0", model={"name": "timm", "backbone": "x", "weights": "pretrained"})
    numbers = section(parse(made.write(RUNS[:1])), "numbers")
    row = numbers.all("table")[2].one("tbody").one("tr")
    assert row.one("th").text == "default: trained − before training"
    for chart in numbers.all("svg", "chart"):
        assert ", before training " in chart.attributes["aria-label"]
        assert "untrained" not in chart.attributes["aria-label"]


@pytest.mark.parametrize("train", ["all", "head", {"unfreeze": 2}], ids=str)
def test_times_that_leave_a_backbones_features_out_say_so(train: Any, tmp_path: Path) -> None:
    made = make_folder(tmp_path, {"plain": 4, "rare": 3}, dict.fromkeys(LABELS, 3), RUNS[:1])
    network = {"name": "timm", "backbone": "x", "weights": "none"}
    described(made, "default.0", model=network, train=train)
    caption = section(parse(made.write(RUNS[:1])), "setup").all("table")[1].one("caption").text
    assert ("Where a backbone stays as it came" in caption) == (train == "head")


@pytest.mark.parametrize(
    ("losses", "warning", "state"),
    [
        (
            [0.0, 0.0, 0.0, 0.0],
            "in every one of its 4 epochs, the loss was exactly 0 in every step",
            "trained, loss 0 throughout",
        ),
        ([0.5, 0.0, 0.1, 0.2], "default.0 learnt nothing in 1 of 4 epochs (2)", "trained"),
        ([0.0, 0.0, 0.1, 0.0], "default.0 learnt nothing in 3 of 4 epochs (1 to 2, 4)", "trained"),
        ([0.5, 1e-30, 0.1, 0.2], None, "trained"),
    ],
)
def test_epochs_whose_loss_was_exactly_zero_do_not_pass_for_training(
    losses: list[float], warning: str | None, state: str, made: Made
) -> None:
    path = made.root / "results" / "default.0" / "history.parquet"
    before = path.read_bytes()
    try:
        idle = [float(loss == 0) for loss in losses]
        frame = made.table("history.parquet").assign(loss=losses, zero_loss=idle)
        write_parquet(path, pa.Table.from_pandas(frame, preserve_index=False))
        page = parse(made.write(RUNS[:3]))
    finally:
        path.write_bytes(before)
    alarm = section(page, "alarm").text
    assert ("learnt nothing" in alarm or "did not do" in alarm) == (warning is not None)
    assert (warning or "LEAKAGE") in alarm
    first, *_, fourth = section(page, "numbers").all("table")[1].one("tbody").all("tr")[:4]
    assert first.all("th")[1].text == state
    assert fourth.all("th")[1].text == "trained"
    headline = section(page, "numbers").one("p").text
    assert ("which has learnt nothing" in headline) == (state != "trained")


def test_a_history_of_an_earlier_version_is_named(made: Made) -> None:
    path = made.root / "results" / "default.0" / "history.parquet"
    before = path.read_bytes()
    try:
        frame = made.table("history.parquet").drop(columns="zero_loss")
        write_parquet(path, pa.Table.from_pandas(frame, preserve_index=False))
        with pytest.raises(LookalikeError, match="there is no column 'zero_loss'"):
            made.write(RUNS[:1])
    finally:
        path.write_bytes(before)


def test_a_page_can_do_without_near_duplicates(made: Made) -> None:
    path = made.root / "results" / "data_report.json"
    before = path.read_text()
    try:
        path.write_text(
            json.dumps(json.loads(before) | {"near_duplicates": {"bits": None, "across": []}})
        )
        assert not parse(made.write(RUNS[:1])).all("ul", "pairs")
    finally:
        path.write_text(before)


MEASURE = """
import sys
from pathlib import Path
import pandas as pd
from lookalike.report.results import Results, StateResults
from lookalike.report.differences import differences, recipes_of
from lookalike.report.verdicts import compare_recipes

def peak():
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024

folder, protocol = Path(sys.argv[1]), {"bootstrap": 0, "bootstrap_unit": "query", "seed": 0}
keys = ["mAP@10", "mean_rank"]
state = StateResults({"settings": protocol, "units": {"unit": "query"}}, folder)
states = {"trained": state, "untrained": state}
for count in (2, 20):
    # Each of two recipes has half of the seeds; all read the same file, each for itself.
    runs = [
        Results("ab"[i % 2], i // 2, i, states, {"settings": {}}, pd.DataFrame(), {})
        for i in range(count)
    ]
    differences(runs, keys)
    compare_recipes(recipes_of(runs), "", "mAP@10", keys, protocol)
    print(peak())
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_the_tables_of_one_pair_of_runs_are_in_memory_at_a_time(tmp_path: Path) -> None:
    n = 20_000
    names = [f"some/folder/of/queries/{number:08d}.jpg" for number in range(n)]
    columns = {f"metric {number}": np.random.default_rng(number).random(n) for number in range(20)}
    frame = pd.DataFrame({"query_id": names, "label": "a", "scored": True} | columns)
    frame = frame.assign(**{"mAP@10": columns["metric 0"], "mean_rank": columns["metric 1"]})
    frame.to_parquet(tmp_path / "per_query.parquet")
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(tmp_path)], capture_output=True, text=True, check=True
    )
    few, many = map(float, done.stdout.split())
    # Eighteen runs more, of which each pair of tables would take 8 MiB and more.
    assert many - few < 40
