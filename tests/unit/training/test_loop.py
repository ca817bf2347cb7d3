import copy
import json
import logging
import os
import signal
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import nn

from lookalike.config import resolve
from lookalike.embedding.forward import embed_pixels
from lookalike.errors import LookalikeError
from lookalike.jobs.interruption import Interrupted
from lookalike.models.building import build_model
from lookalike.records import Chosen
from lookalike.storage.yaml_files import read_yaml
from lookalike.training.augmentation import augment, build_augmentation
from lookalike.training.checkpoints import Checkpoint, Position
from lookalike.training.feeds import TrainingData
from lookalike.training.health import TrainingHealth, relative_spread
from lookalike.training.lessons import never_taught, taught_nothing
from lookalike.training.loop import train
from lookalike.training.losses.building import build_loss
from lookalike.training.losses.table import LOSSES
from lookalike.training.losses.value import LossValue
from lookalike.training.optimization import fabric_precision, share_of_rate
from lookalike.training.recipe import OptimizerSettings, Recipe
from lookalike.training.sampling import epoch_batches
from lookalike.training.seeding import hash_seed
from lookalike.training.validation import HeldOutScores, leave_one_out_scores
from support.project import ROOT
from support.training import ALONE, PATTERNS, REMEMBERING, blobs, recipe, run, same, without_times

SCHEMA = read_yaml(ROOT / "workflow" / "schemas" / "config.schema.yaml")


# Of the 12 classes of `blobs`, a tenth is none.
WHOLE_CLASSES = {"validation": {"of": "classes"}}


def test_training_repeats_itself_and_another_seed_does_not(tmp_path: Path) -> None:
    first, history = run(tmp_path / "a", recipe())
    # What the rest of the process does with torch's random numbers has no say in it.
    torch.rand(7)
    again, history_again = run(tmp_path / "b", recipe())
    assert same(first, again)
    assert without_times(history) == without_times(history_again)
    other, _ = run(tmp_path / "c", recipe(), seed=1)
    assert not same(first, other)


@pytest.mark.parametrize(
    ("optimizer", "changes"),
    [
        ({"name": "adam"}, {"loss": {"name": "multi_similarity"}, **WHOLE_CLASSES}),
        ({"name": "adamw"}, {"loss": {"name": "multi_similarity"}, **WHOLE_CLASSES}),
        ({"name": "sgd"}, {"loss": {"name": "multi_similarity"}, **WHOLE_CLASSES}),
        # These have parameters of their own.
        *[
            ({"name": "adamw"}, {"loss": {"name": loss.name}, **WHOLE_CLASSES})
            for loss in LOSSES
            if loss.own_lr
        ],
        # A memory that is filled in the midst of the second epoch, and a miner that draws.
        ({"name": "adamw"}, {**REMEMBERING, "memory": 110, **WHOLE_CLASSES}),
        # All that a training may keep: the mean of the weights, those of the best epoch.
        (
            {"name": "adamw", "average": 0.6, "clip": 0.2, "decay_norms": False},
            {
                "loss": {"name": "proxy_anchor"},
                "epochs": "auto",
                "steps": 40,
                "validation": {"classes": 0.25, "keep": "best", "patience": 9},
            },
        ),
    ],
    ids=str,
)
def test_a_training_stopped_after_each_step_ends_the_same(
    tmp_path: Path,
    optimizer: dict[str, Any],
    changes: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = recipe(optimizer=optimizer, **changes)
    whole, history = run(tmp_path / "whole", settings)

    class StoppedError(Exception):
        pass

    save, kept = Checkpoint.save, list[Position]()

    def save_then_stop(self: Checkpoint, *state: Any) -> None:
        save(self, *state)
        kept.append(copy.deepcopy(state[-1]))
        raise StoppedError

    monkeypatch.setattr(Checkpoint, "save", save_then_stop)
    monkeypatch.setattr("lookalike.training.loop.SAVE_EVERY", -1.0)
    steps = sum(int(epoch["steps"]) for epoch in history)
    # The last state kept is that of the last epoch: there is nothing left to do.
    for _ in range(steps + len(history)):
        with pytest.raises(StoppedError):
            run(tmp_path / "parts", settings)
    resumed, history_of_parts = run(tmp_path / "parts", settings)
    assert same(whole, resumed)
    assert without_times(history_of_parts) == without_times(history)
    places = [(len(position.history), position.step) for position in kept]
    assert places == sorted(set(places))
    assert len(places) == steps + len(history) > 12


def test_a_losss_own_parameters_are_trained_at_their_own_rate_and_kept_apart(
    tmp_path: Path,
) -> None:
    settings = recipe(
        loss={"name": "proxy_anchor", "proxy_lr": 0.25},
        optimizer={"name": "sgd", "momentum": 0.0, "weight_decay": 0.0},
        validation={"classes": 0.0},
        epochs=1,
    )
    batches = [np.arange(12) * 4]
    moved = {}
    with pytest.MonkeyPatch.context() as patch:
        # One step, at the highest rate.
        patch.setattr("lookalike.training.loop.epoch_batches", lambda *_: batches)
        patch.setattr("lookalike.training.loop.share_of_rate", lambda *_: 1.0)
        for lr in (0.25, 0.5):
            settings["loss"]["proxy_lr"] = lr
            weights, _ = run(tmp_path / str(lr), settings)
            kept = load_file(tmp_path / str(lr) / "run.safetensors")
            moved[lr] = kept["loss.loss.proxies"]
            assert moved[lr].shape == (12, 8)
            assert not [name for name in weights if "prox" in name]
            assert {f"model.{name}" for name in weights} <= kept.keys()
    made = Recipe.from_dict(settings)
    first = build_loss(made.loss, 12, 8, hash_seed(0)).state_dict()["loss.proxies"]
    assert not torch.equal(moved[0.25], first)
    torch.testing.assert_close(moved[0.5] - first, 2 * (moved[0.25] - first), rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("loss", [loss.name for loss in LOSSES if loss.own_lr])
def test_each_losss_own_parameters_are_trained_and_kept_out_of_the_model(
    tmp_path: Path, loss: str
) -> None:
    settings = recipe(loss={"name": loss}, epochs=1, validation={"classes": 0.0})
    weights, _ = run(tmp_path, settings)
    kept = load_file(tmp_path / "run.safetensors")
    made = Recipe.from_dict(settings)
    (own,) = build_loss(made.loss, 12, 8, hash_seed(0)).state_dict().items()
    assert kept[f"loss.{own[0]}"].shape == own[1].shape
    assert not torch.equal(kept[f"loss.{own[0]}"], own[1])
    assert weights.keys() == build_model(made.model, PATTERNS.size).state_dict().keys()


def test_a_memory_is_kept_with_the_state_and_is_none_of_the_model(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = recipe(**REMEMBERING, epochs=1, validation={"classes": 0.0})
    with caplog.at_level(logging.INFO):
        weights, history = run(tmp_path, settings)
    assert "compared with the latest 40 images, its own among them\n" in caplog.text
    kept = load_file(tmp_path / "run.safetensors")
    assert kept["loss.memory.embedding_memory"].shape == (40, 8)
    assert kept["loss.memory.embedding_memory"].norm(dim=1).tolist() == pytest.approx([1] * 40)
    images = history[0]["images"]
    assert kept["loss.memory._extra_state"].tolist() == [images % 40, 1]
    assert weights.keys() == build_model(Recipe.from_dict(settings).model, 16).state_dict().keys()


def test_what_a_miner_draws_does_not_depend_on_what_the_network_draws(tmp_path: Path) -> None:
    settings = recipe(**REMEMBERING, epochs=1)
    made = Recipe.from_dict(settings)

    class Drawing(nn.Module):
        """A network that draws, as one of several processes does for its own images."""

        def __init__(self, numbers: int) -> None:
            super().__init__()
            self.network, self.numbers = build_model(made.model, PATTERNS.size), numbers

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            torch.rand(self.numbers)
            embeddings: torch.Tensor = self.network(images)
            return embeddings

    histories = []
    for numbers in (0, 7):
        torch.manual_seed(0)
        checkpoint = Checkpoint(tmp_path / str(numbers), "run")
        settings["validation"]["classes"] = 0.0
        model = Drawing(numbers)
        histories.append(train(model, blobs(), made, 0, ALONE, checkpoint))
    assert without_times(histories[0]) == without_times(histories[1])


def test_what_a_loss_draws_is_of_its_seed_alone() -> None:
    chosen = Chosen.from_dict(recipe(loss={"name": "proxy_anchor"})["loss"])
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = build_loss(chosen, 5, 4, seed=7).state_dict()["loss.proxies"]
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    assert torch.equal(build_loss(chosen, 5, 4, seed=7).state_dict()["loss.proxies"], first)
    assert not torch.equal(build_loss(chosen, 5, 4, seed=8).state_dict()["loss.proxies"], first)


def test_the_next_epochs_batches_are_drawn_while_one_trains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn, begun = list[int](), [threading.Event() for _ in range(6)]

    def draw(*arguments: Any) -> list[np.ndarray]:
        epoch = arguments[-1]
        drawn.append(epoch)
        begun[epoch].set()
        return epoch_batches(*arguments)

    record = TrainingHealth.record_step

    def wait_for_the_next(self: TrainingHealth, *noted: Any) -> None:
        record(self, *noted)
        if self.epoch < 4:
            assert begun[self.epoch + 1].wait(30)
        # One epoch ahead and no more, however long the training.
        assert max(drawn) <= self.epoch + 1

    monkeypatch.setattr("lookalike.training.loop.epoch_batches", draw)
    monkeypatch.setattr(TrainingHealth, "record_step", wait_for_the_next)
    run(tmp_path, recipe(epochs=4))
    assert drawn == [1, 2, 3, 4]

    class StoppedError(Exception):
        pass

    def stop_in_the_third(self: TrainingHealth, *noted: Any) -> None:
        record(self, *noted)
        if self.epoch == 3:
            raise StoppedError

    # A training that goes on draws what is left, nothing of the epochs behind it.
    monkeypatch.setattr(TrainingHealth, "record_step", stop_in_the_third)
    with pytest.raises(StoppedError):
        run(tmp_path / "parts", recipe(epochs=4))
    monkeypatch.setattr(TrainingHealth, "record_step", record)
    drawn.clear()
    run(tmp_path / "parts", recipe(epochs=4))
    assert drawn == [3, 4]


def test_the_log_counts_what_is_trained_on_and_says_what_comes_how_often(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """40 images of one class, 3 of each of 4, and 5 images that are alone in their class."""
    labels = np.repeat(np.arange(10), [40, *[3] * 4, *[1] * 5])
    pixels = np.random.default_rng(0).integers(0, 256, (len(labels), 16, 16, 3), np.uint8)
    data, none = TrainingData(pixels, labels, PATTERNS), {"classes": 0.0}
    balanced = {"classes": 3, "images_per_class": 2}
    with caplog.at_level("INFO", logger="lookalike.training"):
        _, history = run(tmp_path, recipe(epochs=1, batch=balanced, validation=none), data=data)
    said = [record.getMessage() for record in caplog.records]
    assert "training on 52 images, 1 epochs" in said
    assert [line for line in said if "not used" in line and "5 of 57 images" in line]
    # 20 batches for the large class, and 2 places in each for 12 images of 4 others: 80 draws.
    assert (history[0]["steps"], history[0]["images"]) == (20, 120)
    [line] = [line for line in said if "differ in size" in line]
    assert "20 batches" in line
    assert "a class of 40 images is drawn 1.0 times" in line
    assert "of a class of 3 images 6.7 times" in line

    caplog.clear()
    shuffled = {"name": "shuffled", "size": 19}
    with caplog.at_level("INFO", logger="lookalike.training"):
        _, history = run(
            tmp_path / "s", recipe(epochs=1, batch=shuffled, validation=none), data=data
        )
    said = [record.getMessage() for record in caplog.records]
    assert "training on 57 images, 1 epochs" in said
    assert not [line for line in said if "not used" in line or "differ in size" in line]
    assert history[0]["images"] == 57


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_a_training_after_its_step_and_it_goes_on(
    tmp_path: Path, number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, _ = run(tmp_path / "whole", recipe())
    before = signal.getsignal(number)
    record, seen = TrainingHealth.record_step, 0

    def record_then_signal(self: TrainingHealth, *noted: Any) -> None:
        nonlocal seen
        record(self, *noted)
        seen += 1
        if seen == 6:
            os.kill(os.getpid(), number)

    monkeypatch.setattr(TrainingHealth, "record_step", record_then_signal)
    with pytest.raises(Interrupted) as stopped:
        run(tmp_path / "parts", recipe())
    assert stopped.value.code == 128 + number
    assert seen == 6
    assert signal.getsignal(number) == before
    resumed, history = run(tmp_path / "parts", recipe())
    assert same(whole, resumed)
    # The six steps were not done again.
    assert seen == sum(int(epoch["steps"]) for epoch in history)


def test_a_warning_keeps_the_state_and_training_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save, kept = Checkpoint.save, list[tuple[int, int]]()

    def note(self: Checkpoint, *state: Any) -> None:
        save(self, *state)
        kept.append((len(state[-1].history), state[-1].step))

    record = TrainingHealth.record_step

    def record_then_warn(self: TrainingHealth, *noted: Any) -> None:
        record(self, *noted)
        if (self.epoch, self.steps_done) == (2, 3):
            os.kill(os.getpid(), signal.SIGUSR1)

    monkeypatch.setattr(Checkpoint, "save", note)
    monkeypatch.setattr(TrainingHealth, "record_step", record_then_warn)
    run(tmp_path, recipe(**WHOLE_CLASSES))
    assert kept == [(1, 0), (1, 3), (2, 0), (3, 0)]


def test_a_signal_in_a_validation_keeps_the_epochs_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = recipe(validation={"classes": 0.25})
    whole, history = run(tmp_path / "whole", settings)
    asked = 0

    def interrupted(*arguments: Any) -> HeldOutScores:
        nonlocal asked
        asked += 1
        if asked == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return leave_one_out_scores(*arguments)

    monkeypatch.setattr("lookalike.training.loop.leave_one_out_scores", interrupted)
    steps, record = 0, TrainingHealth.record_step

    def count(self: TrainingHealth, *noted: Any) -> None:
        nonlocal steps
        steps += 1
        record(self, *noted)

    monkeypatch.setattr(TrainingHealth, "record_step", count)
    with pytest.raises(Interrupted):
        run(tmp_path / "parts", settings)
    resumed, history_of_parts = run(tmp_path / "parts", settings)
    assert same(whole, resumed)
    assert without_times(history_of_parts) == without_times(history)
    assert steps == sum(int(epoch["steps"]) for epoch in history)


def test_training_beats_the_untrained_network_on_classes_it_never_saw(tmp_path: Path) -> None:
    data = blobs(classes=40)
    settings = Recipe.from_dict(recipe(epochs=12, validation={"classes": 0.0}))
    seen, unseen = data.labels < 28, data.labels >= 28
    torch.manual_seed(0)
    model = build_model(settings.model, PATTERNS.size)

    def score() -> float:
        vectors = embed_pixels(model, data.pixels[unseen], PATTERNS)
        value = leave_one_out_scores(vectors, data.labels[unseen], "cosine", 10).at_k
        assert value is not None
        return value

    untrained = score()
    part = TrainingData(data.pixels[seen], data.labels[seen], PATTERNS)
    history = train(model, part, settings, 0, ALONE, Checkpoint(tmp_path, "run"))
    assert score() > untrained + 0.1
    losses = [float(row["loss"] or 0) for row in history]
    assert losses[-1] < losses[0]


def test_validation_is_on_held_out_classes_every_so_many_epochs(tmp_path: Path) -> None:
    _, history = run(tmp_path, recipe(validation={"of": "classes", "classes": 0.25, "every": 2}))
    assert [row["validation_mAP@10"] is None for row in history] == [True, False, True]
    # 9 of the 12 classes are left to train on, 4 images each in groups of 3.
    assert all(row["images"] == 9 * 6 for row in history)
    _, history = run(tmp_path / "none", recipe(validation={"classes": 0.0}))
    assert all(row["validation_mAP@10"] is None for row in history)


def test_leave_one_out_scores_by_hand() -> None:
    vectors = np.array([[0.0], [1.0], [1.5], [9.0]], np.float32)
    labels = np.array([0, 0, 1, 1])
    # Query 0: the other 0 first (1). Query 1: nearest is a 1, then the 0 (1/2).
    # Query 2: 1.0, then 0.0, then 9.0 (1/3). Query 3: 1.5 first (1).
    expected = (1 + 1 / 2 + 1 / 3 + 1) / 4
    # Each has one to find, so mAP@R is the share that has it in the first place: 0 and 3.
    scores = leave_one_out_scores(vectors, labels, "euclidean", 10)
    assert scores == pytest.approx((expected, 2 / 4))
    assert leave_one_out_scores(vectors, np.arange(4), "euclidean", 10) == (None, None)
    # The others lie in the gallery alone.
    scores = leave_one_out_scores(vectors, labels, "euclidean", 10, 2)
    assert scores == pytest.approx((3 / 4, 1 / 2))
    of_none = leave_one_out_scores(vectors, np.array([0, 1, 2, 2]), "euclidean", 10, 2)
    assert of_none == (None, None)


def test_a_loss_that_is_not_finite_stops_with_the_reason(tmp_path: Path) -> None:
    settings = recipe(
        model={"embedding_dim": 8, "normalize": False, "batch_norm": False},
        loss={"name": "contrastive"},
        optimizer={"name": "sgd", "lr": 1e6, "warmup_epochs": 0},
    )
    with pytest.raises(LookalikeError, match=r"the loss is (nan|inf) at epoch 1, step \d+.*lr"):
        run(tmp_path, settings)


def test_embeddings_that_collapse_stop_with_the_reason(tmp_path: Path) -> None:
    data = blobs()
    one_image = TrainingData(np.repeat(data.pixels[:1], len(data.pixels), 0), data.labels, PATTERNS)
    plain = dict.fromkeys(["flip", "rotate", "aspect", "brightness", "contrast"], 0.0)
    off = plain | {"saturation": 0.0, "grayscale": 0.0, "scale": 1.0}
    with pytest.raises(LookalikeError, match="collapsed to one point"):
        run(tmp_path, recipe(augment=off), data=one_image)


def test_relative_spread_by_closed_form() -> None:
    assert relative_spread(torch.ones(5, 3)) == 0
    # Two opposite points: their mean is 0, so all of their length is spread.
    assert relative_spread(torch.tensor([[3.0, 4.0], [-3.0, -4.0]])) == pytest.approx(1)
    # Orthogonal unit vectors e1..en: 1 - 1/n of the squared length.
    assert relative_spread(torch.eye(4)) == pytest.approx((1 - 1 / 4) ** 0.5)
    assert torch.isfinite(relative_spread(torch.zeros(3, 2)))


def rate(settings: dict[str, Any], epochs_done: float) -> float:
    made = Recipe.from_dict(settings)
    return made.optimizer.lr * share_of_rate(made.optimizer, settings["epochs"], epochs_done)


def test_learning_rate_by_closed_form() -> None:
    settings = recipe(epochs=11, optimizer={"name": "adam", "lr": 0.4, "warmup_epochs": 1})
    assert rate(settings, 0.0) == pytest.approx(0.004)
    assert rate(settings, 0.5) == pytest.approx(0.2)
    assert rate(settings, 1.0) == pytest.approx(0.4)
    assert rate(settings, 6.0) == pytest.approx(0.2)
    assert rate(settings, 11.0) == pytest.approx(0.0)
    constant = recipe(optimizer={"name": "adam", "warmup_epochs": 0, "schedule": "constant"})
    assert {rate(constant, done / 7) for done in range(21)} == {0.001}
    brief = recipe(optimizer={"name": "adam", "lr": 0.4, "warmup_epochs": 0.001})
    assert rate(brief, 0.0) == pytest.approx(0.004)
    assert rate(brief, 0.0005) == pytest.approx(0.2)


@hypothesis_settings(deadline=None, derandomize=True)
@given(
    warmup=st.floats(0, 20) | st.floats(0, 0.02) | st.sampled_from([5e-324, 1e-300, 1e-9, 0.01, 1]),
    epochs=st.integers(1, 12),
    steps=st.integers(1, 200),
    schedule=st.sampled_from(["constant", "cosine"]),
    lr=st.floats(1e-6, 10),
)
def test_the_rate_rises_to_what_is_set_and_never_above(
    warmup: float, epochs: int, steps: int, schedule: str, lr: float
) -> None:
    optimizer = OptimizerSettings("adam", lr, 0.0, warmup, schedule, {})
    places = np.arange(epochs * steps) / steps
    rates = np.array([lr * share_of_rate(optimizer, epochs, place) for place in places])
    assert rates.min() > 0
    assert rates.max() <= lr
    rising = places < min(warmup, epochs)
    assert np.all(np.diff(rates[rising]) >= 0)
    assert np.all(np.diff(rates[~rising]) <= 0)
    # Linear, but for the first hundredth of the way, or of an epoch.
    shares = places[rising] / min(warmup, epochs)
    later = shares >= 0.01 / max(1, min(warmup, epochs))
    np.testing.assert_allclose(rates[rising][later], lr * shares[later])
    assert schedule == "cosine" or np.all(rates[~rising] == lr)


SHUFFLED = {"name": "shuffled", "size": 8}


@pytest.mark.parametrize(
    ("changes", "labels", "told"),
    [
        # All that there is to learn is learned: the images of a class are far from the others.
        ({"loss": {"name": "contrastive", "margin": 1e-6}}, None, None),
        (
            {"loss": {"name": "triplet", "margin": 1e-7, "mining": "semihard"}},
            None,
            "the loss was exactly 0 in every step, so nothing was learned; raise loss.margin, or "
            "take loss.mining: all",
        ),
        *[
            (
                {"loss": {"name": name}, "batch": SHUFFLED},
                np.arange(48),
                "no batch held two images of one class, so nothing was learned; take batches with "
                "batch.name: balanced",
            )
            for name in ("triplet", "multi_similarity", "ntxent")
        ],
        (
            {"loss": {"name": "contrastive"}, "batch": SHUFFLED},
            np.arange(48),
            "no batch held two images of one class, so the images were only pushed apart",
        ),
        (
            {"loss": {"name": "triplet"}, "batch": SHUFFLED},
            np.zeros(48, np.int64),
            "no batch held images of two classes, so nothing was learned",
        ),
        ({"loss": {"name": "triplet", "mining": "all"}}, None, None),
        # The memory knows more of pairs than a batch does.
        (
            {
                "loss": {"name": "triplet", "margin": 1e-7},
                "miner": {"name": "hdc"},
                "memory": 33,
                "batch": SHUFFLED,
            },
            np.zeros(48, np.int64),
            "the loss was exactly 0 in every step, so nothing was learned; set miner: {name: "
            "none}, or raise loss.margin",
        ),
        # Each image is compared with the proxies, whatever the batch.
        ({"loss": {"name": "proxy_anchor"}, "batch": SHUFFLED}, np.arange(48), None),
    ],
)
def test_a_training_that_teaches_nothing_says_so(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    changes: dict[str, Any],
    labels: np.ndarray | None,
    told: str | None,
) -> None:
    made = blobs()
    data = made if labels is None else TrainingData(made.pixels, labels, PATTERNS)
    with caplog.at_level(logging.WARNING):
        _, history = run(tmp_path, recipe(**changes, validation={"classes": 0.0}), data=data)
    said = [record.message for record in caplog.records]
    if told is None:
        assert said == []
        return
    for epoch, message in enumerate(said[:-1], 1):
        assert message.startswith(f"warning: epoch {epoch}: {told}")
    assert len(said) == len(history) + 1
    assert f"in every one of its 3 epochs, {told}" in said[-1]
    # It is of the file, for whoever reads that alone.
    assert all((row["zero_loss"] == 1) == ("nothing" in told) for row in history)


def test_what_a_history_says_was_taught() -> None:
    good = {"zero_loss": 0.9, "without_positives": 0.5, "without_negatives": 0.0}
    idle = good | {"zero_loss": 1.0}
    assert taught_nothing(good, "triplet") is None
    assert "(50% of the batches had no pairs to compare)" in str(taught_nothing(idle, "triplet"))
    assert never_taught([idle, good], "triplet") is None
    assert "every one of its 2 epochs" in str(never_taught([idle, idle], "triplet"))
    for loss in LOSSES:
        assert str(taught_nothing(idle, loss.name)).endswith(loss.remedy)
        assert loss.remedy


def test_steps_of_loss_0_are_counted_across_a_stop(tmp_path: Path) -> None:
    health = TrainingHealth(1)
    labels = np.array([0, 0, 1])
    x = torch.randn(3, 2)
    for loss in (0.0, 0.5, 0.0):
        health.record_step(LossValue(torch.tensor(loss), None), x, labels)
    health.record_step(LossValue(torch.tensor(0.0), None), x, np.arange(3))
    health.check()
    again = TrainingHealth(1, health.steps_done, json.loads(json.dumps(health.sums)))
    again.record_step(LossValue(torch.tensor(1.0), None), x, np.zeros(3, np.int64))
    again.check()
    means = again.means()
    assert means["zero_loss"] == pytest.approx(3 / 5)
    assert means["without_positives"] == means["without_negatives"] == pytest.approx(1 / 5)


def test_training_is_in_float32_unless_bfloat16_is_asked_for() -> None:
    assert fabric_precision("auto") == fabric_precision("float32") == "32-true"
    assert fabric_precision("bfloat16") == "bf16-mixed"


def one_image(times: int) -> torch.Tensor:
    image = torch.from_numpy(blobs().pixels[:1]).permute(0, 3, 1, 2) / 255
    return image.repeat(times, 1, 1, 1)


def test_an_image_is_augmented_in_its_own_way_and_the_same_way_again() -> None:
    changes = recipe()["augment"] | {"flip": 0.5, "scale": 0.5, "brightness": 0.1}
    transform = build_augmentation(changes, 16)
    state = torch.get_rng_state()
    first = augment(one_image(6), transform, 5)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first, augment(one_image(6), transform, 5))
    assert not torch.equal(first, augment(one_image(6), transform, 6))
    assert first.shape == (6, 3, 16, 16)
    assert first.min() >= 0
    assert first.max() <= 1
    assert len({image.numpy().tobytes() for image in first}) == 6


@pytest.mark.parametrize(
    ("change", "value"),
    [
        ("flip", 1.0),
        ("scale", 0.5),
        ("rotate", 90.0),
        ("brightness", 0.5),
        ("contrast", 0.5),
        ("saturation", 0.9),
        ("grayscale", 1.0),
    ],
)
def test_each_change_can_be_had_alone(change: str, value: float) -> None:
    off = dict.fromkeys(recipe()["augment"], 0.0) | {"scale": 1.0}
    assert build_augmentation(off, 16) is None
    image = one_image(4)
    changed = augment(image, build_augmentation(off | {change: value}, 16), 3)
    assert not torch.allclose(changed, image)
    if change == "flip":
        torch.testing.assert_close(changed, image.flip(3))
    if change == "grayscale":
        # ITU-R BT.601 luma, as in the libraries' grey images.
        luma = (image * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1, keepdim=True)
        torch.testing.assert_close(changed, luma.expand(-1, 3, -1, -1), atol=1e-3, rtol=0)
    if change == "brightness":
        # Every pixel changes by one factor, or by one step.
        inside = (changed[0] > 0) & (changed[0] < 1) & (image[0] > 0.02)
        moves = (changed[0] / image[0])[inside], (changed[0] - image[0])[inside]
        assert min(move.std() for move in moves) < 1e-4


def test_the_original_recipes_augmentation_is_none() -> None:
    original = resolve([], SCHEMA)["recipes"]["original"]
    assert build_augmentation(original["augment"], 16) is None
    images = one_image(2)
    assert augment(images, None, 1) is images


def test_progress_is_logged_where_there_is_no_terminal(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        run(tmp_path, recipe())
    lines = [record.message for record in caplog.records if "epoch 3/3" in record.message]
    assert len(lines) == 1
    assert "loss" in lines[0]
    assert "images/s" in lines[0]
