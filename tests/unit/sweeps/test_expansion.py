"""Swept recipes, and such as extend others, as the settings resolve them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lookalike.config import resolve, resolve_sweeps
from lookalike.errors import LookalikeError
from lookalike.storage.yaml_files import read_yaml
from lookalike.sweeps.paths import rules_of_recipe, setting_at
from support.project import ROOT

SCHEMA = read_yaml(ROOT / "workflow" / "schemas" / "config.schema.yaml")
CONFIG = read_yaml(ROOT / "config.yaml")


def by_layers(*recipes: dict[str, Any], name: str = "ms") -> Any:
    """A recipe as settings files laid over each other make it."""
    layers = [{"recipes": {name: one}} for one in recipes]
    return resolve([CONFIG, *layers], SCHEMA)["recipes"][name]


def resolved(recipes: dict[str, Any], *runs: str, **others: Any) -> dict[str, Any]:
    layer = {"recipes": recipes, "runs": [*runs] or ["default"], **others}
    return resolve([CONFIG, layer], SCHEMA)


def test_a_recipe_has_what_the_one_it_extends_has_through_chains() -> None:
    base = {"model": {"name": "efficientnet_lite", "backbone": "lite2"}, "steps": 70}
    between = {"extends": "base", "loss": {"name": "triplet", "margin": 0.3}, "epochs": 9}
    recipes = {
        "last": {"extends": "between", "loss": {"mining": "hard"}, "steps": 50},
        "between": between,
        "base": base,
        "other": {"extends": "between", "loss": {"name": "contrastive"}, "model": {"name": "cnn4"}},
    }
    found = resolved(recipes, "last")
    own = {key: value for key, value in between.items() if key != "extends"}
    assert found["recipes"]["last"] == by_layers(
        base, own, {"loss": {"mining": "hard"}, "steps": 50}
    )
    assert (found["recipes"]["last"]["epochs"], found["runs"]) == ("auto", ["last"])
    # Another name starts from that name's own defaults.
    other = {"loss": {"name": "contrastive"}, "model": {"name": "cnn4"}}
    assert found["recipes"]["other"] == by_layers(base, own, other)
    assert not {"margin", "mining"} >= found["recipes"]["other"]["loss"].keys()
    assert found["recipes"]["other"]["loss"]["margin"] == 0.8


@pytest.mark.parametrize("name", ["strong", "original", "default"])
@pytest.mark.parametrize("below", [[], [CONFIG]], ids=["alone", "above"])
def test_a_recipe_that_ships_can_be_extended(name: str, below: list[dict[str, Any]]) -> None:
    layers = [*below, {"recipes": {name: {"memory": 0}, "mine": {"extends": name, "gpus": 2}}}]
    shipped = resolve([], SCHEMA)["recipes"][name]
    assert resolve(layers, SCHEMA)["recipes"]["mine"] == shipped | {"gpus": 2}


def test_who_extends_a_sweep_is_none() -> None:
    sweep = {"sweep": {"epochs": [1, 2]}, "folds": 2, "select": {}, "loss": {"name": "triplet"}}
    found = resolved({"ms": sweep, "plain": {"extends": "ms", "epochs": 3}}, "plain")
    assert found["runs"] == ["plain"]
    assert found["recipes"]["plain"] == by_layers({"loss": {"name": "triplet"}, "epochs": 3})


AXES: dict[str, list[Any]] = {
    "optimizer.lr": [0.001, 0.0003, 1e-05],
    "optimizer.name": ["adam", "sgd"],
    "loss": [{"name": "triplet", "margin": 0.2}, {"name": "contrastive"}, {"name": "triplet"}],
    "loss.margin": [0.4, 0.5],
    "model.embedding_dim": [16, 32],
    "model.batch_norm": [True, False],
    "augment.flip": [0.0, 0.5],
    "image.size": [32, 64],
    "epochs": [3, 4],
    "steps": [30, 40],
    "train": ["all"],
    "validation.seed": [1, 2],
    "memory": [0],
}


@given(
    st.lists(st.sampled_from([*AXES]), min_size=1, max_size=4, unique=True),
    st.sampled_from([{}, {"epochs": 7}, {"optimizer": {"name": "sgd", "momentum": 0.5}}]),
)
@settings(max_examples=40, deadline=None)
def test_each_point_is_the_recipe_with_the_point_laid_over_it(
    paths: list[str], base: dict[str, Any]
) -> None:
    base = base | {"loss": {"name": "triplet", "mining": "hard"}}
    layer = {"recipes": {"ms": base | {"sweep": {path: AXES[path] for path in paths}}}}
    found, sweeps = resolve_sweeps([CONFIG, layer, {"runs": ["default", "ms"]}], SCHEMA)
    points = [*product(*(AXES[path] for path in paths))]
    names = found["runs"][1:]
    assert found["runs"][0] == "default"
    assert len({name.casefold() for name in names}) == len(points)
    assert found["recipes"].keys() == {*CONFIG["recipes"], *names}
    for name, values in zip(names, points, strict=True):
        over: dict[str, Any] = {}
        for path, value in sorted(zip(paths, values, strict=True), key=lambda one: len(one[0])):
            section, _, key = path.partition(".")
            if key:
                over[section] = {**over.get(section, {}), key: value}
            else:
                over[section] = value
        assert found["recipes"][name] == by_layers(base, over)
        assert sweeps.points[name] == dict(zip(paths, values, strict=True))
        assert sweeps.sweep_of[name] == "ms"


def test_every_setting_of_the_default_recipe_can_be_swept() -> None:
    known = rules_of_recipe(SCHEMA)

    def leaves(found: Any, before: str) -> Iterator[str]:
        for key, value in found.items():
            path = f"{before}.{key}" if before else key
            yield from leaves(value, path) if isinstance(value, dict) and value else [path]

    for name, recipe in resolve([CONFIG], SCHEMA)["recipes"].items():
        paths = [*leaves(recipe, "")]
        assert len(paths) > 30
        assert {*paths} <= known.keys()
        sweep = {path: [setting_at(recipe, path)] for path in paths}
        found = resolved({"ms": {"extends": name, "sweep": sweep}}, "ms")
        assert found["recipes"][found["runs"][0]] == recipe
    # Of a loss or a model that another recipe may have.
    assert {"loss.proxy_lr", "miner.cutoff", "model.backbone", "train.unfreeze"} <= known.keys()


def test_folds_are_a_recipe_each_that_holds_out_one() -> None:
    recipe = {"sweep": {"epochs": [1, 2]}, "folds": 3, "validation": {"classes": 0.0, "every": 2}}
    found = resolved({"ms": recipe, "one": {"folds": 2}}, "ms", "one")
    assert found["runs"] == [
        *(f"ms-epochs{epochs}-fold{fold}" for epochs in (1, 2) for fold in range(3)),
        *("one-fold0", "one-fold1"),
    ]
    validation = found["recipes"]["ms-epochs2-fold1"]["validation"]
    whole = found["recipes"]["ms-epochs2"]["validation"]
    assert validation == whole | {"of": "classes", "classes": 1 / 3, "fold": 1, "folds": 3}


KEPT_BY_SCORE: list[dict[str, Any]] = [{"keep": "best"}, {"keep": "last", "patience": 3}]


@pytest.mark.parametrize("validation", KEPT_BY_SCORE, ids=str)
@pytest.mark.parametrize("more", [{}, {"sweep": {"epochs": [1, 2]}, "select": {}}], ids=str)
def test_what_goes_by_scores_is_asked_of_the_folds_that_are_run(
    validation: dict[str, Any], more: dict[str, Any]
) -> None:
    recipe = {"validation": {"classes": 0.0, **validation}, **more}
    found = resolved({"ms": {**recipe, "folds": 2}}, "ms")
    assert len(found["runs"]) == (1 if more else 2)
    without = {**recipe, "sweep": {"epochs": [1, 2]}}
    with pytest.raises(LookalikeError, match=r"with validation.classes: 0 none are held out"):
        resolved({"ms": without}, "ms")
    # A single point is run as it stands, whatever else is run of it.
    with pytest.raises(LookalikeError, match=r"as ms-epochs1\): validation.(keep|patience)"):
        resolved({"ms": {**without, "folds": 2}}, "ms", "ms-epochs1")


@pytest.mark.parametrize(
    ("recipe", "epochs"),
    [
        ({"epochs": 9, "budget": "halving", "sweep": {"memory": [*range(100, 109)]}}, 1),
        ({"epochs": 9, "budget": "halving", "sweep": {"memory": [100, 101]}}, 9),
        ({"epochs": 9, "budget": {"halving": 2}, "sweep": {"memory": [100, 101]}}, 4),
        ({"steps": 12, "budget": {"halving": 2}, "sweep": {"memory": [100, 101]}}, 6),
        ({"steps": 700, "budget": {"halving": 2}, "sweep": {"memory": [100, 101]}}, 30),
        ({"epochs": 3, "sweep": {"memory": [100, 101]}}, 3),
    ],
    ids=str,
)
@pytest.mark.parametrize("folds", [{}, {"folds": 2, "validation": {"classes": 0.0}}], ids=str)
def test_candidates_that_end_before_they_are_scored_are_told_before_they_are_trained(
    recipe: dict[str, Any], epochs: int, folds: dict[str, Any]
) -> None:
    def found(every: int, **validation: Any) -> dict[str, Any]:
        of_folds = folds.get("validation", {})
        asked = {"validation": {**of_folds, "every": every, **validation}}
        return resolved({"ms": {**recipe, **folds, "select": {}, **asked}}, "ms")

    found(epochs)
    # Where the best epoch is kept, the last one is scored.
    found(epochs + 1, keep="best")
    said = rf"validation.every: {epochs + 1} is more than the {epochs} .*set it to {epochs} or"
    with pytest.raises(LookalikeError, match=said):
        found(epochs + 1)


MISTAKES: list[tuple[dict[str, Any], list[str]]] = [
    (
        {"a": {"extends": "b"}, "b": {"extends": "c"}, "c": {"extends": "b"}},
        ["recipes.b.extends", "circle: b extends c extends b", "recipes.c.extends"],
    ),
    ({"a": {"extends": "a"}}, ["recipes.a.extends: goes round in a circle: a extends a"]),
    ({"a": {"extends": "defalt"}}, ["recipes.a.extends", "'defalt'", "'default'"]),
    ({"a": {"extends": 3}}, ["recipes.a.extends", "3", "text"]),
    ({"a": {"extends": "b"}, "b": 3}, ["recipes.b", "3", "mapping"]),
    ({"a": {"swep": {}}}, ["recipes.a", "'swep'", "'sweep'"]),
    ({"a": {"sweep": {}}}, ["recipes.a.sweep", "{}"]),
    ({"a": {"sweep": [1]}}, ["recipes.a.sweep", "[1]", "mapping"]),
    ({"a": {"sweep": {"epochs": []}}}, ["recipes.a.sweep.epochs", "[]"]),
    ({"a": {"sweep": {"epochs": [1, 1]}}}, ["recipes.a.sweep.epochs", "[1, 1]"]),
    ({"a": {"sweep": {"epochs": 3}}}, ["recipes.a.sweep.epochs", "3", "a list of values"]),
    ({"a": {"sweep": {"epochs": {"from": 1}}}}, ["recipes.a.sweep.epochs", "{from: 0.1, to: 1.0}"]),
    ({"a": {"sweep": {"epochs": {"from": 1, "to": 3}}}}, ["recipes.a.sweep.epochs", "sample"]),
    (
        {"a": {"sweep": {"epochs": {"from": 3, "to": 3.5}}, "sample": 2}},
        ["recipes.a.sweep.epochs", "whole number", "3.5"],
    ),
    (
        {"a": {"sweep": {"loss.margin": {"from": 3, "to": 1}}, "sample": 2}},
        ["recipes.a.sweep.loss.margin", "3 is not less than 1"],
    ),
    (
        {"a": {"sweep": {"optimizer.lr": {"from": 0, "to": 1, "scale": "log"}}, "sample": 2}},
        ["recipes.a.sweep.optimizer.lr", "more than 0"],
    ),
    (
        {"a": {"sweep": {"loss.name": {"from": 0, "to": 1}}, "sample": 2}},
        ["recipes.a.sweep.loss.name", "no number"],
    ),
    ({"a": {"sample": 3}}, ["recipes.a.sample", "`sweep`"]),
    ({"a": {"sweep": {"epochs": [1, 2]}, "sample": 3}}, ["recipes.a.sample", "3", "make 2"]),
    ({"a": {"sweep": {"epochs": [1]}, "folds": 1}}, ["recipes.a.folds", "1"]),
    ({"a": {"budget": "halving"}}, ["recipes.a.budget", "`select`"]),
    ({"a": {"select": {}}}, ["recipes.a.select", "`sweep`"]),
    ({"a": {"sweep": {"epochs": [1]}, "select": {"by": "mAP"}}}, ["recipes.a.select.by", "mAP@R"]),
    (
        {"a": {"sweep": {"epochs": [1]}, "select": {"per": "loss.nam"}}},
        ["recipes.a.select.per", "'loss.name'"],
    ),
    (
        {"a": {"sweep": {"epochs": [1]}, "select": {"per": "model.backbone"}}},
        ["recipes.a (as a-epochs1).select.per", "model.backbone"],
    ),
    (
        {"a": {"sweep": {"validation.classes": [0.0, 0.2]}, "select": {}}},
        ["recipes.a (as a-classes0.0).select", "validation.classes: 0"],
    ),
    (
        {"a": {"extends": "strong", "sweep": {"train": ["none", "all"]}, "select": {}}},
        ["recipes.a (as a-train_none).select", "train: none"],
    ),
    ({"a": {"sweep": {"optimzer.lr": [1]}}}, ["recipes.a.sweep.optimzer.lr", "'optimizer.lr'"]),
    ({"a": {"sweep": {"sweep.epochs": [1]}}}, ["recipes.a.sweep.sweep.epochs", "no such setting"]),
    (
        {"a": {"sweep": {"loss.margin": [1, 2, 3]}}},
        ["recipes.a (as a-margin1 and 2 more of its points).loss", "'margin' of multi_similarity"],
    ),
    (
        {"a": {"sweep": {"epochs": [1, 0]}}},
        ["recipes.a (as a-epochs0).epochs", "0 must be auto"],
    ),
    (
        {"a": {"sweep": {"image.background": ["whit", "white"]}}},
        ["recipes.a (as a-background_whit).image.background", "no colour"],
    ),
    (
        {"a": {"sweep": {"model.normalize": [True, False], "loss.name": ["arcface"]}}},
        ["recipes.a (as a-normalize_false-arcface): the loss arcface trains the angles"],
    ),
    (
        {"a": {"sweep": {"epochs": [1]}, "folds": 2}, "a-epochs1-fold0": {}},
        ["recipes.a: is expanded into a-epochs1-fold0", "rename"],
    ),
    (
        {"a": {"sweep": {f"augment.{k}": [*range(9)] for k in ("flip", "rotate", "scale")}
                        | {"epochs": [*range(1, 20)]}}},
        ["recipes.a.sweep: its lists make 13,851 recipes"],
    ),
    (
        {"d": {"embeddings": {"query": "q", "gallery": "g"}}, "a": {"extends": "d", "folds": 2}},
        ["recipes.a: folds would train runs, but its embeddings come from elsewhere"],
    ),
    ({"a.b": {"sweep": {"epochs": [1]}}}, ["recipes", "'a.b'"]),
]  # fmt: skip


@pytest.mark.parametrize(("recipes", "parts"), MISTAKES, ids=str)
def test_a_mistake_in_a_sweep_is_told_with_its_place(
    recipes: dict[str, Any], parts: list[str]
) -> None:
    with pytest.raises(LookalikeError) as caught:
        resolved(recipes, "default")
    message = str(caught.value)
    assert message.startswith("the settings cannot be used:\n")
    for part in parts:
        assert part in message


def test_all_mistakes_are_told_at_once_and_each_once() -> None:
    recipes = {
        "ms": {
            "sweep": {"optimzer.lr": [1], "loss.margin": [1, 2], "epochs": [0, 1]},
            "select": {"per": "los.name"},
        },
        "other": {"extends": "mss", "folds": 1, "sweep": {"memori": [1]}},
    }
    with pytest.raises(LookalikeError) as caught:
        resolved(recipes, "default", seeds=3)
    lines = str(caught.value).splitlines()[1:]
    places = [re.split(r": | \(", line.strip())[0] for line in lines]
    assert sorted(places) == [
        "recipes.ms",
        "recipes.ms",
        "recipes.ms.select.per",
        "recipes.ms.sweep.optimzer.lr",
        "recipes.other.extends",
        "recipes.other.folds",
        "recipes.other.sweep.memori",
        "seeds",
    ]


def test_runs_may_name_a_point_and_an_unknown_name_is_told() -> None:
    recipes = {"ms": {"sweep": {"epochs": [1, 2]}}}
    assert resolved(recipes, "ms-epochs2", "ms")["runs"] == ["ms-epochs2", "ms-epochs1"]
    for run in ("mss", "ms-epochs3"):
        with pytest.raises(LookalikeError, match=f"runs: no recipe is named '{run}'.*mean 'ms"):
            resolved(recipes, run)
