"""What label files and names tell of the data is what the manifest will say."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from lookalike.config import resolve, resolve_sweeps
from lookalike.data.layout import DataSettings
from lookalike.errors import LookalikeError
from lookalike.preview import check
from lookalike.preview.check import look_ahead
from lookalike.preview.data import look_at
from lookalike.preview.dry_run import DryRun
from lookalike.steps.manifest import build_manifest, write_manifest
from lookalike.storage.yaml_files import read_yaml
from lookalike.sweeps.expansion import Sweeps
from support.drawings import write_data
from support.project import ROOT

SCHEMA = read_yaml(ROOT / "workflow" / "schemas" / "config.schema.yaml")


def settings(root: Path, **changes: Any) -> dict[str, Any]:
    layer = {"data": {"root": str(root)}, "results": str(root / "r"), "cache": str(root / "c")}
    return resolve([layer, changes], SCHEMA)


def change_labels(root: Path, change: Any, file: str = "train_image_info.json") -> None:
    path = root / file
    path.write_text(json.dumps(change(json.loads(path.read_text()))))


@pytest.mark.parametrize("one_folder", [False, True])
def test_counts_are_those_of_the_manifest_without_opening_an_image(
    tmp_path: Path, one_folder: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write_data(tmp_path / "data")
    names = sorted(path.name for path in (root / "train").iterdir())
    (root / "train" / names[0]).unlink()
    (root / "train" / "unlisted.png").write_bytes(b"")
    change_labels(root, lambda labels: {**labels, "../x.png": 1, names[1]: None})
    values = settings(root, data={"query": "gallery"} if one_folder else {})
    tables, report = build_manifest(
        DataSettings.from_dict(values["data"]), cache=None, threads=1, apart=[]
    )
    monkeypatch.setattr("lookalike.data.scan.scan", lambda *_, **__: pytest.fail("opened"))
    monkeypatch.setattr("lookalike.images.decoding.open_rgb", lambda *_: pytest.fail("opened"))
    seen = look_at(values, Sweeps())
    assert seen.mistakes == []
    for split, table in tables.items():
        columns = ["image_id", "label", "status"]
        assert seen.tables[split].select(columns).equals(table.select(columns))
    for key in ("splits", "nothing_to_find", "classes_without_positive", "shared_classes"):
        assert seen.report[key] == report[key]
    assert seen.counts["train"] == len(names) - 2
    assert len(seen.labels) == len(names) - 2
    assert "missing_file: 1" in seen.lines()[0]


def without_ending(labels: dict[str, Any]) -> dict[str, Any]:
    return {name.removesuffix(".png"): label for name, label in labels.items()}


MISTAKEN: dict[str, Any] = {
    "no folder": (lambda root: shutil.rmtree(root / "query_images"), "no data to work on", "root"),
    "no endings": (lambda root: change_labels(root, without_ending), "no file ending", "root"),
    "no JSON": (
        lambda root: (root / "train_image_info.json").write_text("{"),
        "is not JSON: line 1",
        "train_labels",
    ),
    "one class": (
        lambda root: change_labels(root, lambda labels: dict.fromkeys(labels, "a")),
        "two classes or more",
        "root",
    ),
    "nothing to find": (
        lambda root: change_labels(
            root,
            lambda labels: {name: name for name in labels},
            "test_image_info.json",
        ),
        "nothing to find",
        "root",
    ),
}


@pytest.mark.parametrize("name", MISTAKEN)
def test_what_a_run_would_stop_at_is_told_in_its_words(tmp_path: Path, name: str) -> None:
    root = write_data(tmp_path / "data")
    spoil, words, setting = MISTAKEN[name]
    spoil(root)
    values = settings(root)
    ((told, place),) = look_at(values, Sweeps()).mistakes
    assert words in told
    assert place == f"data.{setting}"
    with pytest.raises(LookalikeError) as refused:
        outputs = {split: tmp_path / split for split in ("train", "query", "gallery")}
        data = DataSettings.from_dict(values["data"])
        write_manifest(data, outputs, tmp_path / "r.json", cache=None, threads=1)
    # Why a file was left out may be told at more length once it was looked for.
    assert str(refused.value).splitlines()[0] == told.splitlines()[0]


def test_a_recipe_that_cannot_use_the_images_is_named(tmp_path: Path) -> None:
    root = write_data(tmp_path / "data")
    values = settings(
        root,
        recipes={"many": {"validation": {"of": "classes", "classes": 0.1}}},
        runs=["default", "many"],
    )
    change_labels(
        root,
        lambda labels: {
            name: label if label == 0 else name for name, label in sorted(labels.items())
        },
    )
    told = look_at(values, Sweeps()).mistakes
    assert [place for _, place in told] == ["recipes.default", "recipes.many"]
    assert all("balanced batches need two training classes" in fault for fault, _ in told)


# Settings that the rules refuse once the manifest of 10 classes of 4 images is made: the words,
# and what of the settings they are about.
REFUSED: dict[str, Any] = {
    "more classes than there are": (
        {"recipes": {"mine": {"train_classes": 50}}, "runs": ["mine"]},
        "train_classes: 50 classes are more than",
        "recipes.mine",
    ),
    "a share that is too small": (
        {"recipes": {"mine": {"train_classes": 0.1}}, "runs": ["mine"]},
        "training needs two such",
        "recipes.mine",
    ),
    "a file of weights that is not there": (
        {
            "recipes": {
                "mine": {
                    "model": {"name": "efficientnet_lite", "weights": "nowhere.safetensors"},
                    "train": "none",
                }
            },
            "runs": ["mine"],
        },
        "nowhere.safetensors",
        "recipes.mine.model.weights",
    ),
    "folds of a sweep": (
        {"recipes": {"mine": {"folds": 6}}, "runs": ["mine"]},
        "each of 6 folds needs two training classes",
        "recipes.mine",
    ),
    "folds of what is chosen from": (
        {
            "recipes": {
                "mine": {"sweep": {"epochs": [1, 2]}, "folds": 6, "select": {"by": "mAP@10"}}
            },
            "runs": ["mine"],
        },
        "11 more recipes of mine lack the same",
        "recipes.mine",
    ),
    "classes of what is chosen from": (
        {
            "recipes": {
                "mine": {"sweep": {"train_classes": [1.0, 40]}, "select": {"by": "mAP@10"}}
            },
            "runs": ["mine"],
        },
        "train_classes: 40 classes are more than",
        "recipes.mine",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_rules_refuse_of_a_recipe_is_refused_before(tmp_path: Path, name: str) -> None:
    layer, words, place = REFUSED[name]
    root = write_data(tmp_path / "data")
    settings, sweeps = resolve_sweeps([{"data": {"root": str(root)}}, layer], SCHEMA)
    ((told, where),) = look_at(settings, sweeps).mistakes
    assert words in told
    assert where == place


@pytest.mark.parametrize("state", ["whitened", "truncated"])
@pytest.mark.parametrize("left", [0, 1])
def test_what_is_learnt_for_a_search_takes_two_training_images(
    tmp_path: Path, state: str, left: int
) -> None:
    root = write_data(tmp_path / "data")
    change_labels(root, lambda labels: {"not-there.png": 0, **dict([*labels.items()][:left])})
    values = settings(
        root,
        recipes={"mine": {"model": {"name": "efficientnet_lite"}, "train": "none"}},
        runs=["mine"],
        search={state: {"dim": 8} if state == "truncated" else True},
    )
    ((told, place),) = look_at(values, Sweeps()).mistakes
    assert "learnt from the embedded training images" in told
    assert place == (f"search.{state}" if left else "data.root")
    asked_for_nothing = values | {"search": dict.fromkeys(values["search"], False)}
    assert look_at(asked_for_nothing, Sweeps()).mistakes == []


def test_what_only_the_estimate_finds_is_a_mistake_with_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write_data(tmp_path / "data")
    file = tmp_path / "mine.yaml"
    layer = {"data": {"root": str(root)}, "recipes": {"mine": {"epochs": 2}}, "runs": ["mine"]}
    file.write_text(yaml.safe_dump(layer, sort_keys=False))
    monkeypatch.chdir(tmp_path)
    plan = DryRun({"train": 1, "total": 1}, ["mine.0"], [])
    monkeypatch.setattr(check, "dry_run", lambda *_: plan)

    def refused(*_: Any, **__: Any) -> None:
        raise LookalikeError("it cannot be built")

    monkeypatch.setattr("lookalike.preview.costs.training_cost", refused)
    found = look_ahead([file], 1)
    assert not found.is_well
    assert found.lines[-1] == f"  {file}:4: recipes.mine: it cannot be built"
    assert any(line.startswith("would run") for line in found.lines)
