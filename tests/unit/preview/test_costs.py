"""What all jobs of a plan take is the sum of what is done, and of nothing that is kept."""

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from lookalike.preview.costs import WholeCost, estimate
from lookalike.preview.data import look_at
from lookalike.preview.dry_run import DryRun
from lookalike.preview.settings import checked
from lookalike.training import probe
from lookalike.training.probe import TrainingCost
from support.drawings import write_data
from support.project import ROOT

MINE: dict[str, Any] = {
    "model": {"embedding_dim": 8},
    "batch": {"classes": 6},
    "epochs": 1,
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with images."""
    write_data(tmp_path / "photos")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(probe, "_BUDGET", 0.01)
    monkeypatch.setattr("lookalike.preview.decoding._BUDGET", 0.01)
    return tmp_path


def planned(*trained: str, manifest: bool = True, **embedded: list[str]) -> DryRun:
    counts = {"manifest": 1} if manifest else {}
    counts |= {"train": len(trained), "all": 1, "total": 2 + len(trained)}
    pairs = [(split, model) for split, models in embedded.items() for model in models]
    return DryRun(counts, [*trained], pairs)


LITE = {"name": "efficientnet_lite"}


def costs_of(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    plan: DryRun,
    recipes: dict[str, Any],
) -> WholeCost:
    """What a plan takes on a machine on which each thing but a head's work takes a second."""
    monkeypatch.setattr(probe, "_seconds_of", lambda _, most, __: float(most))
    monkeypatch.setattr(probe, "_seconds_of_head", lambda *_: 0.001)
    monkeypatch.setattr("lookalike.preview.decoding.DecodingSpeed._measured", lambda *_: 0.5)
    layer = {
        "data": {"root": "photos"},
        "image": {"size": 16},
        "recipes": recipes,
        "runs": [*recipes],
        "cache": f"cache-{len([*folder.iterdir()])}",
    }
    file = folder / "mine.yaml"
    file.write_text(yaml.safe_dump(layer))
    found = checked([file], ROOT)
    assert found.mistakes == []
    data = look_at(found.settings, found.sweeps)
    return estimate(found.settings, data, plan, torch.device("cpu"), 1)


def test_features_of_a_frozen_backbone_are_counted_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = {"model": LITE, "train": "head", "epochs": 1}
    recipes = {
        "a": head,
        "b": head | {"model": LITE | {"embedding_dim": 16}, "loss": {"name": "ntxent"}},
        "c": head | {"views": 2},
    }
    models = ["a.0", "a.0/untrained", "a.1", "b.0"]
    plan = planned("a.0", "a.1", "b.0", "c.0", query=models, gallery=models)
    costs = costs_of(folder, monkeypatch, plan, recipes)
    of_features = [run.seconds - run.cost.steps * run.cost.seconds_a_step for run in costs.runs]
    # 40 training images, a second each; of `c`, two views of each beside.
    assert of_features == pytest.approx([40, 0, 0, 80])
    # 6 queries and 24 gallery images.
    assert costs.embedding == pytest.approx(30 + len(models) * 30 * 0.001)
    other = head | {"model": LITE | {"weights": "none"}}
    plan = planned(query=["a.0", "a.1", "a.1/untrained", "b.0"])
    drawn = costs_of(folder, monkeypatch, plan, {"a": other, "b": head})
    # What chance made is of one seed.
    assert drawn.embedding == pytest.approx(3 * 6 + 4 * 6 * 0.001)
    whole = costs_of(
        folder, monkeypatch, planned(query=["a.0", "a.1"]), {"a": {"model": LITE, "epochs": 1}}
    )
    assert whole.embedding == pytest.approx(2 * 6)
    # Of each image and backbone the cache has 1,280 numbers.
    weights = sum(3 * 4 * run.cost.parameters for run in costs.runs)
    assert costs.cache_bytes == weights + (3 * 40 + 30) * 1280 * 4


def test_a_recipe_is_looked_at_once_and_no_step_is_done_where_nothing_trains(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def cost(*arguments: Any, **settings: Any) -> TrainingCost:
        asked.append(settings["trains"])
        return probe.training_cost(*arguments, **settings)

    monkeypatch.setattr("lookalike.preview.costs.training_cost", cost)
    recipes = {"mine": MINE}
    costs_of(folder, monkeypatch, planned("mine.0", "mine.1", query=["mine.0", "mine.2"]), recipes)
    assert asked == [True]
    monkeypatch.setattr(probe._Probe, "seconds_a_step", lambda *_: pytest.fail("trained"))
    costs = costs_of(folder, monkeypatch, planned(query=["mine.0", "mine.1"]), recipes)
    assert asked == [True, False]
    assert costs.runs == []
    assert costs.embedding == 2 * 6
