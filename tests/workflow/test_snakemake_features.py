"""What Snakemake offers beside a plain run, on the real workflow."""

import json
import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from lookalike.config import merge
from support.drawings import draw, write_data
from support.project import ROOT
from support.snakemake_runs import FINAL, QUICK, repeatable, snakemake, start, write_settings

pytestmark = pytest.mark.workflow

SETTINGS = merge(QUICK, {"recipes": {"default": {"epochs": 2}}})
PROFILE = str(ROOT / "profiles" / "default")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("images"), train_classes=6, test_classes=4)


def test_weights_come_back_from_the_cache_between_workflows(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    monkeypatch.setenv("SNAKEMAKE_OUTPUT_CACHE", str(shared))
    write_settings(tmp_path, merge(SETTINGS, {"data": {"root": str(data)}}))
    first = snakemake(tmp_path, "--cache")
    assert first.status == 0, first.output
    made = {name: (tmp_path / name).read_bytes() for name in repeatable("default.0")}
    history = tmp_path / "results/default.0/history.parquet"
    epochs = history.read_bytes()

    shutil.rmtree(tmp_path / "results")
    again = snakemake(tmp_path, "--cache")
    assert again.status == 0, again.output
    assert {name: (tmp_path / name).read_bytes() for name in made} == made
    # The history holds times: these are the first training's, so there was no second one.
    assert history.read_bytes() == epochs
    nothing = snakemake(tmp_path, "--cache")
    assert nothing.jobs == {}

    # Neither another seed is taken for it, nor a recipe of another name.
    settings = merge(SETTINGS, {"data": {"root": str(data)}, "runs": ["default", "same"]})
    settings = merge(settings, {"recipes": {"same": SETTINGS["recipes"]["default"]}})
    write_settings(tmp_path, merge(settings, {"seeds": [0, 1]}))
    targets = [f"results/{run}/model.safetensors" for run in ("default.1", "same.0")]
    other = snakemake(tmp_path, *targets, "--cache")
    assert other.status == 0, other.output
    weights = {(tmp_path / name).read_bytes() for name in targets}
    assert len(weights | {made["results/default.0/model.safetensors"]}) == 2
    models = [tmp_path / f"results/{run}/model.json" for run in ("default.1", "same.0")]
    described = [json.loads(path.read_text()) for path in models]
    assert [(one["recipe"], one["seed"]) for one in described] == [("default", 1), ("same", 0)]


def test_the_cache_between_workflows_goes_by_what_the_images_hold(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared, own = tmp_path / "shared", tmp_path / "data"
    shared.mkdir()
    shutil.copytree(data, own)
    monkeypatch.setenv("SNAKEMAKE_OUTPUT_CACHE", str(shared))
    # Not watched: Snakemake is told of no change of an image but through the manifest.
    watch = {"data": {"root": "data", "watch_images": False}}
    write_settings(tmp_path, merge(SETTINGS, watch))
    target = "results/default.0/model.safetensors"
    first = snakemake(tmp_path, target, "--cache")
    assert first.status == 0, first.output
    before = (tmp_path / target).read_bytes()
    draw(0, 50).save(own / "train" / "0000_000.png")
    again = snakemake(tmp_path, target, "--forcerun", "manifest", "--cache")
    assert again.status == 0, again.output
    assert (tmp_path / target).read_bytes() != before


def test_a_failure_leaves_the_other_runs_alone_and_is_mended_alone(
    data: Path, tmp_path: Path
) -> None:
    runs = {"data": {"root": str(data)}, "runs": ["wild", "default"]}
    wild = merge(
        SETTINGS["recipes"]["default"],
        {
            "loss": {"name": "contrastive"},
            "model": {"normalize": False, "batch_norm": False},
            "optimizer": {"name": "sgd", "lr": 1e6, "warmup_epochs": 0},
        },
    )
    write_settings(tmp_path, merge(SETTINGS, {**runs, "recipes": {"wild": wild}}))
    run = snakemake(tmp_path, "--keep-going")
    assert run.status != 0
    assert "wild" in run.output
    assert (tmp_path / "results/default.0/metrics.json").exists()
    assert not (tmp_path / "results/wild.0").exists()
    assert not (tmp_path / "results/comparison.csv").exists()
    scored = {"embed": 4, "metrics": 2, "threshold": 1}
    assert run.jobs == {"manifest": 1, "pixels": 1, "train": 1, **scored}

    tame = merge(wild, {"optimizer": {"name": "sgd", "lr": 0.01}})
    write_settings(tmp_path, merge(SETTINGS, {**runs, "recipes": {"wild": tame}}))
    mended = snakemake(tmp_path)
    assert mended.status == 0, mended.output
    assert mended.jobs == {"train": 1, "embed": 4, "metrics": 2, "threshold": 1, **FINAL}


def test_a_killed_run_is_taken_up_again(data: Path, tmp_path: Path) -> None:
    write_settings(tmp_path, merge(SETTINGS, {"data": {"root": str(data)}}))
    log = tmp_path / "results/logs/default.0/train.log"
    with start(tmp_path, own_group=True) as run:
        limit = time.monotonic() + 120
        while not log.exists() and time.monotonic() < limit:
            time.sleep(0.05)
        assert log.exists()
        os.killpg(run.pid, signal.SIGKILL)
    refused = snakemake(tmp_path)
    assert refused.status != 0
    assert "--unlock" in refused.output
    assert snakemake(tmp_path, "--unlock").status == 0
    # The profile asks for --rerun-incomplete.
    again = snakemake(tmp_path)
    assert again.status == 0, again.output
    assert again.jobs == {"train": 1, "embed": 4, "metrics": 2, "threshold": 1, **FINAL}
    assert snakemake(tmp_path).jobs == {}


def test_another_workflow_imports_this_one(data: Path, tmp_path: Path) -> None:
    settings = merge(SETTINGS, {"data": {"root": str(data)}})
    sharded = merge(settings, {"embed": {"shards": 2}, "image": {"size": 16}})
    (tmp_path / "Snakefile").write_text(
        f"""
module first:
    snakefile: {str(ROOT / "Snakefile")!r}
    config: {settings}
    prefix: "one"

module second:
    snakefile: {str(ROOT / "Snakefile")!r}
    config: {sharded}
    prefix: "two"

use rule * from first as first_*
use rule * from second as second_*

rule both:
    default_target: True
    input:
        tables=["one/results/comparison.csv", "two/results/comparison.csv"],
        page="one/results/report.html",
    output:
        "both.csv",
    shell:
        "cat {{input.tables}} > {{output}}"
"""
    )
    arguments = ("--workflow-profile", PROFILE)
    run = snakemake(tmp_path, *arguments, snakefile=tmp_path / "Snakefile")
    assert run.status == 0, run.output
    one = {"manifest": 1, "pixels": 1, "train": 1, "embed": 4, "metrics": 2, "compare": 1}
    assert run.jobs == {
        **{f"first_{rule}": count for rule, count in one.items()},
        **{f"second_{rule}": count for rule, count in one.items()},
        # Only the page shows it.
        "first_threshold": 1,
        "first_report": 1,
        "second_embed_shard": 8,
        "both": 1,
    }
    made = {path.name for path in tmp_path.iterdir()} - {".snakemake"}
    assert made == {"Snakefile", "both.csv", "one", "two", ".lookalike"}
    assert {path.name for path in (tmp_path / "one").iterdir()} == {"results"}
    page = (tmp_path / "one/results/report.html").read_text()
    assert "lookalike search one/results photo.jpg" in page
    again = snakemake(tmp_path, *arguments, snakefile=tmp_path / "Snakefile")
    assert again.jobs == {}
