"""What holds on a CPU holds on a GPU: each test runs on both, or compares them.

`pytest -m cuda tests/unit/test_cuda.py tests/unit/retrieval/test_counting_gpu.py` runs those that
need a GPU. This file needs no Snakemake, torchvision or jsonschema.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from torch import nn

from lookalike.embedding.forward import embed_pixels
from lookalike.images.resizing import ImageSettings
from lookalike.jobs.interruption import Interrupted
from lookalike.jobs.torch_devices import choose_device, repeatable
from lookalike.models.building import build_model
from lookalike.models.cnn4 import ImageSimilarityModel
from lookalike.models.settings import ModelSettings
from lookalike.retrieval.evaluation import evaluate_items
from lookalike.retrieval.settings import MetricsSettings
from lookalike.retrieval.streams import Items
from lookalike.training.checkpoints import Checkpoint
from lookalike.training.distributed import fabric_for
from lookalike.training.feeds import TrainingData
from lookalike.training.health import TrainingHealth
from lookalike.training.loop import train
from lookalike.training.losses.table import LOSSES
from lookalike.training.optimization import fabric_precision
from lookalike.training.recipe import Recipe
from support.devices import DEVICES, GPU
from support.project import ROOT

DEFAULT = yaml.safe_load((ROOT / "config.yaml").read_text())["recipes"]["default"]
MEAN_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
IMAGE = ImageSettings(16, "squash", "white", *MEAN_STD, "fast")
# Of an embedding's length: how far that of another device may be from it (docs/performance.md).
TOLERANCE = 1e-4


def recipe(loss: str = "contrastive", **changes: Any) -> dict[str, Any]:
    small = {
        "model": {"name": "cnn4", "embedding_dim": 8, "batch_norm": True, "normalize": True},
        "loss": {
            "name": loss,
            **{setting.name: setting.default for setting in LOSSES[loss].every_setting},
        },
        "batch": {"name": "balanced", "classes": 6, "images_per_class": 3},
        "epochs": 2,
        "validation": {**DEFAULT["validation"], "classes": 0.25},
    }
    return {**DEFAULT, **small, **changes}


def noisy(classes: int = 12, each: int = 3) -> TrainingData:
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(classes), each)
    clean = rng.integers(0, 256, (classes, 4, 4, 3))[labels].repeat(4, axis=1).repeat(4, axis=2)
    pixels = (clean + rng.normal(0, 60, clean.shape)).clip(0, 255).astype(np.uint8)
    return TrainingData(pixels, labels, IMAGE)


def trained(folder: Path, settings: dict[str, Any], device: str) -> dict[str, torch.Tensor]:
    repeatable()
    made = Recipe.from_dict(settings)
    fabric = fabric_for(choose_device(device), fabric_precision(made.precision))
    torch.manual_seed(0)
    model = build_model(made.model, IMAGE.size)
    train(model, noisy(), made, 0, fabric, Checkpoint(folder, "run"))
    return model.state_dict()


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(value, b[name]) for name, value in a.items())


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    ("loss", "precision"), [*((loss, "auto") for loss in LOSSES.names), ("contrastive", "bfloat16")]
)
def test_training_repeats_itself(tmp_path: Path, device: str, loss: str, precision: str) -> None:
    settings = recipe(loss, precision=precision)
    first = trained(tmp_path / "a", settings, device)
    torch.rand(3, device=device)
    assert same(first, trained(tmp_path / "b", settings, device))


@pytest.mark.parametrize("device", DEVICES)
def test_a_training_with_a_miner_that_draws_and_a_memory_repeats_itself(
    tmp_path: Path, device: str
) -> None:
    settings = recipe("triplet", memory=40)
    settings["miner"] = {"name": "distance_weighted", "cutoff": 0.5, "nonzero_loss_cutoff": 1.4}
    first = trained(tmp_path / "a", settings, device)
    assert same(first, trained(tmp_path / "b", settings, device))


@pytest.mark.parametrize("device", DEVICES)
def test_a_training_stopped_twice_ends_the_same(
    tmp_path: Path, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = trained(tmp_path / "whole", recipe(), device)

    class KilledError(Exception):
        pass

    save, record, steps = Checkpoint.save, TrainingHealth.record_step, 0

    def save_then_end(self: Checkpoint, *state: Any) -> None:
        save(self, *state)
        raise KilledError

    def record_then_stop(self: TrainingHealth, *noted: Any) -> None:
        nonlocal steps
        record(self, *noted)
        steps += 1
        if steps == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr("lookalike.training.loop.SAVE_EVERY", -1.0)
    with monkeypatch.context() as killed, pytest.raises(KilledError):
        killed.setattr(Checkpoint, "save", save_then_end)
        trained(tmp_path / "parts", recipe(), device)
    with monkeypatch.context() as stopped, pytest.raises(Interrupted):
        stopped.setattr(TrainingHealth, "record_step", record_then_stop)
        trained(tmp_path / "parts", recipe(), device)
    assert same(whole, trained(tmp_path / "parts", recipe(), device))


def network(size: int, **changes: bool) -> tuple[ImageSimilarityModel, ImageSettings]:
    torch.manual_seed(0)
    model = build_model(ModelSettings.from_dict(DEFAULT["model"] | changes), size)
    assert isinstance(model, ImageSimilarityModel)
    return model, ImageSettings(size, "squash", "white", *MEAN_STD, "fast")


def pixels(n: int, size: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, size, size, 3), dtype=np.uint8)


def off_by(a: np.ndarray, b: np.ndarray) -> float:
    """The largest distance of two embeddings of an image, as a share of their length."""
    away = np.linalg.norm(a.astype(float) - b, axis=1)
    return float((away / np.linalg.norm(b.astype(float), axis=1)).max())


@pytest.mark.parametrize("device", [GPU])
@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("size", [64, 224])
def test_a_gpu_embeds_as_a_cpu_does(device: str, normalize: bool, size: int) -> None:
    model, image = network(size, batch_norm=normalize, normalize=normalize)
    model.to(memory_format=torch.channels_last)
    images = pixels(40, size)
    expected = embed_pixels(model, images, image)
    assert (
        off_by(embed_pixels(model.to(choose_device(device)), images, image), expected) < TOLERANCE
    )


def rounded_to_tf32(values: torch.Tensor) -> torch.Tensor:
    """To the nearest of 10 bits after the point of each number."""
    return ((values.contiguous().view(torch.int32) + 2**12) & ~(2**13 - 1)).view(torch.float32)


def test_the_tolerance_tells_float32_from_tf32() -> None:
    model, image = network(64)
    images = pixels(8, 64)
    embedded = embed_pixels(model, images, image)
    x = torch.from_numpy(images).permute(0, 3, 1, 2).double() / 255
    mean, std = (torch.tensor(some).double()[:, None, None] for some in MEAN_STD)
    with torch.inference_mode():
        layers = model.double().eval().features((x - mean) / std).flatten(1)
        exact = nn.functional.normalize(model.fc(layers), dim=1).numpy()
    assert off_by(embedded, exact) < TOLERANCE / 10

    model.float()
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.weight.data = rounded_to_tf32(layer.weight.data)
            layer.register_forward_pre_hook(lambda _, given: (rounded_to_tf32(given[0]),))
    assert off_by(embed_pixels(model, images, image), exact) > 2 * TOLERANCE


def test_a_device_is_chosen_without_tf32() -> None:
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.backends.cudnn.allow_tf32 = True
    choose_device("cpu")
    assert not torch.backends.cuda.matmul.allow_tf32
    assert not torch.backends.cudnn.allow_tf32
    assert torch.get_float32_matmul_precision() == "highest"


@pytest.mark.parametrize("device", DEVICES)
def test_an_embedding_does_not_depend_on_its_batch(device: str) -> None:
    model, image = network(32)
    model.to(choose_device(device)).to(memory_format=torch.channels_last)
    images = pixels(70, 32)
    alone = np.concatenate([embed_pixels(model, images[at : at + 1], image) for at in (0, 33, 69)])
    for batch_size in (1, 32, 50, 128):
        among = embed_pixels(model, images, image, batch_size)[[0, 33, 69]]
        # Exact on a CPU; a GPU's kernels promise no more than this.
        assert off_by(among, alone) <= (0 if device == "cpu" else 1e-6)


@pytest.mark.parametrize("device", [GPU])
@pytest.mark.parametrize("score", ["cosine", "euclidean"])
def test_a_gpu_ranks_exactly_as_a_cpu_does(device: str, score: str) -> None:
    # Scores that are exact in float32, and many of them equal.
    rng = np.random.default_rng(0)
    axes = np.array([[3, 0], [1, 0], [-2, 0], [0, 5], [0, -1]], np.float32)

    def items(name: str, n: int) -> Items:
        vectors = (
            axes[rng.integers(len(axes), size=n)]
            if score == "cosine"
            else rng.integers(-9, 10, (n, 2)).astype(np.float32)
        )
        labels = [f"class {label}" for label in rng.integers(20, size=n)]
        return Items.of([f"{name}{at}" for at in range(n)], labels, vectors)

    queries, gallery = items("q", 1500), items("g", 9000)
    settings = MetricsSettings(k=[1, 10, 50])
    here, there = (
        evaluate_items(queries, gallery, score=score, settings=settings, device=where)
        for where in (torch.device("cpu"), choose_device(device))
    )
    assert here.summary == there.summary
    assert here.rankings.equals(there.rankings)
    assert here.per_query.equals(there.per_query)
