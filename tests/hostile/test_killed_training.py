"""A training is killed at random moments, again and again, and ends as one that never was."""

import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest

import lookalike.training.loop
from lookalike.steps.train import train_run
from lookalike.storage.cache import DONE
from lookalike.training.job import TrainingJob
from lookalike.training.losses.table import LOSSES
from support import processes
from support.training import REMEMBERING, Data, job, recipe

SAVE_EVERY = 0.05
# Steps as the budget, the mean of the weights, those of the best epoch.
ALL_KEPT = {
    "steps": 60,
    "optimizer": {"name": "adamw", "average": 0.9, "clip": 0.5, "decay_norms": False},
    "validation": {"classes": 0.25, "keep": "best", "patience": 20},
}


def work(told: TrainingJob) -> None:
    lookalike.training.loop.SAVE_EVERY = SAVE_EVERY
    train_run(told)


def results(told: TrainingJob) -> dict[str, bytes]:
    return {
        f"{folder}/{name}": (Path(folder) / name).read_bytes()
        for folder in (told.trained, told.untrained)
        for name in ("model.safetensors", "model.json")
    }


@pytest.mark.parametrize(
    ("changes", "epochs", "kills"),
    [
        ({"loss": {"name": "multi_similarity"}}, 40, 3),
        # It has parameters of its own.
        ({"loss": {"name": "proxy_anchor"}}, 10, 2),
        (REMEMBERING, 10, 2),
        (ALL_KEPT, "auto", 2),
        pytest.param({"loss": {"name": "multi_similarity"}}, 40, 60, marks=pytest.mark.long),
        *[
            pytest.param(changes, 40, 60, marks=pytest.mark.long)
            for changes in (
                *({"loss": {"name": loss.name}} for loss in LOSSES if loss.own_lr),
                REMEMBERING,
            )
        ],
    ],
    ids=str,
)
def test_a_training_killed_at_random_moments_ends_the_same(
    made: Data, tmp_path: Path, changes: dict[str, Any], epochs: int | str, kills: int
) -> None:
    settings = recipe(**{"epochs": epochs, "validation": {"classes": 0.25}, **changes})
    undisturbed = job(made, tmp_path / "undisturbed", recipe=settings, threads=1)
    started = time.monotonic()
    assert processes.exit_code(processes.start(work, undisturbed)) == 0
    seconds = time.monotonic() - started
    expected = [*results(undisturbed).values()]

    rng = random.Random(kills)
    done, lives, killed = 0, 0, 0
    while killed < kills:
        told = job(made, tmp_path / str(done), recipe=settings, threads=1)
        state = Path(told.cache) / "training"
        while True:
            lives += 1
            process = processes.start(work, told)
            number = rng.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
            process.join(rng.uniform(0, seconds))
            if process.exitcode is None and killed < kills:
                killed += 1
                if rng.random() < 0.3:
                    os.kill(int(process.pid or 0), signal.SIGUSR1)
                os.kill(int(process.pid or 0), number)
            if processes.exit_code(process) == 0:
                break
            # Nothing that looks whole is there before it is.
            assert not Path(told.history).exists()
        assert [*results(told).values()] == expected
        # The state is kept as one that is done; beside it, at most, what a kill left half-written.
        kept = [path.name for path in state.iterdir() if not path.name.startswith(".")]
        assert [name.endswith(DONE) for name in kept] == [True]
        done += 1
    print(f"{killed} kills in {lives} lives of {done} trainings of {seconds:.1f} s")
    assert lives > done
