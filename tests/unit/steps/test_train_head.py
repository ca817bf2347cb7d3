"""A head on a backbone that stays as it came: features are computed once, whatever is on top."""

import logging
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from torch import nn

from lookalike.embedding.filling import EmbedSettings
from lookalike.embedding.forward import embed_pixels
from lookalike.embedding.tables import read_vectors
from lookalike.images.resizing import load_pixels
from lookalike.models.backbones.frozen import FeaturePart
from lookalike.models.backbones.networks import EmbeddingNetwork
from lookalike.models.files import load_model
from lookalike.steps.embed import embed_split
from lookalike.steps.train import train_run
from lookalike.storage.files import read_json
from lookalike.training.job import TrainingJob
from lookalike.training.views import view_changes
from support.training import IMAGE, Data, job, make_data, recipe

SIZE = 32
SEEN_AT = replace(IMAGE, size=SIZE)
BACKBONE = {
    "name": "efficientnet_lite",
    "weights": "none",
    "head": "linear",
    "embedding_dim": 8,
}
CHANGED = {"flip": 0.5, "brightness": 0.3}
KEPT = re.compile(
    r"features: (\d+) images, (\d+) views of each; (\d+) from the cache, (\d+) computed; \d+\.\d s"
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Data:
    return make_data(tmp_path_factory.mktemp("made"))


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """How many images each pass of a backbone saw."""
    seen: list[int] = []
    forward = FeaturePart.forward

    def counted(self: FeaturePart, images: torch.Tensor) -> torch.Tensor:
        seen.append(len(images))
        return forward(self, images)

    monkeypatch.setattr(FeaturePart, "forward", counted)
    yield seen


def head_job(made: Data, here: Path, cache: Path, seed: int = 0, **changes: Any) -> TrainingJob:
    settings = {"model": BACKBONE, "train": "head", "epochs": 4} | changes
    # Without weights of its own, the backbone's are drawn: those of seed 0 for all.
    return job(
        made,
        here,
        recipe=recipe(**settings),
        image=SEEN_AT.to_dict(),
        cache=str(cache),
        seed=seed,
    )


def embedded(made: Data, here: Path, cache: Path, state: str) -> tuple[np.ndarray, dict[str, Any]]:
    output, summary = here / f"{state}.parquet", here / f"{state}.json"
    weights = here / state / "model.safetensors"
    how = EmbedSettings(cache, "cpu", batch_size=32, threads=1)
    embed_split(made.manifest, made.folder, weights, output, summary, [], how)
    return np.concatenate(list(read_vectors(output))), read_json(summary)


def test_features_are_computed_once_for_every_head_loss_and_state(
    made: Data, tmp_path: Path, passes: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    cache = tmp_path / "cache"
    with caplog.at_level(logging.INFO):
        train_run(head_job(made, tmp_path / "one", cache))
    assert KEPT.findall(caplog.text) == [("47", "1", "0", "47")]
    assert sum(passes) == 64  # 47 contents, in passes of 32
    caplog.clear()
    other: dict[str, Any] = {
        "model": BACKBONE | {"head": "mlp", "embedding_dim": 5},
        "loss": {"name": "ntxent"},
    }
    with caplog.at_level(logging.INFO):
        train_run(head_job(made, tmp_path / "two", cache, **other))
    assert KEPT.findall(caplog.text) == [("47", "1", "47", "0")]
    for here in ("one", "two"):
        for state in ("trained", "untrained"):
            vectors, summary = embedded(made, tmp_path / here, cache, state)
            assert (summary["from_store"], summary["embedded"]) == (47, 0)
            # As the whole network gives them, byte for byte.
            model, description = load_model(tmp_path / here / state / "model.safetensors")
            assert description["model"]["embedding_dim"] == vectors.shape[1]
    assert sum(passes) == 64
    assert vectors.tobytes() == whole_network(model, made).tobytes()


def whole_network(model: nn.Module, made: Data) -> np.ndarray:
    names = pq.read_table(made.manifest)["image_id"].to_pylist()
    pixels = np.stack([load_pixels(made.folder / name, SEEN_AT) for name in names])
    assert isinstance(model, EmbeddingNetwork)
    network = model.for_embedding(SIZE).to(memory_format=torch.channels_last)
    return embed_pixels(network, pixels, SEEN_AT)


def test_the_backbone_is_left_as_it_came_and_the_head_learns(made: Data, tmp_path: Path) -> None:
    train_run(head_job(made, tmp_path, tmp_path / "cache", epochs=8))
    before, _ = load_model(tmp_path / "untrained" / "model.safetensors")
    after, _ = load_model(tmp_path / "trained" / "model.safetensors")
    for name, value in before.backbone.state_dict().items():  # type: ignore[union-attr]
        assert torch.equal(after.backbone.state_dict()[name], value), name  # type: ignore[union-attr]
    history = pq.read_table(tmp_path / "history.parquet").to_pylist()
    assert history[-1]["loss"] < history[0]["loss"]


def test_changed_views_are_kept_beside_the_image_itself(
    made: Data, tmp_path: Path, passes: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    cache = tmp_path / "cache"
    train_run(head_job(made, tmp_path / "none", cache))
    passes.clear()
    caplog.clear()
    with caplog.at_level(logging.INFO):
        train_run(head_job(made, tmp_path / "two", cache, views=2, augment=CHANGED))
        train_run(head_job(made, tmp_path / "again", cache, views=1, augment=CHANGED))
    found = KEPT.findall(caplog.text)
    assert found == [("47", "3", "47", "94"), ("47", "2", "94", "0")]
    plain = (tmp_path / "none" / "trained" / "model.safetensors").read_bytes()
    assert (tmp_path / "two" / "trained" / "model.safetensors").read_bytes() != plain


def test_a_view_follows_from_the_images_content_and_the_views_number() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (6, SIZE, SIZE, 3), np.uint8)
    names = [f"{number:064x}" for number in range(6)]
    changes = recipe(augment=CHANGED)["augment"]
    first = view_changes(1, changes, SIZE)
    whole = first(pixels, names)
    assert not np.array_equal(whole, pixels)
    order = [4, 0, 4]
    assert np.array_equal(first(pixels[order], [names[row] for row in order]), whole[order])
    assert not np.array_equal(view_changes(2, changes, SIZE)(pixels, names), whole)
    assert not np.array_equal(first(pixels, names[::-1]), whole)


def test_without_training_the_embeddings_are_the_backbones_features(
    made: Data, tmp_path: Path, passes: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    cache = tmp_path / "cache"
    with caplog.at_level(logging.INFO):
        train_run(head_job(made, tmp_path, cache, train="none"))
    assert "nothing is trained" in caplog.text
    assert re.findall(r"(\w+) model [0-9a-f]{12}", caplog.text) == ["untrained", "unchanged"]
    assert passes == []
    assert len(pq.read_table(tmp_path / "history.parquet")) == 0
    trained, summary = embedded(made, tmp_path, cache, "trained")
    assert (trained.shape[1], summary["embedded"]) == (1280, 47)
    # Of random weights too, what is not trained is what it was.
    files = [tmp_path / state / "model.safetensors" for state in ("untrained", "trained")]
    assert files[0].read_bytes() == files[1].read_bytes()
    before, after = (load_model(file)[1] for file in files)
    assert before["digest"] == after["digest"]
    model, _ = load_model(tmp_path / "trained" / "model.safetensors")
    assert trained.tobytes() == whole_network(model, made).tobytes()
