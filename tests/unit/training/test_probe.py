"""A training's steps are counted as it will do them, and its time is told from some of them."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from lookalike.jobs.speed import Speeds
from lookalike.models.building import build_model
from lookalike.training import probe
from lookalike.training.checkpoints import Checkpoint
from lookalike.training.feeds import TrainingData
from lookalike.training.loop import train
from lookalike.training.probe import TrainingCost, training_cost, work_of_step
from lookalike.training.recipe import Recipe
from support.training import ALONE, CPU, PATTERNS, blobs, recipe, run

LITE: dict[str, Any] = {"name": "efficientnet_lite", "weights": "none", "embedding_dim": 8}
IMAGE = PATTERNS.to_dict()


def cost_of(
    settings: dict[str, Any],
    folder: Path,
    labels: NDArray[np.int64] | None = None,
    image: dict[str, Any] = IMAGE,
) -> TrainingCost:
    return training_cost(
        settings,
        image,
        blobs().labels if labels is None else labels,
        closed_set=False,
        device=CPU,
        threads=torch.get_num_threads(),
        speeds=Speeds(folder),
    )


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"epochs": "auto", "steps": 47},
        {"batch": {"name": "shuffled", "size": 10}},
        {"validation": {"of": "classes", "classes": 0.25, "every": 2}},
        {"loss": {"name": "proxy_anchor"}, "memory": 0},
        {"loss": {"name": "triplet"}, "miner": {"name": "batch_hard"}},
        {"optimizer": {"average": 0.9, "clip": 1.0}},
    ],
    ids=str,
)
def test_steps_are_counted_as_the_training_does_them(
    tmp_path: Path, changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "_BUDGET", 0.01)
    cost = cost_of(recipe(**changes), tmp_path / "cache")
    _, history = run(tmp_path, recipe(**changes))
    assert cost.steps == sum(epoch["steps"] for epoch in history)
    assert cost.epochs == len(history)
    drawn = sum(epoch["images"] for epoch in history)
    assert cost.steps * cost.batch_size == pytest.approx(drawn, rel=0.2)
    scored = sum(epoch["validation_mAP@10"] is not None for epoch in history)
    assert (cost.validated > 0) == (scored > 0)
    assert cost.seconds_a_step > 0
    assert cost.seconds_an_image > 0


def test_what_is_known_is_not_measured_and_times_are_sums(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "_BUDGET", 0.01)
    settings = recipe(epochs=5)
    first = cost_of(settings, tmp_path)
    monkeypatch.setattr(probe, "_seconds_of", lambda *_: pytest.fail("measured"))
    assert cost_of(settings, tmp_path) == first
    # Another learning rate is as fast, and so is another seed of what is held out.
    faster = recipe(epochs=5, optimizer={"lr": 0.1}, validation={"seed": 3})
    assert cost_of(faster, tmp_path) == first
    steps = first.steps * first.seconds_a_step
    assert first.seconds() == pytest.approx(steps + first.validated * first.seconds_an_image)
    assert first.seconds(1.0, each_epoch=True) == pytest.approx(
        first.steps * first.batch_size + first.validated
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"model": {"embedding_dim": 16}},
        {"loss": {"name": "triplet"}},
        {"batch": {"classes": 7}},
        {"precision": "bfloat16"},
        {"augment": {"rotate": 10.0}},
        {"memory": 30},
    ],
    ids=str,
)
def test_what_decides_the_speed_is_another_piece_of_work(changes: dict[str, Any]) -> None:
    here = work_of_step(recipe(), 64, "cpu", 2)
    assert work_of_step(recipe(**changes), 64, "cpu", 2) != here
    assert work_of_step(recipe(), 224, "cpu", 2) != here
    assert work_of_step(recipe(), 64, "cpu", 1) != here
    assert work_of_step(recipe(precision="float32"), 64, "cpu", 2) == here


def test_a_head_is_measured_by_itself_and_its_backbone_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "_BUDGET", 0.01)
    head = recipe(model=LITE, train="head", views=2, loss={"name": "ntxent"})
    cost = cost_of(head, tmp_path)
    assert (cost.width, cost.features) == (1280, 3 * 48)
    assert cost.seconds() == pytest.approx(
        cost.steps * cost.seconds_a_step + 3 * 48 * cost.seconds_an_image
    )
    none = cost_of(recipe(model=LITE, train="none"), tmp_path)
    assert (none.steps, none.seconds()) == (0, 0)


@pytest.mark.parametrize("fixed", [0.0, 0.3])
def test_of_a_slow_network_a_part_of_the_batch_tells(
    monkeypatch: pytest.MonkeyPatch, fixed: float
) -> None:
    now = 0.0
    monkeypatch.setattr("lookalike.training.probe.time.perf_counter", lambda: now)
    asked = []

    def work(n: int) -> None:
        nonlocal now
        asked.append(n)
        now += fixed + n / 10

    told = probe._seconds_of(work, 128, CPU)
    assert max(asked) < 128
    assert told == pytest.approx(fixed + 12.8)


@pytest.mark.long
@pytest.mark.parametrize(
    ("size", "changes"),
    [
        (64, {"epochs": "auto", "steps": 60, "batch": {"classes": 12}}),
        (160, {"epochs": "auto", "steps": 10, "batch": {"classes": 12}}),
        (64, {"epochs": "auto", "steps": 10, "model": LITE, "batch": {"classes": 6}}),
    ],
    ids=str,
)
def test_a_training_takes_what_was_foretold_within_a_factor_of_two(
    tmp_path: Path, size: int, changes: dict[str, Any]
) -> None:
    settings = recipe(**changes)
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(12), 8)
    image = {**IMAGE, "size": size}
    pixels = rng.integers(0, 256, (len(labels), size, size, 3), np.uint8)
    made = TrainingData(pixels, labels, type(PATTERNS).from_dict(image))
    ratios = []
    for attempt in range(3):
        # Not as it was kept: other work on this machine comes and goes.
        folder = tmp_path / str(attempt)
        foretold = cost_of(settings, folder, labels=labels, image=image).seconds()
        begun = time.perf_counter()
        told = Recipe.from_dict(settings)
        checkpoint = Checkpoint(folder, "run")
        train(build_model(told.model, size), made, told, 0, ALONE, checkpoint)
        ratios.append((time.perf_counter() - begun) / foretold)
    assert 0.5 < sorted(ratios)[1] < 2, ratios
