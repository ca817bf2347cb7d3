"""Damage, another run in the same place and a killed Snakemake, on the real workflow."""

import os
import re
import signal
import time
from pathlib import Path

import pytest

from lookalike.config import merge
from lookalike.jobs import preflight
from support.drawings import write_data
from support.snakemake_runs import QUICK, Run, repeatable, snakemake, start, write_settings

pytestmark = pytest.mark.workflow

RUN = "results/default.0"
DAMAGED = (
    "results/manifest/train.parquet",
    "results/comparison.csv",
    f"{RUN}/model.safetensors",
    f"{RUN}/embeddings/gallery.parquet",
    f"{RUN}/metrics.json",
    f"{RUN}/untrained/rankings.parquet",
    "results/report.html",
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("images"), train_classes=6, test_classes=4)


@pytest.fixture(scope="module")
def done(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, bytes]]:
    """A folder in which the workflow has run, and the bytes it made."""
    folder = tmp_path_factory.mktemp("done")
    write_settings(folder, merge(QUICK, {"data": {"root": str(data)}}))
    run = snakemake(folder)
    assert run.status == 0, run.output
    return folder, {name: (folder / name).read_bytes() for name in repeatable("default.0")}


def spoil(path: Path) -> None:
    """Flip a bit in the middle; the file's time stays."""
    status, content = path.stat(), bytearray(path.read_bytes())
    content[len(content) // 2] ^= 8
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def warned(run: Run) -> list[str]:
    return re.findall(r"^(\S+) is damaged", run.output, re.MULTILINE)


def assert_refused(run: Run, message: str) -> None:
    """The run says so in one message, and did nothing."""
    assert run.status != 0
    assert message in run.output
    assert "Traceback" not in run.output
    assert run.jobs == {}


def test_damaged_results_and_caches_are_found_and_made_anew(
    done: tuple[Path, dict[str, bytes]],
) -> None:
    folder, made = done
    for name in DAMAGED:
        spoil(folder / name)
    for name in (DAMAGED[0], DAMAGED[-1]):
        os.truncate(folder / name, 100)
    in_cache = [path for path in (folder / ".lookalike").rglob("*") if path.is_file()]
    assert {path.relative_to(folder).parts[1] for path in in_cache} == {
        "embeddings",
        "pixels",
        "scan",
        "speed",
    }
    for path in in_cache:
        spoil(path)

    spoilt = {name: (folder / name).read_bytes() for name in DAMAGED}
    for look in ("-n", "--summary"):
        plan = snakemake(folder, look)
        assert plan.status == 0, plan.output
        assert sorted(warned(plan)) == sorted(DAMAGED)
        assert {name: (folder / name).read_bytes() for name in DAMAGED} == spoilt

    run = snakemake(folder)
    assert run.status == 0, run.output
    assert sorted(warned(run)) == sorted(DAMAGED)
    assert {name: (folder / name).read_bytes() for name in made} == made
    # What was used of the cache was found damaged: the scan, the pixels and the embeddings.
    for kind in ("scan", "pixels", "embeddings"):
        assert re.search(rf"warning: \S*{kind}\S* is left aside", run.output), kind
    assert snakemake(folder).jobs == {}


def test_another_run_in_the_same_results_folder_is_named(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preflight, "_held", [])
    results = tmp_path / "shared"
    results.mkdir()
    write_settings(tmp_path, merge(QUICK, {"data": {"root": str(data)}, "results": str(results)}))
    preflight.lock_results(results)
    assert_refused(snakemake(tmp_path), f"another run is at work here (process {os.getpid()}")


def test_results_that_cannot_be_written_are_named(data: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    write_settings(tmp_path, merge(QUICK, {"data": {"root": str(data)}, "results": "file/x"}))
    assert_refused(snakemake(tmp_path), "file is not a folder")


def test_a_gpu_that_is_not_there_stops_before_any_training(data: Path, tmp_path: Path) -> None:
    write_settings(tmp_path, merge(QUICK, {"data": {"root": str(data)}, "device": "cuda"}))
    assert_refused(
        snakemake(tmp_path), "device: cuda was asked for, but there is none on this machine"
    )


def test_results_of_another_folder_are_said_to_be_of_unknown_making(
    done: tuple[Path, dict[str, bytes]], data: Path, tmp_path: Path
) -> None:
    results = done[0] / "results"
    settings = merge(QUICK, {"data": {"root": str(data)}, "results": str(results)})
    write_settings(tmp_path, merge(settings, {"recipes": {"default": {"epochs": 1}}}))
    plan = snakemake(tmp_path, "-n")
    assert plan.status == 0, plan.output
    assert "were not made from this folder" in plan.output
    assert "--forceall" in plan.output
    assert "were not made from this folder" not in snakemake(done[0], "-n").output


def processes_of(group: int) -> list[int]:
    """The processes of a process group, as the kernel tells."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] != "Z":
            found.append(int(folder.name))
    return found


def wait_for(what: str, happened: object, seconds: float = 60) -> None:
    assert callable(happened)
    until = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < until, f"in vain for {what}"
        time.sleep(0.05)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_jobs_end_with_a_snakemake_that_is_ended_alone(
    data: Path, tmp_path: Path, number: signal.Signals
) -> None:
    # So long a training that it cannot end by itself meanwhile.
    slow = {"recipes": {"default": {"epochs": 400}}}
    write_settings(tmp_path, merge(QUICK, {"data": {"root": str(data)}, **slow}))
    log = tmp_path / RUN.replace("results/", "results/logs/") / "train.log"
    with start(tmp_path, own_group=True) as run:
        wait_for("the training", lambda: log.exists() and "epoch 1" in log.read_text())
        os.kill(run.pid, number)
        wait_for("the jobs to end", lambda: not processes_of(run.pid), 20)
    assert "stopped by SIGTERM" in log.read_text()
    if number == signal.SIGTERM:
        assert run.returncode == 1
        return
    locked = snakemake(tmp_path)
    assert locked.status != 0
    assert "--unlock" in locked.output
    assert snakemake(tmp_path, "--unlock").status == 0
