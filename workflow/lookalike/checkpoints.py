"""The state of a training that is not done, kept outside every rule's output."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from lookalike.files import whole

log = logging.getLogger(__name__)


class Checkpoint:
    """Weights, optimizer state and history of the last finished epoch, in one safetensors file.

    The file's name is a digest of everything that decides the training (recipe, seed, data, code),
    so that no other training goes on from it.
    """

    def __init__(self, folder: Path, key: str) -> None:
        self.path = folder / f"{key}.safetensors"

    def save(
        self, model: nn.Module, optimizer: torch.optim.Optimizer, history: list[dict[str, Any]]
    ) -> None:
        """Replace the state by that of the last epoch in `history`."""
        tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
        for number, state in optimizer.state_dict()["state"].items():
            for name, value in state.items():
                tensors[f"optimizer.{number}.{name}"] = torch.as_tensor(value)
        tensors = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
        with whole(self.path) as beside:
            save_file(tensors, beside, metadata={"history": json.dumps(history)})

    def load(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> list[dict[str, Any]]:
        """Bring model and optimizer to the state kept, if there is one.

        Returns:
            The history so far, a mapping per finished epoch; empty where there is nothing kept.
        """
        try:
            with safe_open(self.path, framework="pt") as stored:
                tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
                history: list[dict[str, Any]] = json.loads(stored.metadata()["history"])
        except FileNotFoundError:
            return []
        weights, state = {}, dict[int, dict[str, torch.Tensor]]()
        for name, value in tensors.items():
            part, _, rest = name.partition(".")
            if part == "model":
                weights[rest] = value
            else:
                number, _, entry = rest.partition(".")
                state.setdefault(int(number), {})[entry] = value
        model.load_state_dict(weights)
        groups = optimizer.state_dict()["param_groups"]
        optimizer.load_state_dict({"state": state, "param_groups": groups})
        log.info("going on after epoch %d, from %s", len(history), self.path)
        return history

    def remove(self) -> None:
        """Forget the state: the training is done."""
        self.path.unlink(missing_ok=True)
