"""How long a training will take: some of its steps, of that very network, on made-up pixels."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from lookalike.images.normalisation import normalise
from lookalike.images.resizing import ImageSettings
from lookalike.jobs.speed import Speeds
from lookalike.models.backbones.frozen import HeadPart
from lookalike.models.backbones.networks import EmbeddingNetwork
from lookalike.models.building import build_model, embedding_dim_of
from lookalike.models.settings import ModelSettings
from lookalike.storage.rows import Rows
from lookalike.training.checkpoints import Checkpoint
from lookalike.training.distributed import fabric_for
from lookalike.training.feeds import FeatureData, TrainingData, TrainingSet
from lookalike.training.health import TrainingHealth
from lookalike.training.loop import Training
from lookalike.training.optimization import fabric_precision, set_learning_rates
from lookalike.training.recipe import Recipe, changes_seen

_BUDGET = 2.5  # seconds that one thing is measured for, about
_LONGEST = 10.0  # seconds of a step that is not done as a whole
_TIMES = 5
_FEW = 4  # images of a first try
_BLOCK = 64  # rows that are made up; all others are these again
# Settings of an optimizer by which a step is as fast, whatever they are.
_OF_RATE = ("lr", "warmup_epochs", "schedule")
# Images that a network embeds at a time, while that is measured.
_MOST_EMBEDDED = 32


@dataclass(frozen=True)
class TrainingCost:
    """What one run's training takes.

    Attributes:
        epochs: as the training counts them.
        steps: of all epochs.
        by_steps: whether the settings give the steps, not the epochs.
        images: that are trained on.
        seconds_a_step: of these steps, where the batches are there in time.
        batch_size: images in a step.
        validated: images that all validations embed.
        features: images that a frozen backbone sees once, all views counted.
        seconds_an_image: that the network takes to embed one.
        parameters: numbers that the network has.
        width: numbers in a feature, where the backbone is frozen; else 0.
        embedding_dim: numbers in an embedding.
        seconds_a_head: that the head takes for the features of one, where the backbone is frozen.
    """

    epochs: int
    steps: int
    by_steps: bool
    images: int
    seconds_a_step: float
    batch_size: float
    validated: int
    features: int
    seconds_an_image: float
    parameters: int
    width: int
    embedding_dim: int
    seconds_a_head: float = 0.0

    def seconds(
        self, decoding: float = 0.0, *, each_epoch: bool = False, features: int | None = None
    ) -> float:
        """How long the training takes, validations and a frozen backbone's features included.

        Args:
            decoding: seconds that decoding an image takes, beside the network.
            each_epoch: whether images are decoded anew for each batch.
            features: how many of the frozen backbone's are not kept yet; None: all.
        """
        new = self.features if features is None else features
        step = self.seconds_a_step
        if each_epoch:
            step = max(step, decoding * self.batch_size)
        image = max(self.seconds_an_image, decoding)
        validation = self.validated * (image if each_epoch else self.seconds_an_image)
        return self.steps * step + (0 if self.width else validation) + new * image


def work_of_step(
    recipe: Mapping[str, Any],
    size: int,
    device: str,
    threads: int,
    processes: int = 1,
    *,
    batch: float,
    classes: int,
) -> list[object]:
    """What decides how long a step of a training takes, beside the machine's own speed.

    Args:
        recipe: its complete settings.
        size: pixels on each side of an image.
        device: cpu, cuda or mps.
        threads: of the CPU.
        processes: that share a batch.
        batch: images in a step, which few classes may make fewer than the settings ask for: the
            mean of the first pass over the images.
        classes: that are trained on; a loss may have parameters of each.
    """
    optimizer = recipe["optimizer"].items()
    return [
        "a step",
        _of_model(recipe),
        [recipe[name] for name in ("train", "views", "memory", "batch", "loss", "miner")],
        {name: value for name, value in optimizer if name not in _OF_RATE},
        [round(batch), classes],
        {change.name: change.own(recipe["augment"]) for change in changes_seen(recipe)},
        "bfloat16" if recipe["precision"] == "bfloat16" else "float32",
        size,
        _device_in_words(device),
        threads,
        processes,
    ]


def training_cost(
    recipe: Mapping[str, Any],
    image: Mapping[str, Any],
    labels: NDArray[np.int64],
    *,
    closed_set: bool,
    device: torch.device,
    threads: int,
    speeds: Speeds,
    trains: bool = True,
) -> TrainingCost:
    """Find out what a run's training takes, by some of its steps where these are not known.

    Args:
        recipe: the run's complete settings.
        image: its image settings.
        labels: int64 [n], the class of each training image.
        closed_set: whether most queries are of these classes.
        device: to train on.
        threads: of the CPU.
        speeds: what is known of this machine.
        trains: whether the run is trained; else it is told how long an image takes, and no more.
    """
    torch.set_num_threads(threads)
    made, settings = Recipe.from_dict(recipe), ImageSettings.from_dict(dict(image))
    torch.manual_seed(0)
    # As fast as with weights that have learned something, and there is nothing to download.
    model = build_model(made.model.without_weights(), settings.size)
    dimension = embedding_dim_of(model, made.model)
    shape = (settings.size, settings.size, 3)
    parameters = sum(value.numel() for value in model.state_dict().values())
    embedded = [
        "an embedding",
        _of_model(recipe),
        settings.size,
        _device_in_words(device.type),
        threads,
    ]
    network = model

    def embed() -> float:
        return _seconds_an_image(network, settings, device)

    frozen = made.train.frozen_backbone
    width = cast(EmbeddingNetwork, model).n_features if frozen else 0
    a_head = 0.0
    if frozen:
        head = HeadPart.of(cast(EmbeddingNetwork, model)).to(device).eval()
        of_head = ["a head", *embedded[1:]]
        a_head = speeds.seconds(of_head, lambda: _seconds_of_head(head, width, device))
    if not (made.train.head and trains):
        an_image = speeds.seconds(embedded, embed)
        return TrainingCost(
            0, 0, False, len(labels), 0, 0, 0, 0, an_image, parameters, width, dimension, a_head
        )
    made = replace(made, model=_with_dimension(recipe, dimension))
    data: TrainingSet = TrainingData(
        _MadeUp(len(labels), shape), labels, settings, None, closed_set
    )
    part: nn.Module = model
    if frozen:
        views = 1 + made.views
        data = FeatureData(_MadeUp(len(labels), (views, width)), labels, None, closed_set)
        part = HeadPart.of(cast(EmbeddingNetwork, model))
    fabric = fabric_for(device, fabric_precision(made.precision))
    probe = _Probe(part, data, made, 0, fabric, Checkpoint(Path(), "probe"))
    batches = probe.batches()
    batch_size = float(np.mean([len(batch) for batch in batches]))
    step = work_of_step(
        recipe,
        settings.size,
        device.type,
        threads,
        batch=batch_size,
        classes=probe.split.n_classes(labels)[0],
    )
    a_step = speeds.seconds(step, lambda: probe.seconds_a_step(batches))
    an_image = speeds.seconds(embedded, embed)
    course = probe.course
    steps = course.steps_left(1, 0, len(batches))
    return TrainingCost(
        epochs=course.epochs,
        steps=steps,
        by_steps=course.steps is not None,
        images=len(probe.chosen),
        seconds_a_step=a_step,
        batch_size=batch_size,
        validated=course.validations_left(1, probe.every) * len(probe.split.gallery)
        if len(probe.split.queries)
        else 0,
        features=len(labels) * (1 + made.views) if frozen else 0,
        seconds_an_image=an_image,
        parameters=parameters,
        width=width,
        embedding_dim=dimension,
        seconds_a_head=a_head,
    )


class _MadeUp:
    """Rows of random bytes or numbers, a few of them again and again; a RowSource."""

    def __init__(self, n: int, row: tuple[int, ...]) -> None:
        self.shape = (n, *row)
        rng = np.random.default_rng(0)
        n_made = max(1, min(n, _BLOCK))
        self._rows: Rows = (
            rng.integers(0, 256, (n_made, *row), np.uint8)
            if len(row) == 3
            else rng.standard_normal((n_made, *row), np.float32)
        )

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any, /) -> Rows:
        chosen: Rows = self._rows[np.arange(len(self))[rows] % len(self._rows)]
        return chosen


class _Probe(Training):
    """A training of which some steps are done, in which nothing is learnt."""

    def batches(self) -> list[NDArray[np.int64]]:
        """Those of the first pass over the images."""
        return self._draw(1)

    def seconds_a_step(self, batches: Sequence[NDArray[np.int64]]) -> float:
        """How long a step takes; of a slow network, as told by a part of a batch."""
        batch = max(batches, key=len)
        health = TrainingHealth(1)
        # No weight moves, so that none can go wrong; all of the network is as it is once thawed.
        set_learning_rates(self.optimizer, 0.0, self.course.epochs)
        self.network.train()
        for module in self.left_as_they_came:
            module.eval()

        def step(n: int) -> None:
            rows = batch[:n]
            self._step(rows, self._load(rows), 0, health)

        return _seconds_of(step, len(batch), self.fabric.device)


def _seconds_an_image(network: nn.Module, image: ImageSettings, device: torch.device) -> float:
    """How long a network takes to embed an image, as the workflow embeds."""
    if isinstance(network, EmbeddingNetwork):
        network = network.for_embedding(image.size)
    network = network.to(device).to(memory_format=torch.channels_last).eval()
    pixels = torch.from_numpy(_MadeUp(_MOST_EMBEDDED, (image.size, image.size, 3))[:])

    def embed(n: int) -> None:
        with torch.inference_mode():
            network(normalise(pixels[:n].to(device), image))

    return _seconds_of(embed, _MOST_EMBEDDED, device) / _MOST_EMBEDDED


def _seconds_of_head(head: nn.Module, width: int, device: torch.device) -> float:
    """How long a head takes for the features of an image."""
    features = torch.from_numpy(_MadeUp(_MOST_EMBEDDED, (width,))[:])

    def embed(n: int) -> None:
        with torch.inference_mode():
            head(features[:n].to(device))

    return _seconds_of(embed, _MOST_EMBEDDED, device) / _MOST_EMBEDDED


def _seconds_of(work: Callable[[int], None], most: int, device: torch.device) -> float:
    """How long work with `most` images takes; by fewer of them where that takes seconds.

    Args:
        work: does it with so many images.
        most: how many.
        device: that is waited for.
    """

    def timed(n: int) -> float:
        begun = time.perf_counter()
        work(n)
        if device.type != "cpu":
            getattr(torch, device.type).synchronize()
        return time.perf_counter() - begun

    few = min(most, _FEW)
    timed(few)  # what is made ready once is not counted
    # Now and then a step has to wait for other work here.
    seconds = min(timed(few) for _ in range(2))
    each = seconds / few
    if each * most > _LONGEST:
        # Part of the time is the same for any number of images; at least half of it is not.
        more = max(few, min(most, int(_BUDGET / each)))
        longer = timed(more) if more > few else seconds
        slope = (longer - seconds) / max(1, more - few)
        return longer + min(max(slope, each / 2), longer / more) * (most - more)
    several = [timed(most), timed(most)]
    while sum(several) < _BUDGET and len(several) < _TIMES:
        several.append(timed(most))
    return statistics.median_low(several)


def _of_model(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """What of the network's settings says how much there is to compute."""
    return {name: value for name, value in recipe["model"].items() if name != "weights"}


def _with_dimension(recipe: Mapping[str, Any], dimension: int) -> ModelSettings:
    settings = ModelSettings.from_dict(recipe["model"])
    return replace(settings, embedding_dim=dimension).without_weights()


def _device_in_words(kind: str) -> str:
    """A kind of device and, of a GPU, its name."""
    return torch.cuda.get_device_name() if kind == "cuda" else kind
