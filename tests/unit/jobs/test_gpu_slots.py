"""Pretended devices, real processes."""

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from lookalike.errors import LookalikeError
from lookalike.jobs.gpu_slots import gpu_slots
from support import processes

FOUR = "0,1,GPU-8a1c,3"


def hold(count: int, here: Path, seconds: float) -> None:
    """Take devices, and fail where another living process has one of them."""
    visible = {"CUDA_VISIBLE_DEVICES": FOUR}
    with gpu_slots(count, folder=here / "locks", environment=visible, poll=0.005) as slots:
        assert len(set(slots.devices)) == count
        assert visible["CUDA_VISIBLE_DEVICES"] == ",".join(slots.devices)
        markers = [here / f"{device}.held" for device in slots.devices]
        for marker in markers:
            if marker.is_symlink():
                # Only a killed one leaves its marker behind.
                assert (here / f"{marker.readlink()}.killed").exists()
                marker.unlink()
            # A link is there whole at once, and refuses to replace another.
            marker.symlink_to(str(os.getpid()))
        time.sleep(seconds)
        for marker in markers:
            marker.unlink()
    assert visible["CUDA_VISIBLE_DEVICES"] == FOUR
    (here / f"{os.getpid()}.done").touch()


def holders(here: Path) -> list[str]:
    """The process ids in all markers there are."""
    found = []
    for marker in here.glob("*.held"):
        with suppress(FileNotFoundError):
            found.append(str(marker.readlink()))
    return found


def test_no_device_is_anothers_and_all_have_their_turn(tmp_path: Path) -> None:
    rng = random.Random(0)
    counts = [rng.randint(1, 3) for _ in range(40)]
    jobs = [processes.start(hold, n, tmp_path, rng.uniform(0, 0.05)) for n in counts]
    assert [processes.exit_code(job) for job in jobs] == [0] * len(jobs)
    assert len(list(tmp_path.glob("*.done"))) == len(jobs)


def test_killed_jobs_leave_their_devices_to_others(tmp_path: Path) -> None:
    rng = random.Random(1)
    killed = 0
    others = [processes.start(hold, rng.randint(1, 4), tmp_path, 0.01) for _ in range(10)]
    for _ in range(8):
        victim = processes.start(hold, rng.randint(1, 3), tmp_path, 60.0)
        limit = time.monotonic() + 30
        while str(victim.pid) not in holders(tmp_path):
            assert victim.is_alive()
            assert time.monotonic() < limit
            time.sleep(0.005)
        (tmp_path / f"{victim.pid}.killed").touch()
        os.kill(int(victim.pid or 0), signal.SIGKILL)
        killed += processes.exit_code(victim) == -signal.SIGKILL
        others.append(processes.start(hold, rng.randint(1, 4), tmp_path, 0.01))
    assert killed == 8
    assert [processes.exit_code(job) for job in others] == [0] * len(others)


def test_a_child_that_has_the_locks_keeps_the_device(tmp_path: Path) -> None:
    one = {"CUDA_VISIBLE_DEVICES": "5"}
    with gpu_slots(1, folder=tmp_path, environment=one) as slots:
        child = subprocess.Popen(
            [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=slots.fds
        )
    started = time.monotonic()
    job = processes.start(wait_for_five, tmp_path)
    time.sleep(0.5)
    assert job.is_alive()
    child.communicate(b"\n")
    assert processes.exit_code(job) == 0
    assert time.monotonic() - started > 0.5


def wait_for_five(locks: Path) -> None:
    with gpu_slots(1, folder=locks, environment={"CUDA_VISIBLE_DEVICES": "5"}, poll=0.01):
        pass


def test_what_waits_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    job = processes.start(hold, 4, tmp_path, 0.5)
    while not holders(tmp_path):
        assert job.is_alive()
        time.sleep(0.005)
    hold(2, tmp_path, 0.0)
    assert processes.exit_code(job) == 0
    assert "waiting for 2 GPUs: other jobs hold the 4 there are" in caplog.text
    assert caplog.text.count("waiting") == 1


def test_batch_jobs_do_not_wait_for_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    # Both see their own device as 0.
    first = {"CUDA_VISIBLE_DEVICES": "0", "SLURM_JOB_ID": "7"}
    second = {"CUDA_VISIBLE_DEVICES": "0", "SLURM_JOB_ID": "8"}
    with gpu_slots(1, environment=first), gpu_slots(1, environment=second):
        pass
    [folder] = tmp_path.iterdir()
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.rename(tmp_path / "elsewhere")
    for target in ("elsewhere", "nowhere"):
        folder.symlink_to(tmp_path / target)
        with (
            pytest.raises(LookalikeError, match="is not a folder of yours"),
            gpu_slots(1, environment=first),
        ):
            pass
        folder.unlink()


def test_more_than_there_are_is_an_error(tmp_path: Path) -> None:
    with (
        pytest.raises(
            LookalikeError, match=r"3 GPUs are asked for, but this job may use 2 \(4, 6\)"
        ),
        gpu_slots(3, folder=tmp_path, environment={"CUDA_VISIBLE_DEVICES": "4,6"}),
    ):
        pass


def test_numbers_of_device_files_are_those_of_the_bus(tmp_path: Path) -> None:
    for name in ("nvidia0", "nvidia1"):
        (tmp_path / name).touch()
    order = {"CUDA_DEVICE_ORDER": "FASTEST_FIRST"}
    for given, expected in (({}, "PCI_BUS_ID"), (order, "FASTEST_FIRST")):
        environment: dict[str, str] = dict(given)
        with gpu_slots(1, folder=tmp_path, environment=environment, device_folder=tmp_path):
            assert environment == {"CUDA_VISIBLE_DEVICES": "0", "CUDA_DEVICE_ORDER": expected}
        assert environment == given


@pytest.mark.parametrize("count", [0, 2])
def test_without_a_gpu_nothing_is_done(tmp_path: Path, count: int) -> None:
    nothing: dict[str, str] = {}
    with gpu_slots(count, environment=nothing, device_folder=tmp_path) as slots:
        assert slots.devices == ()
        assert nothing == {}
