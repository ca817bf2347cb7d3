"""The workflow on a real Slurm: who got what, the same bytes, and what happens when jobs end."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.drawings import write_data
from support.project import ROOT
from support.slurm_cluster import GPUS, Cluster, Job, busy, cluster, most_at_once, seconds, why_not
from support.snakemake_runs import repeatable, snakemake, write_settings

pytestmark = [pytest.mark.workflow, pytest.mark.slurm]

SMALL: dict[str, Any] = {
    "epochs": 3,
    "model": {"embedding_dim": 16},
    "batch": {"classes": 4},
    "validation": {"classes": 0.2},
}
SETTINGS: dict[str, Any] = {
    "image": {"size": 32},
    "embed": {"shards": 2},
    "runs": ["pair"],
    "recipes": {"default": SMALL, "pair": {**SMALL, "gpus": 2}},
}
# What a site changes; this one's cluster is small and has no accounting database.
SITE: dict[str, Any] = {
    "default-resources": {"slurm_partition": "main", "mem_mb": 500, "runtime": 5},
    "set-threads": dict.fromkeys(
        ["train", "embed", "embed_shard", "held_out", "pixels", "manifest", "metrics"], 1
    ),
    "slurm-init-seconds-before-status-checks": 3,
    "latency-wait": 15,
}


@pytest.fixture(scope="session")
def slurm() -> Iterator[Cluster]:
    if problem := why_not():
        if os.environ.get("LOOKALIKE_REQUIRE_SLURM"):
            pytest.fail(problem)
        pytest.skip(problem)
    # Ended by a timeout or a closing CI, pytest would leave the daemons running.
    before = signal.signal(signal.SIGTERM, lambda *_: pytest.exit("SIGTERM", returncode=143))
    with cluster() as here:
        yield here
    signal.signal(signal.SIGTERM, before)


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("images"), train_classes=6, test_classes=4)


def profile(folder: Path, **changes: Any) -> str:
    """The project's own profile, changed as a site does."""
    settings = yaml.safe_load((ROOT / "profiles" / "slurm" / "config.yaml").read_text())
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(settings | SITE | changes))
    return str(folder)


def environment(slurm: Cluster, project: Path = ROOT) -> dict[str, str]:
    path = os.pathsep.join([str(Path(sys.executable).parent), slurm.environment["PATH"]])
    package = str(project / "workflow")
    # On two cores, the many processes of torch would only get in each other's way.
    return {**slurm.environment, "PATH": path, "PYTHONPATH": package, "OMP_NUM_THREADS": "1"}


@contextmanager
def submit(
    slurm: Cluster, folder: Path, *arguments: str, **changes: Any
) -> Iterator[subprocess.Popen[str]]:
    """Start the workflow in `folder`, its jobs on the cluster; killed if a test leaves it."""
    # A process of its own group, as a shell starts it: ctrl-c is a signal to all of it.
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")),
            *("--workflow-profile", profile(folder / "profile", **changes)),
            *(*arguments, "--configfile", "mine.yaml"),
        ],
        cwd=folder,
        env=environment(slurm),
        stdout=(folder / "snakemake.log").open("w"),
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        # A failed test must not wait for an endless training.
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            slurm.run("scancel", "-u", "root")


def output(folder: Path) -> str:
    return (folder / "snakemake.log").read_text()


def wait_for(path: Path, words: str, folder: Path, seconds: float = 120) -> None:
    limit = time.monotonic() + seconds
    while not (path.exists() and words in path.read_text()):
        assert time.monotonic() < limit, f"no {words!r} in {path}:\n{output(folder)[-3000:]}"
        time.sleep(0.05)


def rules_of(folder: Path) -> dict[int, tuple[str, str]]:
    """The rule (or group) and wildcards of each job, by its Slurm id."""
    logs = (folder / ".snakemake" / "slurm_logs").rglob("*.log")
    names = {int(log.stem): log.relative_to(folder / ".snakemake/slurm_logs").parts for log in logs}
    # The one group is that of the metrics.
    return {
        number: (
            "metrics" if parts[0].startswith("group_") else parts[0].removeprefix("rule_"),
            "/".join(parts[1:-1]),
        )
        for number, parts in names.items()
    }


def local_results(
    folder: Path, data: Path, settings: dict[str, Any], python: str | None = None
) -> dict[str, bytes]:
    """What a run on this machine makes, with as many threads."""
    write_settings(folder, {**settings, "data": {"root": str(data)}})
    run = snakemake(folder, "--cores", "1", python=python)
    assert run.status == 0, run.output
    return {name: (folder / name).read_bytes() for name in repeatable(*runs(settings))}


def runs(settings: dict[str, Any]) -> list[str]:
    return [f"{recipe}.0" for recipe in settings["runs"]]


class Devices(threading.Thread):
    """Looks again and again which device each running job has."""

    def __init__(self, slurm: Cluster) -> None:
        super().__init__(daemon=True)
        self.slurm, self.seen, self.done = slurm, dict[int, str](), threading.Event()
        self.clashes: list[dict[int, str]] = []

    def run(self) -> None:
        while not self.done.wait(0.3):
            now: dict[int, str] = {}
            for job in self.slurm.jobs():
                held = re.search(r"IDX:([\d,-]+)\)", job.facts.get("GRES", ""))
                if held and job.facts["JobState"] == "RUNNING":
                    now[job.number] = held[1]
            self.seen |= now
            taken = Counter(index for held in now.values() for index in indices(held))
            if any(count > 1 for count in taken.values()):
                self.clashes.append(now)


def indices(text: str) -> list[int]:
    """The numbers of `0-1` or `0,2`."""
    found: list[int] = []
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found


def told(jobs: list[Job], rules: dict[int, tuple[str, str]], devices: dict[int, str]) -> str:
    """The table of jobs: what they asked for and what they got."""
    lines = [
        "| job | rule | cores | memory | minutes | GPUs | device | seconds |",
        "|" + "---|" * 8,
    ]
    for job in jobs:
        rule, wildcards = rules[job.number]
        start, end = map(seconds, job.span)
        lines.append(
            f"| {job.number} | {rule} {wildcards} | {job.facts['NumCPUs']} "
            f"| {job.facts['MinMemoryNode']} | {job.facts['TimeLimit']} | {job.gpus} "
            f"| {devices.get(job.number, '-')} | {end - start:.0f} |"
        )
    return "\n".join(lines)


def sbatch_lines(slurm: Cluster, project: Path) -> list[str]:
    """What sbatch was called with for the jobs of `project`, less where and what they run."""
    lines = (slurm.folder / "sbatch.log").read_text().splitlines()
    here = [line.partition(" --wrap")[0] for line in lines if f" -D {project} " in line]
    return [re.sub(r" -D \S+| --(job-name|output) \S+", "", line) for line in here]


def commands() -> list[str]:
    """The commands of docs/cluster.md, but for those that install."""
    blocks = re.findall(r"```bash\n(.*?)```", (ROOT / "docs" / "cluster.md").read_text(), re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if line.strip()]
    return [line for line in lines if "# tested elsewhere: installs" not in line]


@pytest.mark.parametrize(
    "names", [["pair"], pytest.param(["default", "pair"], marks=pytest.mark.long)]
)
def test_from_nothing_to_a_report_by_the_commands_of_the_document(
    slurm: Cluster,
    data: Path,
    tmp_path: Path,
    names: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings = {**SETTINGS, "runs": names}
    started = time.monotonic()
    # A plain Python, as on the cluster: the times are compared.
    expected = local_results(tmp_path / "local", data, settings, sys.executable)
    local_seconds = time.monotonic() - started

    project = tmp_path / "project"
    for name in ("Snakefile", "config.yaml", "rules", "workflow", "profiles"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        project.mkdir(exist_ok=True)
        copy(ROOT / name, project / name)
    bin_folder = project / ".venv" / "bin"
    bin_folder.mkdir(parents=True)
    (bin_folder / "activate").touch()
    write_settings(project, {**settings, "data": {"root": str(data)}})
    watch = Devices(slurm)
    watch.start()
    todo = commands()
    slurm_seconds = 0.0
    assert len(todo) == 7
    for command in todo:
        if "-n " not in command and command.startswith("snakemake"):
            # What the text says in between.
            profile(project / "profiles" / "ours")
        started = time.monotonic()
        done = subprocess.run(
            ["bash", "-ec", command],
            cwd=project,
            env=environment(slurm, project),
            capture_output=True,
            text=True,
            check=False,
        )
        said = done.stdout + done.stderr
        assert done.returncode == 0, f"{command}\n{said[-3000:]}"
        slurm_seconds = max(slurm_seconds, time.monotonic() - started)
    watch.done.set()
    watch.join()

    assert {name: (project / name).read_bytes() for name in expected} == expected
    rules = rules_of(project)
    jobs = [job for job in slurm.jobs() if job.number in rules]
    lines = sbatch_lines(slurm, project)
    at_work = busy([job.span for job in jobs])
    with capsys.disabled():
        print("", *lines, told(jobs, rules, watch.seen), sep="\n")
        print(f"locally {local_seconds:.0f} s on one core, on Slurm {slurm_seconds:.0f} s:")
        print(f"jobs ran in {at_work:.0f} s of it; {slurm_seconds - at_work:.0f} s were waits")
        print("(Snakemake's start, its looks at the jobs, local jobs)")
    assert len(lines) == len(jobs)
    for line in lines:
        asks = re.findall(r"--gpus=(\S+)", line)
        if "rule_train_wildcards_pair" in line:
            assert asks == ["2"]
        else:
            assert asks == (["1"] if re.search("rule_(train|embed_shard)_", line) else [])

    of_rule = {
        rule: [job for job in jobs if rules[job.number][0] == rule] for rule, _ in rules.values()
    }
    count = {rule: len(some) for rule, some in of_rule.items()}
    # Two models of each run, two splits, two parts; all metrics are one job.
    n = len(names)
    assert count.pop("metrics") == 1
    assert count == {"manifest": 1, "pixels": 1, "train": n, "embed_shard": 8 * n, "embed": 4 * n}
    gpus = {rule: sorted(job.gpus for job in some) for rule, some in of_rule.items()}
    assert gpus["train"] == [1, 2][-n:]
    assert set(gpus["embed_shard"]) == {1}
    for rule in ("manifest", "pixels", "embed", "metrics"):
        assert set(gpus[rule]) == {0}
    # Each got as many as it asked for, and none that another had.
    for job in jobs:
        assert len(indices(watch.seen.get(job.number, ""))) == job.gpus
    assert not watch.clashes
    assert most_at_once([(*job.span, job.gpus) for job in jobs]) == GPUS
    assert most_at_once([(*job.span, 1) for job in of_rule["embed_shard"]]) == GPUS
    # It found no GPU that torch could use, and said so.
    log = (project / "results/logs/pair.0/train.log").read_text()
    assert "GPU 0, 1 of 0, 1" in log
    assert "on cpu; processes: 1," in log


def test_what_ends_a_job_costs_little(slurm: Cluster, data: Path, tmp_path: Path) -> None:
    settings = {**SETTINGS, "runs": ["default"], "embed": {"shards": 1}}
    settings["recipes"] = {"default": {**SMALL, "epochs": 60}}
    expected = local_results(tmp_path / "local", data, settings)
    folder = tmp_path / "cluster"
    write_settings(folder, {**settings, "data": {"root": str(data)}})
    # Something stands where the pixels job wants to write: its first attempt fails.
    cache = folder / ".lookalike"
    cache.mkdir()
    (cache / "pixels").touch()
    with submit(slurm, folder) as running:
        wait_for(folder / "snakemake.log", "failed: pixels", folder)
        (cache / "pixels").unlink()

        log = folder / "results/logs/default.0/train.log"
        wait_for(log, "epoch 2/60", folder)
        [first] = slurm.running()
        # A warning keeps the state and ends nothing; not Snakemake in the job either.
        slurm.run("scancel", "--signal=USR1", str(first))
        wait_for(log, "is kept", folder)
        here = log.read_text().count("epoch ")
        limit = time.monotonic() + 60
        while log.read_text().count("epoch ") < here + 2:
            assert time.monotonic() < limit
            time.sleep(0.02)
        slurm.run("scancel", str(first))
        slurm_log = next((folder / ".snakemake/slurm_logs/rule_train").rglob(f"{first}.log"))
        wait_for(slurm_log, "stopped by SIGTERM", folder)
        wait_for(log, "going on after", folder)
        # The controller is away for a while.
        slurm.stop_controller()
        time.sleep(5)
        slurm.start_controller()
        slurm.wait_until_up()
        assert running.wait(timeout=300) == 0, output(folder)[-3000:]
    assert {name: (folder / name).read_bytes() for name in expected} == expected
    rules = rules_of(folder)
    jobs = {job.number: job for job in slurm.jobs() if job.number in rules}
    for rule in ("pixels", "train"):
        once, again = sorted(number for number, (name, _) in rules.items() if name == rule)
        # The second attempt asked for more.
        for fact in ("TimeLimit", "MinMemoryNode"):
            assert larger(jobs[again].facts[fact], jobs[once].facts[fact])
    assert jobs[first].facts["JobState"] == "CANCELLED"
    assert not list((cache / "training").iterdir())


def larger(one: str, other: str) -> bool:
    """Whether a time (H:M:S) or memory (1.5G, 900M) of Slurm's is more than another."""

    def size(text: str) -> float:
        if ":" in text:
            hours, minutes, seconds = map(float, text.split(":"))
            return hours * 3600 + minutes * 60 + seconds
        return float(text[:-1]) * {"M": 1.0, "G": 1024.0}[text[-1]]

    return size(one) > size(other)


def test_a_training_over_its_time_goes_on_in_the_next_attempt(
    slurm: Cluster, data: Path, tmp_path: Path
) -> None:
    settings = {**SETTINGS, "runs": ["default"], "recipes": {"default": {**SMALL, "epochs": 150}}}
    target = "results/default.0/model.safetensors"
    write_settings(tmp_path / "local", {**settings, "data": {"root": str(data)}})
    local = snakemake(tmp_path / "local", target, "--cores", "1")
    assert local.status == 0, local.output
    expected = (tmp_path / "local" / target).read_bytes()
    folder = tmp_path / "cluster"
    write_settings(folder, {**settings, "data": {"root": str(data)}})
    # Slurm's shortest limit is a minute.
    limits = {"train": {"runtime": "attempt"}}
    with submit(slurm, folder, target, **{"set-resources": limits}) as running:
        log = folder / "results/logs/default.0/train.log"
        wait_for(log, "epoch 2/150", folder)
        # The training hangs, as on a disk that does not answer, until Slurm wakes it to end it.
        processes = subprocess.run(
            ["pgrep", "-f", rf"{folder}/.snakemake/scripts/tmp.*train\.py"],
            capture_output=True,
            text=True,
            check=True,
        )
        for pid in processes.stdout.split():
            os.kill(int(pid), signal.SIGSTOP)
        wait_for(folder / "snakemake.log", "Trying to restart job", folder, seconds=240)
        wait_for(log, "going on after", folder)
        assert running.wait(timeout=240) == 0, output(folder)[-3000:]
    assert (folder / target).read_bytes() == expected
    rules = rules_of(folder)
    trainings = [job for job in slurm.jobs() if rules.get(job.number, ("",))[0] == "train"]
    assert [job.facts["JobState"] for job in trainings] == ["TIMEOUT", "COMPLETED"]
    assert [job.facts["TimeLimit"] for job in trainings] == ["00:01:00", "00:02:00"]


def test_ctrl_c_leaves_no_job_behind(slurm: Cluster, data: Path, tmp_path: Path) -> None:
    endless = {"default": {**SMALL, "epochs": 10**6}}
    settings = {**SETTINGS, "runs": ["default"], "seeds": [0, 1], "recipes": endless}
    write_settings(tmp_path, {**settings, "data": {"root": str(data)}})
    with submit(slurm, tmp_path) as running:
        logs = [tmp_path / f"results/logs/default.{seed}/train.log" for seed in (0, 1)]
        for log in logs:
            wait_for(log, "epoch 2/", tmp_path)
        assert len(slurm.running()) == 2
        os.killpg(running.pid, signal.SIGINT)
        assert running.wait(timeout=120) != 0
    limit = time.monotonic() + 30
    while slurm.running():
        assert time.monotonic() < limit
        time.sleep(0.2)
    # What they had done is kept.
    assert len(list((tmp_path / ".lookalike/training").iterdir())) == 2


def test_the_processes_of_a_training_are_one_step_of_its_job(
    slurm: Cluster, data: Path, tmp_path: Path
) -> None:
    """As on GPUs, but on the CPU, which a recipe's `gpus` would not ask for."""
    settings = {**SETTINGS, "runs": ["default"], "recipes": {"default": SMALL}}
    write_settings(tmp_path, {**settings, "data": {"root": str(data)}})
    run = snakemake(tmp_path, "results/default.0/model.safetensors", "--cores", "1")
    assert run.status == 0, run.output
    script = tmp_path / "several.py"
    script.write_text(
        f"""
import sys
from lookalike.config import resolve, image_settings
from lookalike.storage.yaml_files import read_yaml
from lookalike.training.launch import launch
from lookalike.training.job import TrainingJob
schema = read_yaml({str(ROOT / "workflow" / "schemas" / "config.schema.yaml")!r})
settings = resolve([read_yaml("mine.yaml")], schema)
launch(TrainingJob(
    manifest="results/manifest/train.parquet", folder={str(data / "train")!r},
    trained=sys.argv[1], untrained=sys.argv[1] + "/untrained",
    history=sys.argv[1] + "/history.parquet", recipe_name="default",
    recipe=settings["recipes"]["default"], image=image_settings(settings, "default"), seed=0,
    device="cpu", cache=sys.argv[1] + ".cache", pixel_store_gb=1.0, code="", software={{}},
    threads=2, processes=2), sys.argv[1] + ".log")
"""
    )
    local = subprocess.run(
        [sys.executable, str(script), "local"],
        cwd=tmp_path,
        env={**environment(slurm), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert local.returncode == 0, local.stderr
    # As Snakemake's job step does: one task that has all GPUs of the job.
    step = f"srun -n1 --gpus=2 --nodes=1 --cpus-per-task=2 {sys.executable} {script} cluster"
    job = subprocess.run(
        ["sbatch", "--parsable", "--wait", "--gpus=2", "--cpus-per-task=2", "--wrap", step],
        cwd=tmp_path,
        env=environment(slurm),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    number = job.stdout.strip()
    said = (tmp_path / f"slurm-{number}.out").read_text()
    assert job.returncode == 0, said
    local_weights, weights = (
        (tmp_path / place / "model.safetensors").read_bytes() for place in ("local", "cluster")
    )
    assert weights == local_weights
    # The job, its step, and within it the step of the two processes.
    started = (slurm.folder / "slurmd.log").read_text()
    assert set(re.findall(rf"launch task StepId={number}\.(\d+)", started)) == {"0", "1"}
    assert "MEMBER: 2/2" in said
