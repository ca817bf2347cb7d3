"""Several processes train what one would; on the CPU, through the launcher that GPUs use."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from timm.layers.norm_act import BatchNormAct2d
from torch import nn

from lookalike.errors import LookalikeError
from lookalike.jobs.interruption import Interrupted
from lookalike.steps.train import processes_for, train_run
from lookalike.storage.cache import DONE
from lookalike.training.augmentation import augment, build_augmentation
from lookalike.training.distributed import (
    GlobalBatchNorm,
    own_images,
    with_global_batch_norm,
)
from lookalike.training.job import TrainingJob
from lookalike.training.launch import commands, launch
from support.training import REMEMBERING, Data, job, recipe
from support.warm_python import warm_python


@pytest.fixture(autouse=True)
def _package_of_the_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))


def losses(job: TrainingJob) -> list[float]:
    return [float(row["loss"]) for row in pq.read_table(job.history).to_pylist()]


def weights(job: TrainingJob) -> dict[str, torch.Tensor]:
    return load_file(Path(job.trained) / "model.safetensors")


# Steps are small where Adam's would be: it divides each gradient by its own size, so that the sign
# of a gradient that is 0 but for rounding decides about a whole step.
PLAIN = {"name": "sgd", "lr": 0.05, "warmup_epochs": 0, "schedule": "constant"}
PROXIES = {"name": "proxy_anchor", "proxy_lr": 0.01}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("processes", "changes"),
    [
        # Batch normalisation, augmentation, held-out classes; parts of 9 images; then 5 and 4.
        (2, {"optimizer": PLAIN}),
        # A last batch of 2 images: one of three processes has none.
        (
            3,
            {
                "optimizer": {**PLAIN, "lr": 0.002},
                "batch": {"name": "shuffled", "size": 17},
                "loss": {"name": "ntxent"},
            },
        ),
        (2, {"optimizer": {"name": "adamw", "lr": 1e-4}, "loss": {"name": "triplet"}}),
        # Normalisation and activation in one layer, and a head that normalises too.
        (
            2,
            {
                "optimizer": {**PLAIN, "lr": 0.01},
                "model": {
                    "name": "timm",
                    "backbone": "test_efficientnet",
                    "weights": "none",
                    "head": "bn_linear",
                },
                "epochs": 1,
            },
        ),
        # Parameters of the loss's own.
        (3, {"optimizer": {**PLAIN, "lr": 0.0002}, "loss": PROXIES}),
        # The mean of the weights, gradients that are cut; the best epoch is kept, and ends it.
        (
            2,
            {
                "optimizer": {**PLAIN, "average": 0.9, "clip": 0.5, "decay_norms": False},
                "epochs": "auto",
                "steps": 12,
                "validation": {"classes": 0.25, "keep": "best", "patience": 2},
            },
        ),
        (
            2,
            {
                "optimizer": {**PLAIN, "lr": 0.0002},
                "loss": {**PROXIES, "name": "arcface", "scale": 4.0},
            },
        ),
        # A miner that draws, and past images.
        (
            2,
            {"optimizer": {"name": "adamw", "lr": 1e-4}, **REMEMBERING},
        ),
    ],
)
def test_processes_train_what_one_process_would(
    made: Data,
    tmp_path: Path,
    processes: int,
    changes: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "executable", warm_python())
    one = job(
        made, tmp_path / "one", recipe=recipe(**({"validation": {"classes": 0.25}} | changes))
    )
    train_run(one)
    several = replace(
        job(made, tmp_path / "several", recipe=one.recipe, threads=1), processes=processes
    )
    log = tmp_path / "train.log"
    launch(several, log)
    assert losses(several) == pytest.approx(losses(one), abs=1e-5)
    expected = weights(one)
    for name, value in weights(several).items():
        torch.testing.assert_close(value, expected[name], atol=1e-5, rtol=1e-5)
    # One process speaks.
    assert log.read_text().count("training on") == 1
    kept = list((tmp_path / "several" / "cache" / "training").iterdir())
    assert [path.name.endswith(DONE) for path in kept] == [True]


@pytest.mark.slow
def test_processes_repeat_themselves_and_go_on_after_a_kill(made: Data, tmp_path: Path) -> None:
    whole = job(made, tmp_path / "whole", processes=2, threads=1)
    # A module of the user's in the working directory is none that they import.
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "calendar.py").write_text("raise RuntimeError('the user has a calendar')")
    with chdir(tmp_path / "here"):
        launch(whole, tmp_path / "whole.log")
    parts = job(made, tmp_path / "parts", processes=2, threads=1)
    told = tmp_path / "job.json"
    told.write_text(json.dumps(asdict(parts)))
    code = (
        "import json, sys; from lookalike.training.launch import launch; "
        "from lookalike.steps.train import TrainingJob; "
        "launch(TrainingJob(**json.load(open(sys.argv[1]))), sys.argv[2])"
    )
    log = tmp_path / "parts.log"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(told), str(log)], start_new_session=True
    ) as launcher:
        wait_for(log, "epoch 1/3")
        # Only the launcher: its processes end by themselves, keeping their state.
        launcher.kill()
    wait_for(log, "stopped by SIGTERM")
    launch(parts, log)
    assert "going on after" in log.read_text()
    assert (Path(parts.trained) / "model.safetensors").read_bytes() == (
        Path(whole.trained) / "model.safetensors"
    ).read_bytes()
    assert losses(parts) == losses(whole)


def wait_for(log: Path, words: str) -> None:
    limit = time.monotonic() + 120
    while not (log.exists() and words in log.read_text()):
        assert time.monotonic() < limit, log.read_text() if log.exists() else "no log"
        time.sleep(0.01)


def endless(made: Data, here: Path) -> TrainingJob:
    """A training by two processes that never ends by itself.

    Its epochs have fewer steps than lie between two times that the processes ask each other.
    """
    settings = recipe(epochs=10**6, validation={"classes": 0.0})
    return job(made, here, processes=2, threads=1, recipe=settings)


@contextmanager
def once_it_trains(log: Path, act: Callable[[], None]) -> Iterator[None]:
    """Meanwhile, `act` from another thread as soon as the log tells of the second epoch."""

    def wait_and_act() -> None:
        wait_for(log, "epoch 2/")
        act()

    thread = threading.Thread(target=wait_and_act)
    thread.start()
    yield
    thread.join()


@pytest.mark.slow
def test_a_signal_to_the_launcher_reaches_all(made: Data, tmp_path: Path) -> None:
    log = tmp_path / "train.log"

    with (
        once_it_trains(log, lambda: os.kill(os.getpid(), signal.SIGTERM)),
        pytest.raises(Interrupted) as stopped,
    ):
        launch(endless(made, tmp_path), log)
    assert stopped.value.code == 128 + signal.SIGTERM
    assert "is kept" in log.read_text()
    assert list((tmp_path / "cache" / "training").iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("rank", ["0", "1"])
def test_a_signal_to_one_process_ends_all_and_the_state_is_kept(
    made: Data, tmp_path: Path, rank: str
) -> None:
    log = tmp_path / "train.log"

    def interrupt() -> None:
        started = psutil.Process().children(recursive=True)
        (process,) = (child for child in started if child.environ().get("RANK") == rank)
        process.send_signal(signal.SIGTERM)

    with (
        once_it_trains(log, interrupt),
        pytest.raises(LookalikeError, match=f"ended with status {128 + signal.SIGTERM}"),
    ):
        launch(endless(made, tmp_path), log)
    assert "is kept" in log.read_text()
    assert "another process" not in log.read_text()
    assert list((tmp_path / "cache" / "training").iterdir())


@pytest.mark.slow
def test_what_goes_wrong_in_a_process_ends_all_with_the_reason(made: Data, tmp_path: Path) -> None:
    log = tmp_path / "train.log"
    shutil.copytree(made.folder, tmp_path / "train")
    next((tmp_path / "train").iterdir()).write_bytes(b"something else")
    told = job(made, tmp_path, folder=str(tmp_path / "train"), processes=2, threads=1)
    with pytest.raises(LookalikeError, match="a training process ended with status 1"):
        launch(told, log)
    assert "changed since the manifest was made" in log.read_text()
    assert "Traceback" not in log.read_text()


class Place:
    """What `own_images` looks at."""

    def __init__(self, rank: int, size: int) -> None:
        self.global_rank, self.world_size = rank, size


@settings(derandomize=True)
@given(st.integers(0, 200), st.integers(1, 16))
def test_parts_are_a_partition(n: int, processes: int) -> None:
    parts = [range(n)[own_images(n, Place(rank, processes))] for rank in range(processes)]  # type: ignore[arg-type]
    assert [index for part in parts for index in part] == list(range(n))
    sizes = [len(part) for part in parts]
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"flip": 0.5},
        {"scale": 0.5},
        {"rotate": 90.0},
        {"brightness": 0.5, "contrast": 0.5, "saturation": 0.9},
        {"grayscale": 0.5},
    ],
)
def test_an_image_is_augmented_alike_in_each_part(change: dict[str, float]) -> None:
    off = dict.fromkeys(recipe()["augment"], 0.0) | {"scale": 1.0}
    transform = build_augmentation(off | change if change else recipe()["augment"], 16)
    images = torch.rand(7, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    whole = augment(images, transform, 5)
    assert not torch.equal(whole, images)
    for processes in (1, 2, 3, 7, 9):
        parts = [own_images(7, Place(rank, processes)) for rank in range(processes)]  # type: ignore[arg-type]
        pieces = [augment(images[part], transform, 5, part, 7) for part in parts]
        torch.testing.assert_close(torch.cat(pieces), whole, atol=1e-6, rtol=0)


def test_in_a_slurm_job_the_processes_are_one_srun(tmp_path: Path) -> None:
    srun = tmp_path / "srun"
    srun.touch(mode=0o755)
    here = {"PATH": str(tmp_path)}
    worker = ["python", "-m", "lookalike.steps.train_worker", "job.json"]
    [(command, added)] = commands(worker, 4, 10, here | {"SLURM_JOB_ID": "7"})
    assert command[0] == "srun"
    assert {
        "--ntasks=4",
        "--ntasks-per-node=4",
        "--cpus-per-task=2",
        "--nodes=1",
        "--overlap",
    } <= set(command)
    assert command[-4:] == worker
    assert added == {}
    several = commands(worker, 4, 10, here)
    assert [environment["RANK"] for _, environment in several] == ["0", "1", "2", "3"]
    assert len({environment["MASTER_PORT"] for _, environment in several}) == 1
    assert all(command == worker for command, _ in several)


def test_without_gpus_one_process_trains() -> None:
    assert processes_for("cpu", 4) == 1


def test_global_batch_norm_of_one_process_is_torchs() -> None:
    # In evaluation; in training, the processes above are held against torch's.
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    images = torch.rand(5, 3, 8, 8)
    model(images)
    expected = model.eval()(images)
    names = list(model.state_dict())
    other = with_global_batch_norm(model)
    assert isinstance(other[1], GlobalBatchNorm)  # type: ignore[index]
    assert list(other.state_dict()) == names
    assert torch.equal(other(images), expected)
    assert np.isfinite(expected.detach().numpy()).all()


def test_a_layer_that_normalises_and_bends_does_both() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(BatchNormAct2d(4), nn.Flatten(), nn.BatchNorm1d(4 * 64))
    images = torch.randn(5, 4, 8, 8)
    model(images)
    expected = model.eval()(images)
    names = list(model.state_dict())
    other = with_global_batch_norm(model)
    assert list(other.state_dict()) == names
    assert torch.equal(other(images), expected)


def test_a_normalisation_of_another_kind_is_refused() -> None:
    class Other(nn.BatchNorm2d):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return super().forward(images).abs()

    with pytest.raises(LookalikeError, match=r"a layer Other, .*gpus: 1"):
        with_global_batch_norm(nn.Sequential(Other(3)))
