"""The state of a training that is not done, kept outside every rule's output."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from lookalike.storage.cache import DONE
from lookalike.storage.files import whole

log = logging.getLogger(__name__)


@dataclass
class Position:
    """How far a training has come.

    All chance in training is a function of seed, epoch and step, and so is the learning rate: this
    is the state of the sampler, of the schedule and of every random generator.

    Attributes:
        history: a mapping per finished epoch.
        step: steps done of the epoch after these.
        seconds: spent on these steps.
        sums: of these steps, see `lookalike.training.health`.
    """

    history: list[dict[str, Any]] = field(default_factory=list)
    step: int = 0
    seconds: float = 0.0
    sums: dict[str, float] = field(default_factory=dict)

    @property
    def steps_done(self) -> int:
        """Steps of the whole training so far."""
        return sum(int(epoch["steps"]) for epoch in self.history) + self.step

    def __str__(self) -> str:
        epoch = f"epoch {len(self.history)}"
        return f"step {self.step} after {epoch}" if self.step else epoch


class Checkpoint:
    """Weights of all modules, optimizer state and position of an unfinished training.

    The modules are the network, the loss, which may have parameters of its own, and, where a recipe
    asks for them, the mean of the weights and those of the best epoch.

    All in one safetensors file. Its name is a digest of everything that decides the training
    (recipe, seed, data, code), so that no other training goes on from it.
    """

    def __init__(self, folder: Path, key: str) -> None:
        self.folder, self.key = folder, key
        self.path = folder / f"{key}.safetensors"
        self.epochs_before = 0
        """Epochs that were begun before `load`, in another process: maybe on another machine."""

    @property
    def kept(self) -> Path | None:
        """Where the state is, of an unfinished training or of one that is done."""
        if self.path.exists():
            return self.path
        return next(iter(sorted(self.folder.glob(f"{self.key}.*{DONE}"))), None)

    def save(
        self,
        modules: Mapping[str, nn.Module],
        optimizer: torch.optim.Optimizer,
        position: Position,
    ) -> None:
        """Replace the state that was kept.

        Args:
            modules: by a name without a dot.
            optimizer: of their weights.
            position: how far the training has come.
        """
        tensors = {
            f"{kind}.{name}": value
            for kind, module in modules.items()
            for name, value in module.state_dict().items()
        }
        for number, state in optimizer.state_dict()["state"].items():
            for name, value in state.items():
                tensors[f"optimizer.{number}.{name}"] = torch.as_tensor(value)
        tensors = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
        place = json.dumps(asdict(position))
        metadata = {"position": place, "sha256": _digest_of(tensors, place)}
        with whole(self.path) as beside:
            save_file(tensors, beside, metadata=metadata)

    def load(self, modules: Mapping[str, nn.Module], optimizer: torch.optim.Optimizer) -> Position:
        """Bring modules and optimizer to the state kept, if there is one.

        Returns:
            How far the training had come; the beginning where nothing is kept, or what is kept
            is not what was written.
        """
        path = self.kept
        if path is None:
            return Position()
        try:
            with safe_open(path, framework="pt") as stored:
                tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
                place, sha256 = (stored.metadata()[key] for key in ("position", "sha256"))
                if _digest_of(tensors, place) != sha256:
                    raise ValueError("its content is not what it was when it was written")
                position = Position(**json.loads(place))
        except (OSError, KeyError, TypeError, ValueError, SafetensorError) as error:
            log.warning(
                "warning: the state kept in %s is left aside, the training begins anew: %s",
                path,
                error,
            )
            return Position()
        weights: dict[str, dict[str, torch.Tensor]] = {kind: {} for kind in modules}
        state = dict[int, dict[str, torch.Tensor]]()
        for name, value in tensors.items():
            kind, _, rest = name.partition(".")
            if kind in weights:
                weights[kind][rest] = value
            else:
                number, _, entry = rest.partition(".")
                state.setdefault(int(number), {})[entry] = value
        for kind, module in modules.items():
            module.load_state_dict(weights[kind])
        groups = optimizer.state_dict()["param_groups"]
        optimizer.load_state_dict({"state": state, "param_groups": groups})
        self.epochs_before = len(position.history) + bool(position.step)
        log.info("going on after %s, from %s", position, path)
        return position

    def finish(self, model_digest: str) -> None:
        """Mark the training as done: it made the model of this digest.

        The state is kept until the model is used (see `storage.cache.forget`). Should a kill come
        before Snakemake has noted that the job is finished, it deletes the outputs: from the state
        they are written again at once.
        """
        if self.path.exists():
            self.path.replace(self.folder / f"{self.key}.{model_digest}{DONE}")


def _digest_of(tensors: Mapping[str, torch.Tensor], place: str) -> str:
    content = hashlib.sha256(place.encode())
    for name in sorted(tensors):
        content.update(f"{name} {tensors[name].dtype} {tuple(tensors[name].shape)}".encode())
        content.update(tensors[name].reshape(-1).view(torch.uint8).numpy().data)
    return content.hexdigest()
