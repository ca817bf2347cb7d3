"""Trainings of a part of a network go on after a stop as if there had been none."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from lookalike.config import merge
from lookalike.models.backbones.frozen import HeadPart
from lookalike.models.backbones.networks import Backbone, EmbeddingNetwork
from lookalike.models.building import with_head
from lookalike.training.checkpoints import Checkpoint
from lookalike.training.feeds import FeatureData, TrainingSet
from lookalike.training.loop import train
from lookalike.training.recipe import Recipe
from support.training import ALONE, blobs, recipe, same, without_times

CLASSES, EACH, N_FEATURES = 12, 4, 10
KEEPS = {
    "optimizer": {"average": 0.6, "clip": 0.2, "decay_norms": False},
    "validation": {"classes": 0.25, "keep": "best"},
}
SLOWER = {"optimizer": {"backbone_lr": 0.5, "layer_decay": 0.5, "thaw_epochs": 2.0}}


def network() -> EmbeddingNetwork:
    torch.manual_seed(0)
    backbone = nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=2),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Conv2d(4, N_FEATURES, 3),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )
    return with_head(
        Backbone(backbone, N_FEATURES, "none"), "bn_linear", embedding_dim=8, normalize=True
    )


def features() -> FeatureData:
    """Three views of each image."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(CLASSES), EACH)
    centres = rng.normal(size=(CLASSES, 1, N_FEATURES))
    views = centres[labels] + rng.normal(size=(len(labels), 3, N_FEATURES))
    return FeatureData(views.astype(np.float32), labels)


@pytest.mark.parametrize(
    "changes",
    [{"train": "head", "views": 2}, merge({"train": {"unfreeze": 2}}, SLOWER)],
    ids=["head", "unfreeze"],
)
def test_a_training_stopped_after_each_step_ends_the_same(
    changes: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Recipe.from_dict(merge(merge(recipe(), KEEPS), changes))

    def run(folder: Path) -> tuple[dict[str, torch.Tensor], list[dict[str, Any]]]:
        whole = network()
        data: TrainingSet = blobs()
        model: nn.Module = whole
        if settings.train.frozen_backbone:
            model, data = HeadPart(whole.head, normalize=whole.normalize), features()
        history = train(model, data, settings, 0, ALONE, Checkpoint(folder, "run"))
        return copy.deepcopy(whole.state_dict()), history

    expected, history = run(tmp_path / "whole")

    class StoppedError(Exception):
        pass

    save, stops = Checkpoint.save, 0

    def save_then_stop(self: Checkpoint, *state: Any) -> None:
        save(self, *state)
        raise StoppedError

    monkeypatch.setattr(Checkpoint, "save", save_then_stop)
    monkeypatch.setattr("lookalike.training.loop.SAVE_EVERY", -1.0)
    while True:
        try:
            found, history_of_parts = run(tmp_path / "parts")
        except StoppedError:
            stops += 1
        else:
            break
    assert stops == sum(int(epoch["steps"]) for epoch in history) + len(history) > 6
    assert same(expected, found)
    assert without_times(history_of_parts) == without_times(history)
    assert not same(expected, network().state_dict())
