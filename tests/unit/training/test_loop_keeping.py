"""What a training keeps, when it ends, and what it does around its steps."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from lookalike.models.building import build_model
from lookalike.records import Chosen
from lookalike.training.feeds import PixelFeed
from lookalike.training.losses.building import build_loss
from lookalike.training.optimization import build_optimizer
from lookalike.training.recipe import Recipe
from lookalike.training.validation import HeldOutScores
from support.training import PATTERNS, blobs, recipe, run, same

# A rate that stays: an epoch does not know how many follow.
PLAIN = {"name": "sgd", "lr": 0.02, "warmup_epochs": 0, "schedule": "constant"}
SCORED = {"classes": 0.25, "of": "images"}


def scripted(monkeypatch: pytest.MonkeyPatch, scores: list[float | None]) -> None:
    """Let the validations of the next training give these scores."""
    left = iter(scores)

    def scored(*_: Any) -> HeldOutScores:
        # What else there is of scores decides nothing.
        return HeldOutScores(next(left), 0.5)

    monkeypatch.setattr("lookalike.training.loop.leave_one_out_scores", scored)


@pytest.mark.parametrize(
    ("scores", "validation", "epochs", "kept"),
    [
        ([0.1, 0.3, 0.2, 0.1], {"keep": "best"}, 4, 2),
        # The first of equal ones.
        ([0.1, 0.3, 0.3, 0.3], {"keep": "best"}, 4, 2),
        ([0.1, 0.2, 0.3, 0.4], {"keep": "best"}, 4, 4),
        ([0.5, 0.2, 0.3, 0.4], {"keep": "last"}, 4, 4),
        # Patience keeps the best, whatever `keep` says.
        ([0.1, 0.3, 0.2, 0.3], {"patience": 2}, 4, 2),
        ([0.1, 0.3, 0.2, 0.4, 0.3, 0.4], {"keep": "best", "patience": 2}, 6, 4),
        # Every second epoch, and the last one, is scored.
        ([0.3, 0.2, 0.4], {"keep": "best", "every": 2}, 5, 5),
        ([0.3, 0.2, 0.1], {"keep": "best", "every": 2}, 5, 2),
        # No query found another image of its class: no epoch is the best.
        ([None, None], {"keep": "best", "patience": 1}, 2, 2),
    ],
)
def test_the_weights_are_those_of_the_epoch_that_is_kept(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    scores: list[float | None],
    validation: dict[str, Any],
    epochs: int,
    kept: int,
) -> None:
    # With patience, more epochs than come to pass.
    asked = epochs + 3 * ("patience" in validation and scores[0] is not None)
    scripted(monkeypatch, scores)
    weights, history = run(
        tmp_path / "kept", recipe(optimizer=PLAIN, epochs=asked, validation=SCORED | validation)
    )
    assert len(history) == epochs
    assert [row["epoch"] for row in history if row["kept"]] == [kept]
    # A training that ends there.
    scripted(monkeypatch, [0.0] * epochs)
    expected, _ = run(tmp_path / "short", recipe(optimizer=PLAIN, epochs=kept, validation=SCORED))
    assert same(weights, expected)
    # Taken up again when it is done, it is the same: nothing is left to do.
    scripted(monkeypatch, [])
    settings = recipe(optimizer=PLAIN, epochs=asked, validation=SCORED | validation)
    again, history_again = run(tmp_path / "kept", settings)
    assert same(weights, again)
    assert history_again == history


def test_without_a_validation_the_last_epoch_is_kept_and_the_log_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = blobs(classes=5, each=2)
    with caplog.at_level("INFO"):
        settings = recipe(validation={"of": "images", "keep": "best"}, epochs=2)
        _, history = run(tmp_path, settings, data=data)
    assert [row["kept"] for row in history] == [False, True]
    assert all(row["validation_mAP@10"] is None for row in history)
    (line,) = [line for line in caplog.messages if "no validation" in line]
    assert "no class has three different images" in line
    assert "the last epoch is kept" in line


def test_the_same_images_are_held_out_for_every_seed_and_recipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    load, seen = PixelFeed.load, set[int]()

    def note(self: PixelFeed, rows: np.ndarray) -> torch.Tensor:
        seen.update(rows.tolist())
        return load(self, rows)

    monkeypatch.setattr(PixelFeed, "load", note)

    def trained_on(seed: int, **changes: Any) -> frozenset[int]:
        seen.clear()
        run(tmp_path / f"{seed}{changes}", recipe(epochs=1, **changes), seed, blobs(classes=30))
        return frozenset(seen)

    with caplog.at_level("INFO"):
        first = trained_on(0)
    assert "12 images of held-out classes to validate on" in caplog.text
    assert "held out: whole classes, by validation.seed 0" in caplog.text
    assert len(first) == 27 * 4
    assert trained_on(1) == trained_on(2, batch={"name": "shuffled", "size": 7}) == first
    assert trained_on(0, validation={"seed": 1}) != first
    caplog.clear()
    with caplog.at_level("INFO"):
        few = trained_on(0, validation={"of": "images"})
    assert "30 held-out images of 30 classes to validate on" in caplog.text
    assert len(few) == 30 * 3
    assert trained_on(7, validation={"of": "images"}) == few


def test_steps_are_the_budget_and_epochs_are_parts_of_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    optimizer = {"name": "adamw", "lr": 0.001, "warmup_epochs": 3}
    none = {"classes": 0.0}
    settings = recipe(epochs="auto", steps=40, optimizer=optimizer, validation=none)
    with caplog.at_level("INFO"):
        _, history = run(tmp_path, settings)
    assert "48 images, 40 steps, in 30 parts that are called epochs here" in caplog.text
    assert sum(row["steps"] for row in history) == 40
    assert len(history) == 30
    # The last rate of each: a tenth of the steps it rises, then it falls as if there were no parts.
    done = np.cumsum([row["steps"] for row in history]) - 1
    rising = done / 4
    falling = (1 + np.cos(np.pi * (done - 4) / 36)) / 2
    expected = 0.001 * np.where(done < 4, np.maximum(rising, 0.01 / 3), falling)
    np.testing.assert_allclose([row["lr"] for row in history], expected)


def test_short_parts_of_a_training_are_not_each_scored(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = recipe(epochs="auto", steps=7, validation={"keep": "best"})
    with caplog.at_level("INFO"):
        _, history = run(tmp_path, settings, data=blobs(classes=30, each=9))
    # 27 images of 3 classes in batches of 18.
    scored = [row["epoch"] for row in history if row["validation_mAP@10"] is not None]
    assert scored == [2, 4, 6, 7]
    assert "scored every 2 epochs" in caplog.text


def movement(folder: Path, **optimizer: Any) -> dict[str, torch.Tensor]:
    """How far one step moves the weights, and the loss's own."""
    settings = recipe(
        optimizer={"name": "sgd", "lr": 0.5, "momentum": 0.0, "weight_decay": 0.0, **optimizer},
        loss={"name": "proxy_anchor", "proxy_lr": 0.5},
        epochs="auto",
        steps=1,
        validation={"classes": 0.0},
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lookalike.training.loop.share_of_rate", lambda *_: 1.0)
        run(folder, settings)
    torch.manual_seed(0)
    made = Recipe.from_dict(settings)
    before = build_model(made.model, PATTERNS.size).state_dict()
    after = load_file(folder / "run.safetensors")
    moved = {f"model.{name}": after[f"model.{name}"] - value for name, value in before.items()}
    return moved | {"loss": after["loss.loss.proxies"]}


def test_the_gradient_is_cut_to_its_longest(tmp_path: Path) -> None:
    whole, cut, long = (
        movement(tmp_path / str(clip), clip=clip) for clip in (0.0, 0.01, 1_000_000.0)
    )
    names = [name for name in whole if name.endswith(("weight", "bias"))]
    length = torch.cat([whole[name].flatten() for name in names]).norm() / 0.5
    assert length > 0.02
    for name in names:
        torch.testing.assert_close(cut[name], whole[name] * (0.01 / length), rtol=1e-3, atol=1e-7)
    # Not that of the loss's own parameters.
    assert torch.equal(cut["loss"], whole["loss"])
    assert all(torch.equal(long[name], whole[name]) for name in whole)


@pytest.mark.parametrize("decay_norms", [True, False])
def test_weight_decay_is_of_what_it_is_for(decay_norms: bool) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2))
    loss = build_loss(Chosen("proxy_anchor", recipe_of_proxies()), 5, 2)
    for parameter in [*network.parameters(), *loss.parameters()]:
        nn.init.ones_(parameter)
        parameter.grad = torch.zeros_like(parameter)
    settings = Recipe.from_dict(
        recipe(optimizer={"name": "adamw", "weight_decay": 0.25, "decay_norms": decay_norms})
    ).optimizer
    optimizer = build_optimizer(network, settings, loss, 0.5)
    for group in optimizer.param_groups:
        group["lr"] = 0.5
    optimizer.step()
    for name, parameter in [*network.named_parameters(), *loss.named_parameters()]:
        flat = name.endswith("bias") or name.startswith("1.")
        pulled = decay_norms or not flat
        expected = 1 - 0.5 * 0.25 * pulled
        torch.testing.assert_close(parameter, torch.full_like(parameter, expected))


def recipe_of_proxies() -> dict[str, Any]:
    values = dict(recipe(loss={"name": "proxy_anchor"})["loss"])
    del values["name"]
    return values


def test_the_mean_of_the_weights_is_what_is_scored_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One step: the mean is 0.9 of its weights, and 0.1 of those before."""
    embed, scored = PixelFeed.embed, list[torch.Tensor]()

    def note(self: PixelFeed, model: nn.Module, rows: np.ndarray) -> np.ndarray:
        scored.append(next(iter(model.state_dict().values())).clone())
        return embed(self, model, rows)

    monkeypatch.setattr(PixelFeed, "embed", note)
    settings = recipe(epochs="auto", steps=1, optimizer={"name": "adamw", "warmup_epochs": 0})
    plain, _ = run(tmp_path / "plain", settings)
    settings["optimizer"]["average"] = 0.99
    mean, _ = run(tmp_path / "mean", settings)
    torch.manual_seed(0)
    before = build_model(Recipe.from_dict(settings).model, PATTERNS.size).state_dict()
    for name, value in mean.items():
        if value.is_floating_point():
            expected = 0.1 * before[name] + 0.9 * plain[name]
            torch.testing.assert_close(value, expected, rtol=1e-4, atol=1e-7)
    first = next(iter(mean.values()))
    assert torch.equal(scored[1], first)
    assert not torch.equal(scored[0], first)
