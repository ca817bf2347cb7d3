"""Other ways to run jobs, and other places for results: the same files everywhere."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from moto.server import ThreadedMotoServer
from snakemake.common import is_local_file

from lookalike.config import merge
from support.drawings import draw, write_data
from support.project import ROOT
from support.snakemake_runs import FINAL, QUICK, Run, repeatable, snakemake, write_settings
from support.warm_python import warm_python

pytestmark = pytest.mark.workflow

SETTINGS = merge(QUICK, {"recipes": {"default": {"epochs": 2}}})
PROFILES = sorted(path.parent.name for path in (ROOT / "profiles").glob("*/config.yaml"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("images"), train_classes=6, test_classes=4)


@pytest.fixture(scope="module")
def expected(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What a run on this machine makes, on one core."""
    folder = tmp_path_factory.mktemp("local")
    write_settings(folder, merge(SETTINGS, {"data": {"root": str(data)}}))
    run = snakemake(folder, "--cores", "1")
    assert run.status == 0, run.output
    return {name: (folder / name).read_bytes() for name in repeatable("default.0")}


def settings_of(profile: str) -> dict[str, Any]:
    text = (ROOT / "profiles" / profile / "config.yaml").read_text()
    settings: dict[str, Any] = yaml.safe_load(text)
    return settings


@pytest.mark.parametrize("profile", PROFILES)
def test_a_profile_repeats_what_decides_about_running_again(profile: str) -> None:
    """It replaces the default one."""
    default, settings = settings_of("default"), settings_of(profile)
    for key in ("rerun-triggers", "max-checksum-file-size", "rerun-incomplete"):
        assert settings[key] == default[key]
    heavy = settings.get("set-threads")
    assert heavy is None or heavy.keys() == {
        *("manifest", "pixels", "train", "embed", "embed_shard", "held_out", "metrics")
    }


# On a batch system.


class BatchSystem:
    """The shell scripts of support/, as a scheduler."""

    def __init__(self, folder: Path, data: Path, **settings: Any) -> None:
        self.folder, self.jobs = folder, folder / "jobs"
        self.jobs.mkdir()
        write_settings(folder, merge({**SETTINGS, **settings}, {"data": {"root": str(data)}}))
        scripts = ROOT / "tests" / "support" / "batch_system"
        ours = {
            "cluster-generic-submit-cmd": f"{scripts}/submit.sh {{rule}} gpu={{resources.gpu}} "
            "mem={resources.mem_mb} minutes={resources.runtime} cores={threads}",
            "cluster-generic-status-cmd": f"{scripts}/status.sh",
            "cluster-generic-cancel-cmd": f"{scripts}/cancel.sh",
            "set-threads": dict.fromkeys(settings_of("cluster-generic")["set-threads"], 1),
            "latency-wait": 10,
            "seconds-between-status-checks": 1,
        }
        (folder / "profile").mkdir()
        settings = settings_of("cluster-generic") | ours
        (folder / "profile" / "config.yaml").write_text(yaml.safe_dump(settings))

    @contextmanager
    def start(self, python: str = sys.executable) -> Iterator[subprocess.Popen[str]]:
        """Start the workflow; killed if a test leaves it, which must not wait for it."""
        process = subprocess.Popen(
            [
                *(python, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")),
                *("--workflow-profile", str(self.folder / "profile"), "--configfile", "mine.yaml"),
            ],
            cwd=self.folder,
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT / "workflow"),
                "OMP_NUM_THREADS": "1",
                "JOBS": str(self.jobs),
            },
            stdout=(self.folder / "snakemake.log").open("w"),
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def output(self) -> str:
        return (self.folder / "snakemake.log").read_text()

    def asked(self) -> list[dict[str, str]]:
        """What each job asked for."""
        lines = [path.read_text().split() for path in sorted(self.jobs.glob("*.asked"))]
        return [
            {"rule": line[0], **dict(part.split("=", 1) for part in line[1:5])} for line in lines
        ]


def test_any_batch_system_gives_the_same_bytes(
    data: Path, tmp_path: Path, expected: dict[str, bytes]
) -> None:
    here = BatchSystem(tmp_path, data)
    # Something stands where the pixels job wants to write, until its first attempt has failed.
    obstacle = tmp_path / ".lookalike" / "pixels"
    obstacle.parent.mkdir()
    obstacle.touch()
    with here.start(warm_python()) as running:
        while running.poll() is None:
            if obstacle.is_file() and "failed: pixels" in here.output():
                obstacle.unlink()
            try:
                running.wait(0.1)
            except subprocess.TimeoutExpired:
                continue
    assert running.returncode == 0, here.output()[-3000:]
    assert {name: (tmp_path / name).read_bytes() for name in expected} == expected
    asked = here.asked()
    rules = [job["rule"] for job in asked]
    counts = {rule: rules.count(rule) for rule in set(rules)}
    assert counts == {"manifest": 1, "pixels": 2, "train": 1, "embed": 4, "metrics": 2}
    assert all((job["gpu"] == "1") == (job["rule"] in ("train", "embed")) for job in asked)
    once, again = (job for job in asked if job["rule"] == "pixels")
    assert int(again["mem"]) > int(once["mem"])
    assert int(again["minutes"]) > int(once["minutes"])


def test_ctrl_c_cancels_the_jobs_of_a_batch_system(data: Path, tmp_path: Path) -> None:
    endless = merge(SETTINGS["recipes"]["default"], {"epochs": 10**6})
    here = BatchSystem(tmp_path, data, recipes={"default": endless})
    log = tmp_path / "results/logs/default.0/train.log"
    with here.start() as running:
        while not (log.exists() and "epoch 2/" in log.read_text()):
            assert running.poll() is None, here.output()
        os.killpg(running.pid, signal.SIGINT)
        assert running.wait(60) != 0
    assert len(list(here.jobs.glob("*.cancelled"))) == 1
    [pid] = [
        path.read_text().strip()
        for path in here.jobs.glob("*.pid")
        if path.with_suffix(".cancelled").exists()
    ]
    for _ in range(200):
        if not subprocess.run(["pgrep", "-g", pid], capture_output=True, check=False).stdout:
            break
        subprocess.run(["sleep", "0.1"], check=True)
    else:
        pytest.fail("the job is still there")
    # It kept its state.
    assert list((tmp_path / ".lookalike" / "training").iterdir())


# Results in a bucket.


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "SNAKEMAKE_STORAGE_S3_ENDPOINT_URL": f"http://{host}:{port}",
        "SNAKEMAKE_STORAGE_S3_ACCESS_KEY": "key",
        "SNAKEMAKE_STORAGE_S3_SECRET_KEY": "secret",
    }.items():
        monkeypatch.setenv(name, value)
    client = boto3.resource(
        "s3",
        endpoint_url=f"http://{host}:{port}",
        aws_access_key_id="key",
        aws_secret_access_key="secret",
        region_name="us-east-1",
    )
    client.create_bucket(Bucket="lookalike")
    yield client.Bucket("lookalike")
    # The server's buckets are this process's: another one would find what is in them.
    client.Bucket("lookalike").objects.all().delete()
    server.stop()


def test_results_in_a_bucket_are_the_same(
    data: Path, tmp_path: Path, expected: dict[str, bytes], bucket: Any
) -> None:
    images = Path(shutil.copytree(data, tmp_path / "images"))
    write_settings(tmp_path, merge(SETTINGS, {"data": {"root": str(images)}}))
    storage = ("--default-storage-provider", "s3", "--default-storage-prefix", "s3://lookalike")
    run = snakemake(tmp_path, "--cores", "1", *storage)
    assert run.status == 0, run.output
    stored = {item.key: item.get()["Body"].read() for item in bucket.objects.all()}
    assert {name: stored.get(name) for name in expected} == expected
    assert "results/report.html" in stored
    # Nothing of it is here but what Snakemake fetched for itself.
    assert not (tmp_path / "results" / "comparison.csv").exists()

    def again() -> dict[str, int]:
        shutil.rmtree(tmp_path / ".snakemake" / "storage", ignore_errors=True)
        run = snakemake(tmp_path, "--cores", "1", *storage)
        assert run.status == 0, run.output
        return run.jobs

    assert again() == {}
    # All manifests are newer than the model then, and that of training has the same bytes.
    add_gallery_image(images)
    assert again() == {"manifest": 1, "embed": 2, "metrics": 2, "threshold": 1, **FINAL}
    assert again() == {}


def add_gallery_image(root: Path) -> None:
    labels = json.loads((root / "test_image_info.json").read_text())
    label = next(iter(labels.values()))
    draw(label, 9).save(root / "gallery" / "new.png")
    (root / "test_image_info.json").write_text(json.dumps({**labels, "new.png": label}))


# Kubernetes is only parsed, and its way of running jobs tried without it.


@pytest.mark.long
def test_jobs_that_share_nothing_but_a_bucket_give_the_same_bytes(
    data: Path, tmp_path: Path, expected: dict[str, bytes], bucket: Any
) -> None:
    # What pods are given: what git knows of, the settings below it, and a volume.
    project, pods, volume = (tmp_path / name for name in ("project", "pods", "volume"))
    pods.mkdir()
    left_out = shutil.ignore_patterns(".*", "results", "__pycache__", "*.egg-info")
    shutil.copytree(ROOT, project, ignore=left_out)
    for command in ("init", "add .", "-c user.name=x -c user.email=x@y.z commit -m x"):
        subprocess.run(["git", *command.split()], cwd=project, check=True, capture_output=True)
    images = Path(shutil.copytree(data, volume / "images"))
    ours = {"data": {"root": str(images)}, "cache": str(volume / "cache"), "device": "cpu"}
    write_settings(project, merge(SETTINGS, ours))
    kubernetes = settings_of("kubernetes")
    for key in [key for key in kubernetes if key.startswith(("kubernetes-", "container-"))]:
        del kubernetes[key]
    kubernetes |= {"executor": "pods", "retries": 0, "seconds-between-status-checks": 1}
    kubernetes["set-threads"] = dict.fromkeys(kubernetes["set-threads"], 1)
    (project / "profiles" / "pods").mkdir()
    (project / "profiles" / "pods" / "config.yaml").write_text(yaml.safe_dump(kubernetes))

    packages = [str(ROOT / "tests" / "support" / "pods"), str(project / "workflow")]
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONPATH": os.pathsep.join(packages),
        "OMP_NUM_THREADS": "1",
        "PODS": str(pods),
    }

    def run() -> dict[str, int]:
        words = ["-m", "snakemake", "--workflow-profile", "profiles/pods", "--configfile"]
        done = subprocess.run(
            [sys.executable, *words, "mine.yaml"],
            cwd=project,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        output = done.stdout + done.stderr
        assert done.returncode == 0, output
        return Run(0, output).jobs

    run()
    stored = {item.key: item.get()["Body"].read() for item in bucket.objects.all()}
    assert {name: stored.get(name) for name in expected} == expected
    started = [pod.name.partition("-")[0] for pod in pods.iterdir() if pod.is_dir()]
    counts = {rule: started.count(rule) for rule in set(started)}
    # The manifest reads files that are in no bucket: it is made where Snakemake runs.
    assert counts == {"pixels": 1, "train": 1, "embed": 4, "metrics": 2}
    add_gallery_image(images)
    assert run() == {"manifest": 1, "embed": 2, "metrics": 2, "threshold": 1, **FINAL}
    assert run() == {}


def test_the_kubernetes_profile_is_one(data: Path, tmp_path: Path, bucket: Any) -> None:
    write_settings(tmp_path, merge(SETTINGS, {"data": {"root": str(data)}}))
    run = snakemake(tmp_path, "-n", "--workflow-profile", str(ROOT / "profiles" / "kubernetes"))
    assert run.status == 0, run.output
    assert re.search(r"^manifest +1 *$", run.output, re.MULTILINE), run.output


# The container cannot be built in a test.


def test_the_container_is_made_of_what_is_there() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    image = f"lookalike:{project['version']}"
    file = f"lookalike-{project['version']}.sif"
    assert f'container: "{file}"' in (ROOT / "Snakefile").read_text()
    # What Docker has here is no registry's: a docker:// address would ask one.
    page = (ROOT / "docs" / "engines.md").read_text()
    assert f"docker build -t {image} .\napptainer build {file} docker-daemon:{image}\n" in page
    assert is_local_file(file)  # so Snakemake takes it as it is
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert image in dockerfile
    for line in re.findall(r"^COPY (.*)$", dockerfile, re.MULTILINE):
        for path in [part for part in line.split()[:-1] if not part.startswith("--")]:
            assert (ROOT / path).exists(), path
