"""The suite's table from results of a known content, its budget, and the peer's losses."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from lookalike.config import image_settings, resolve
from lookalike.errors import LookalikeError
from lookalike.records import Chosen
from lookalike.storage.files import write_json
from lookalike.storage.yaml_files import read_yaml
from lookalike.training.sampling import epoch_batches
from suite.datasets import DATA_SETS
from suite.peer import LOSSES
from suite.runs import Plan
from suite.settings import (
    RECIPES,
    ROOT,
    SCHEMA,
    complete,
    default_budget,
    images_of,
    read_recipes,
    settings_of,
)
from suite.tables import CHOSEN, OVERALL, by_unit, choose_losses, markdown, read_cells, rows_of

SEEDS = (0, 1, 2)
DATA = ("digits", "emoji")


def put(folder: Path, values: np.ndarray, *, peer: bool) -> None:
    """A run's files: the AP of each query, two queries a class."""
    folder.mkdir(parents=True)
    n = len(values)
    queries = pd.DataFrame(
        {
            "query_id": [f"{number:03d}.png" for number in range(n)],
            "label": [str(number // 2) for number in range(n)],
            "scored": True,
            **{f"mAP@{k}": values for k in (1, 10, 50)},
        }
    )
    # In another order, as other tools may write it.
    queries.sample(frac=1, random_state=n).to_parquet(folder / "per_query.parquet")
    write_json(folder / "metrics.json", {})
    if peer:
        write_json(folder / "peer.json", {"steps": 10, "seconds": 2.0})
    else:
        history = pd.DataFrame({"steps": [5, 5], "seconds": [1.0, 3.0]})
        history.to_parquet(folder / "history.parquet")


@pytest.fixture
def plan(tmp_path: Path) -> tuple[Plan, dict[tuple[str, str, int], np.ndarray]]:
    """Results of one recipe and two losses; on the emoji a seed of `triplet` is missing."""
    losses = ("contrastive", "triplet")
    recipes: dict[str, dict[str, object]] = {"mine": {}, "never_run": {}}
    plan = Plan(tmp_path, "development", DATA, recipes, dict.fromkeys(DATA, losses), SEEDS)
    rng = np.random.default_rng(0)
    values = {}
    for name in DATA:
        for seed in SEEDS:
            of = values[name, "mine", seed] = rng.uniform(0.2, 0.9, 24)
            put(tmp_path / plan.results(name) / f"mine.{seed}", of, peer=False)
            for loss, shift in (("contrastive", -0.1), ("triplet", 0.05)):
                if (name, loss, seed) == ("emoji", "triplet", 2):
                    continue
                of = values[name, loss, seed] = rng.uniform(0.2, 0.9, 24) + shift
                put(tmp_path / plan.peer_results(name, loss, seed), of, peer=True)
    return plan, values


def test_means_and_differences_are_those_of_the_queries(
    plan: tuple[Plan, dict[tuple[str, str, int], np.ndarray]],
) -> None:
    cells = read_cells(plan[0])
    assert choose_losses(cells, DATA) == {"digits": "triplet", "emoji": "contrastive"}
    rows = {
        (row["recipe"], row["data"]): row
        for row in rows_of(cells, DATA)
        if row["metric"] == "mAP@10"
    }
    chosen = {"digits": "triplet", "emoji": "contrastive"}
    means, beyond = [], []
    for name in DATA:
        mine, theirs = (
            np.mean([plan[1][name, which, seed] for seed in SEEDS])
            for which in ("mine", chosen[name])
        )
        row = rows["mine", name]
        assert row["mean"] == pytest.approx(mine, abs=1e-6)
        assert row["over_peer"] == pytest.approx(mine - theirs, abs=1e-6)
        assert row["low"] < row["mean"] < row["high"]  # type: ignore[operator]
        assert (row["units"], row["steps"], row["seconds"]) == (
            24 if name == "digits" else 12,
            10,
            4.0,
        )
        assert rows[CHOSEN, name]["loss"] == chosen[name]
        means.append(mine)
        beyond.append(mine - theirs)
    assert rows["mine", OVERALL]["mean"] == pytest.approx(np.mean(means), abs=1e-6)
    assert rows["mine", OVERALL]["over_peer"] == pytest.approx(np.mean(beyond), abs=1e-6)
    # A seed is missing: no mean of fewer, on these data or on all.
    assert ("peer: triplet", "digits") in rows
    assert ("peer: triplet", "emoji") not in rows
    assert ("peer: triplet", OVERALL) not in rows


def test_the_page_has_a_line_a_recipe_and_says_what_to_know(
    plan: tuple[Plan, dict[tuple[str, str, int], np.ndarray]],
) -> None:
    rows = rows_of(read_cells(plan[0]), DATA)
    page = markdown(rows, DATA, "development")
    lines = [line for line in page.splitlines() if line.startswith("| mine |")]
    assert len(lines) == 2
    mean = next(
        row["mean"] for row in rows if row["data"] == "digits" and row["metric"] == "mAP@10"
    )
    assert lines[0].startswith(f"| mine | {mean:.3f} ± ")
    assert "never_run" not in page
    assert "what goes once through a backbone that stays as it came is not in them" in page
    assert "not independent" in markdown(rows, ("photo_copies",), "development")


def test_a_class_weighs_as_its_queries_do() -> None:
    queries = pd.DataFrame({"label": list("aabccc"), "mAP@10": [0.1, 0.3, 0.9, 0.2, 0.4, 0.8]})
    of_classes = by_unit(queries, "mAP@10", "class")
    assert len(of_classes) == 3
    assert of_classes.mean() == pytest.approx(by_unit(queries, "mAP@10", "query").mean())
    even = pd.DataFrame({"label": list("aabb"), "mAP@10": [0.1, 0.3, 0.9, 0.5]})
    assert by_unit(even, "mAP@10", "class") == pytest.approx(even.groupby("label")["mAP@10"].mean())


@pytest.mark.parametrize(("n_classes", "n_each"), [(3, 300), (10, 30), (260, 3)])
def test_each_recipe_trains_on_as_many_images(n_classes: int, n_each: int) -> None:
    data = DATA_SETS["digits"]
    labels = np.repeat(np.arange(n_classes), n_each)
    budget = default_budget(data, labels, 500)
    recipes: dict[str, dict[str, object]] = {
        "default": {},
        "large": {"batch": {"classes": 16}},
        "by_chance": {"batch": {"name": "shuffled", "size": 50}},
        "own": {"epochs": 7},
    }
    folders = dict.fromkeys(("data", "results", "cache"), "x")
    written = settings_of(data, folders, recipes, SEEDS, labels, budget)["recipes"]
    assert written["own"]["epochs"] == 7
    for name in ("default", "large", "by_chance"):
        batch = complete(recipes[name], data, name).batch
        length = written[name]
        assert length["epochs"] == "auto"
        images = sum(len(batch) for batch in islice(batches_of(labels, batch), length["steps"]))
        # A batch's part too many or too few; the last batch of a pass may not be full.
        assert images == pytest.approx(budget.images, rel=0.03)


@pytest.mark.parametrize(
    ("named", "epochs", "steps"),
    [({"steps": 55}, "auto", 55), ({"epochs": 7}, 7, 2000), ({"steps": 55, "epochs": 7}, 7, 55)],
    ids=str,
)
def test_a_recipe_s_own_length_is_that_of_its_runs(
    named: dict[str, int], epochs: object, steps: int
) -> None:
    data, labels = DATA_SETS["digits"], np.repeat(np.arange(10), 30)
    folders = dict.fromkeys(("data", "results", "cache"), "x")
    budget = default_budget(data, labels, 100)
    layer = settings_of(data, folders, {"mine": {**named}}, SEEDS, labels, budget)
    mine = resolve([read_yaml(ROOT / "config.yaml"), layer], read_yaml(SCHEMA))["recipes"]["mine"]
    assert (mine["epochs"], mine["steps"]) == (epochs, steps)


def test_images_have_the_data_set_s_size_or_the_recipe_s_own() -> None:
    data = DATA_SETS["digits"]
    labels = np.repeat(np.arange(10), 30)
    recipes: dict[str, dict[str, object]] = {
        "default": {},
        "original": {},
        "larger": {"image": {"size": 48}},
        "backbone": {"model": {"name": "efficientnet_lite"}},
    }
    folders = dict.fromkeys(("data", "results", "cache"), "x")
    layer = settings_of(data, folders, recipes, SEEDS, labels, default_budget(data, labels, 100))
    settings = resolve([layer], read_yaml(SCHEMA))
    sizes = {name: image_settings(settings, name)["size"] for name in recipes}
    assert sizes == {"default": 32, "original": 32, "larger": 48, "backbone": 224}
    assert images_of(data).size == 32


def batches_of(labels: np.ndarray, batch: Chosen) -> Iterator[np.ndarray]:
    for epoch in count(1):
        yield from epoch_batches(labels, batch, 0, epoch)


def test_the_recipes_of_the_file_are_understood() -> None:
    for data in (DATA_SETS["digits"], DATA_SETS["emoji"]):
        for name, recipe in read_recipes(RECIPES, None).items():
            complete(recipe, data, name)
    with pytest.raises(LookalikeError, match=r"no recipe defalt.*default"):
        read_recipes(RECIPES, ["defalt"])


@pytest.mark.parametrize("name", list(LOSSES))
def test_the_peer_s_losses_have_slopes(name: str) -> None:
    torch.manual_seed(0)
    vectors = torch.randn(24, 16, requires_grad=True)
    labels = torch.arange(8).repeat_interleave(3)
    loss, miner = LOSSES[name](8, 16)
    loss(vectors, labels, miner(vectors, labels) if miner else None).backward()
    assert vectors.grad is not None
    assert torch.isfinite(vectors.grad).all()
    assert vectors.grad.norm() > 0
