"""Where a training's pixels come from does not decide what it makes, and takes no more memory."""

import hashlib
import itertools
import json
import logging
import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from efficientnet_lite_pytorch import EfficientNet

from lookalike.data.manifest_table import read_manifest
from lookalike.embedding.filling import EmbedSettings
from lookalike.errors import LookalikeError
from lookalike.images.normalisation import normalise
from lookalike.images.pixel_store import DecodedRows, training_pixels
from lookalike.images.resizing import ImageSettings
from lookalike.jobs.interruption import Interrupted
from lookalike.jobs.speed import Speeds
from lookalike.models.backbones.sources import packaged_weights
from lookalike.models.building import build_model
from lookalike.steps.embed import embed_split
from lookalike.steps.pixels import write_pixels
from lookalike.steps.train import train_run
from lookalike.storage.cache import forget
from lookalike.storage.files import read_checked, read_json
from lookalike.storage.row_store import Store
from lookalike.storage.rows import RowSource, Selected
from lookalike.training.checkpoints import Checkpoint
from lookalike.training.feeds import TrainingData
from lookalike.training.loop import Training, train
from lookalike.training.probe import training_cost
from lookalike.training.recipe import Recipe
from support.training import ALONE, CLASSES, EACH, IMAGE, Data, job, recipe


def source(made: Data, cache: Path, gb: float) -> RowSource:
    table = read_manifest(made.manifest)
    return training_pixels(table, made.folder, IMAGE, cache, threads=2, pixel_store_gb=gb)


@pytest.mark.parametrize("gb", [1.0, 0.0])
def test_any_rows_are_those_of_the_array(made: Data, tmp_path: Path, gb: float) -> None:
    rows = source(made, tmp_path, gb)
    assert isinstance(rows, DecodedRows) == (gb == 0)
    n = CLASSES * EACH
    assert len(rows) == n
    assert rows.shape == made.pixels.shape
    rng = np.random.default_rng(0)
    mask = rng.random(n) < 0.3
    order = rng.permutation(n)
    for asked in (slice(3, 9), slice(40, 99), slice(5, 5), np.array([7, 0, 7]), mask, order):
        assert np.array_equal(rows[asked], made.pixels[asked])
        assert rows[asked].dtype == np.uint8
        few = Selected(rows, order[:20])
        some = asked if isinstance(asked, slice) else np.flatnonzero(mask[:20])
        assert np.array_equal(few[some], made.pixels[order[:20]][some])
    assert few.shape == (20, 16, 16, 3)


def run(made: Data, here: Path, gb: float, caplog: pytest.LogCaptureFixture) -> tuple[str, str]:
    """Run the step; returns the digest of its weights and history, and what it said."""
    caplog.clear()
    with caplog.at_level(logging.INFO):
        train_run(job(made, here, pixel_store_gb=gb))
    history = pq.read_table(here / "history.parquet")
    told = history.drop_columns(["seconds", "images_per_second"]).to_pylist()
    content = (here / "trained" / "model.safetensors").read_bytes() + repr(told).encode()
    return hashlib.sha256(content).hexdigest(), caplog.text


def test_weights_do_not_depend_on_where_the_pixels_are(
    made: Data, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stored, said = run(made, tmp_path / "stored", 1.0, caplog)
    assert "pixel_store_gb" not in said
    again, said = run(made, tmp_path / "decoded", 0.0, caplog)
    assert again == stored
    assert said.count("image.pixel_store_gb (0)") == 1
    assert not list((tmp_path / "decoded" / "cache").rglob("*.arrow"))
    # In one array, without the step.
    settings = Recipe.from_dict(recipe(validation={"classes": 0.25}))
    labels = np.repeat(np.arange(CLASSES), EACH)
    states: list[dict[str, torch.Tensor]] = []
    for pixels in (made.pixels, source(made, tmp_path / "stored" / "cache", 1.0)):
        torch.manual_seed(0)
        model = build_model(settings.model, IMAGE.size)
        data = TrainingData(pixels, labels, IMAGE)
        train(model, data, settings, 0, ALONE, Checkpoint(tmp_path / str(len(states)), "run"))
        states.append(model.state_dict())
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


def test_outputs_lost_after_the_end_are_written_again_at_once(
    made: Data, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first, _ = run(made, tmp_path, 1.0, caplog)
    # As Snakemake does where a kill came before it had noted the end.
    shutil.rmtree(tmp_path / "trained")
    again, said = run(made, tmp_path, 1.0, caplog)
    assert again == first
    assert "going on after epoch" in said
    assert ", loss" not in said  # no epoch was done
    states = tmp_path / "cache" / "training"
    assert len(list(states.iterdir())) == 1
    # The state of another model stays.
    forget(states, "0" * 32)
    assert len(list(states.iterdir())) == 1
    forget(states, read_json(tmp_path / "trained" / "model.json")["digest"])
    assert list(states.iterdir()) == []


def test_an_image_that_changed_stops_the_training(made: Data, tmp_path: Path) -> None:
    rows = source(made, tmp_path, 0.0)
    assert isinstance(rows, DecodedRows)
    wrong = [(key[::-1], path) for key, path in rows.files]
    data = TrainingData(
        DecodedRows(wrong, IMAGE, threads=2), np.repeat(np.arange(CLASSES), EACH), IMAGE
    )
    settings = Recipe.from_dict(recipe())
    model = build_model(settings.model, IMAGE.size)
    with pytest.raises(LookalikeError, match="changed since the manifest was made"):
        train(model, data, settings, 0, ALONE, Checkpoint(tmp_path, "run"))


def test_the_limit_is_the_store_and_no_less(
    made: Data, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    exact = (CLASSES * EACH - 1) * 16 * 16 * 3 / 1e9  # one image is a copy

    def index(gb: float) -> pa.Table:
        write_pixels(
            made.manifest,
            made.folder,
            tmp_path / "index.parquet",
            image=IMAGE.to_dict(),
            cache=tmp_path / "cache",
            pixel_store_gb=gb,
            threads=1,
        )
        return pq.read_table(tmp_path / "index.parquet")

    with caplog.at_level(logging.INFO):
        small = index(exact * 0.999)
    assert "more than image.pixel_store_gb" in caplog.text
    assert not (tmp_path / "cache").exists()
    # The limit says how pixels come to training, not which: the index does not depend on it.
    whole = index(exact)
    assert len(whole) == CLASSES * EACH - 1
    assert small == whole
    assert len(list((tmp_path / "cache").rglob("*.arrow"))) == 1
    # What is there already is used.
    caplog.clear()
    with caplog.at_level(logging.INFO):
        index(exact * 0.5)
    assert "more than image.pixel_store_gb" not in caplog.text


def peak(work: Callable[[], Any]) -> int:
    """The most bytes that Python and numpy held while `work` ran, above what there was before."""
    work()  # what is made once
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        work()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


@pytest.mark.slow
def test_training_holds_two_batches_however_many_images_there_are(tmp_path: Path) -> None:
    settings = Recipe.from_dict(
        recipe(epochs=1, batch={"name": "shuffled", "size": 16}, validation={"classes": 0.25})
    )
    image = ImageSettings(64, "squash", "white", IMAGE.mean, IMAGE.std, "fast")
    peaks = []
    for classes in (32, 128):
        n = 4 * classes
        store = Store(tmp_path / str(n), (64, 64, 3), np.dtype(np.uint8))
        keys = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(n)]
        rng = np.random.default_rng(0)
        store.add(keys, rng.integers(0, 256, (n, 64, 64, 3), np.uint8))
        data = TrainingData(store.rows(keys), np.repeat(np.arange(classes), 4), image)

        def work(data: TrainingData = data) -> None:
            model = build_model(settings.model, 64)
            train(model, data, settings, 0, ALONE, Checkpoint(tmp_path, "run"))
            (tmp_path / "run.safetensors").unlink()

        peaks.append(peak(work))
    # Four times the images are 4.7 MB more of pixels; a validation's batch is at most 128 of them.
    batch = 128 * 64 * 64 * 3
    assert peaks[1] < peaks[0] + 2.5 * batch
    assert peaks[1] < 4.5 * batch


def test_before_training_a_pretrained_backbone_is_its_own_features(
    made: Data, tmp_path: Path
) -> None:
    network = {"name": "efficientnet_lite", "embedding_dim": 8}
    told = job(made, tmp_path, recipe=recipe(model=network, epochs=1))
    train_run(told)
    before, after = (
        read_json(Path(folder) / "model.json", {"model": dict})
        for folder in (told.untrained, told.trained)
    )
    assert before["model"] == after["model"] | {"head": "none", "embedding_dim": 1280}
    assert after["model"]["embedding_dim"] == 8
    digest = hashlib.sha256(packaged_weights("lite0").read_bytes()).hexdigest()
    for described in (before, after):
        assert described["backbone_weights"] == f"sha256:{digest}"
    # As long a row of the store and of the table as there are features.
    found = {}
    for state in ("untrained", "trained"):
        embed_split(
            made.manifest,
            made.folder,
            tmp_path / state / "model.safetensors",
            tmp_path / state / "query.parquet",
            tmp_path / state / "query.json",
            [],
            EmbedSettings(tmp_path / "cache", "cpu", 32, 1),
        )
        rows = pq.read_table(tmp_path / state / "query.parquet")["embedding"].to_pylist()
        found[state] = np.array(rows, np.float32)
    assert found["trained"].shape == (CLASSES * EACH, 8)
    package = EfficientNet.from_name("efficientnet-lite0", image_size=IMAGE.size).eval()
    package.load_state_dict(torch.load(packaged_weights("lite0"), weights_only=True))
    images = normalise(torch.from_numpy(made.pixels), IMAGE)
    with torch.no_grad():
        features = package.extract_features(images).mean((2, 3))
    expected = torch.nn.functional.normalize(features, dim=1).numpy()
    np.testing.assert_allclose(found["untrained"], expected, atol=1e-4)


def test_weights_that_are_not_there_are_told_before_an_image_is_read(
    made: Data, tmp_path: Path
) -> None:
    weights = tmp_path / "weights.pt"
    torch.save({"other": torch.ones(2)}, weights)
    network = {"name": "timm", "backbone": "test_resnet", "weights": str(weights)}
    told = job(made, tmp_path, recipe=recipe(model=network), folder=str(tmp_path / "nowhere"))
    with pytest.raises(LookalikeError, match=r"weights\.pt: these are not the weights of"):
        train_run(told)


@pytest.mark.parametrize("train_classes", [1.0, 2], ids=str)
def test_the_speed_that_a_training_leaves_is_found_before_the_next_one(
    made: Data, tmp_path: Path, train_classes: float
) -> None:
    settings = recipe(validation={"classes": 0.25}, train_classes=train_classes)
    told = job(made, tmp_path, recipe=settings)
    train_run(told)
    speeds = Speeds(tmp_path / "cache")
    cost = training_cost(
        settings,
        IMAGE.to_dict(),
        np.repeat(np.arange(CLASSES), EACH),
        closed_set=told.closed_set,
        device=torch.device("cpu"),
        threads=told.threads,
        speeds=speeds,
    )
    assert speeds.measured == 1  # how long an image takes to be embedded
    history = pq.read_table(tmp_path / "history.parquet").to_pylist()
    assert cost.seconds_a_step == pytest.approx(
        np.median([epoch["seconds"] / epoch["steps"] for epoch in history])
    )
    # A batch of another part of the classes has another length.
    others = recipe(validation={"classes": 0.25}, train_classes=4)
    again = training_cost(
        others,
        IMAGE.to_dict(),
        np.repeat(np.arange(CLASSES), EACH),
        closed_set=told.closed_set,
        device=torch.device("cpu"),
        threads=told.threads,
        speeds=speeds,
    )
    assert speeds.measured == 2
    assert again.batch_size == 12


def test_the_speed_of_decoding_is_not_kept_as_that_of_a_step(made: Data, tmp_path: Path) -> None:
    train_run(job(made, tmp_path, pixel_store_gb=0.0))
    assert not (tmp_path / "cache" / "speed").exists()
    train_run(job(made, tmp_path / "stored"))
    assert len(list((tmp_path / "stored" / "cache" / "speed").iterdir())) == 1


def test_only_epochs_that_were_done_here_from_their_first_step_tell_the_speed(
    made: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    speed = tmp_path / "cache" / "speed"
    asked = itertools.count()
    with monkeypatch.context() as patched:
        # In the second epoch, after a step of several.
        patched.setattr(Training, "_asked_to_stop", lambda *_: 15 * (next(asked) == 3))
        with pytest.raises(Interrupted):
            train_run(job(made, tmp_path))
    train_run(job(made, tmp_path))
    history = pq.read_table(tmp_path / "history.parquet").to_pylist()
    assert [epoch["steps"] for epoch in history] == [2, 2, 2]
    (kept,) = speed.iterdir()
    assert json.loads(read_checked(kept)) == history[2]["seconds"] / 2
    # From the state of a training that is done, files are written again, and no step is done.
    kept.unlink()
    shutil.rmtree(tmp_path / "trained")
    train_run(job(made, tmp_path))
    assert list(speed.iterdir()) == []
