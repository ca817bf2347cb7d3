"""Backbones for tests, made by settings as a recipe's."""

from __future__ import annotations

from typing import Any

import torch

from lookalike.models.backbones.networks import EmbeddingNetwork
from lookalike.models.building import build_model
from lookalike.models.settings import ModelSettings
from lookalike.models.table import MODELS


def settings_of_backbone(name: str, **changes: Any) -> dict[str, Any]:
    """A complete `model` mapping, by default with random weights."""
    defaults = {setting.name: setting.default for setting in MODELS[name].settings}
    return defaults | {"name": name, "weights": "none"} | changes


def backbone(name: str, size: int = 64, **changes: Any) -> EmbeddingNetwork:
    """A network of these settings, in evaluation mode."""
    torch.manual_seed(0)
    settings = settings_of_backbone(name, **changes)
    network = build_model(ModelSettings.from_dict(settings), size)
    assert isinstance(network, EmbeddingNetwork)
    return network.eval()


def with_statistics(network: torch.nn.Module) -> torch.nn.Module:
    """The network, with batch normalisations that do something, as after a training."""
    generator = torch.Generator().manual_seed(1)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1, generator=generator)  # type: ignore[union-attr]
            module.running_var.uniform_(0.5, 2, generator=generator)  # type: ignore[union-attr]
            module.weight.data.uniform_(0.5, 1.5, generator=generator)
            module.bias.data.normal_(0, 0.1, generator=generator)
    return network
