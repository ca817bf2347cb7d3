"""What is held out, and when its scores decide the weights, by the real Snakemake."""

import json
import re
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from lookalike.config import merge
from support.drawings import write_data, write_images
from support.project import ROOT
from support.snakemake_runs import QUICK, Run, snakemake, write_settings

pytestmark = pytest.mark.workflow

MODEL = "results/default.0/model.safetensors"


def add_queries(root: Path, labels: list[int], numbers: list[int]) -> None:
    known = json.loads((root / "test_image_info.json").read_text())
    known |= write_images(root / "query_images", labels, numbers)
    (root / "test_image_info.json").write_text(json.dumps(known))


def test_a_closed_set_holds_out_images_and_only_a_change_of_that_trains_anew(
    tmp_path: Path,
) -> None:
    code, folder, root = tmp_path / "checkout", tmp_path / "project", tmp_path / "project" / "data"
    code.mkdir()
    for name in ("Snakefile", "config.yaml", "rules", "workflow"):
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, code / name)
    write_data(root, train_classes=24, test_classes=4)
    recipe = {"epochs": "auto", "steps": 3, "validation": {"classes": 0.1, "keep": "best"}}
    write_settings(folder, merge(QUICK, {"recipes": {"default": recipe}}))

    def run(*arguments: str) -> Run:
        done = snakemake(folder, MODEL, *arguments, snakefile=code / "Snakefile")
        assert done.status == 0, done.output
        return done

    log = folder / "results/logs/default.0/train.log"
    first = run()
    assert "multi_similarity loss, 3 steps)" in first.output
    assert "held out: whole classes" in log.read_text()
    history = pq.read_table(folder / "results/default.0/history.parquet").to_pydict()
    assert history["steps"] == [1, 1, 1]
    assert sum(history["kept"]) == 1

    # One of five queries, then two of six, then five of nine are of classes trained on.
    add_queries(root, [0], [10])
    assert run().jobs == {"manifest": 1}
    add_queries(root, [1], [10])
    assert run().jobs == {"manifest": 1}
    add_queries(root, [2, 3, 4], [10])
    assert run().jobs == {"manifest": 1, "train": 1}
    assert "images of each class" in log.read_text()
    assert "most queries are of classes that are trained on" in log.read_text()

    # What scores held-out images decides which epoch is kept.
    with (code / "workflow/lookalike/retrieval/ranking.py").open("a") as stream:
        stream.write("UNUSED = 1\n")
    planned = run("-n").output
    assert re.search(r"^train +1$", planned, re.MULTILINE), planned


def test_a_threshold_chosen_by_held_out_images_asks_for_them_and_no_other_does(
    tmp_path: Path,
) -> None:
    folder, root = tmp_path / "project", tmp_path / "project" / "data"
    write_data(root, train_classes=24, test_classes=6)
    recipe = {"epochs": 1, "validation": {"classes": 0.25, "keep": "last"}}
    threshold = "results/default.0/threshold.json"

    def run(*arguments: str, **asked: object) -> Run:
        settings = {"recipes": {"default": recipe}, "threshold": asked}
        write_settings(folder, merge(QUICK, settings))
        done = snakemake(folder, threshold, *arguments)
        assert done.status == 0, done.output
        return done

    def found() -> dict[str, object]:
        content: dict[str, object] = json.loads((folder / threshold).read_text())
        return content

    run(precision=0.4)
    assert found()["from"] == "queries"
    assert not (folder / "results/default.0/held_out").exists()

    chosen = {"precision": 0.4, "from": "held_out"}
    assert run(**chosen).jobs == {"held_out": 1, "threshold": 1}
    assert found()["from"] == "held_out"
    held_out = folder / "results/default.0/held_out"
    table = pq.read_table(held_out / "answers.parquet")
    # A quarter of the classes, as the training says.
    assert len(set(table["label"].to_pylist())) == 6
    log = (folder / "results/logs/default.0/train.log").read_text()
    assert "held out: whole classes" in log
    n_images = len(set(table["image_id"].to_pylist()))
    assert f"{n_images} of" in (folder / "results/logs/default.0/held_out.log").read_text()

    # Another promise embeds and draws nothing anew; nor does a run as before.
    assert run(**{**chosen, "precision": 0.3}).jobs == {"threshold": 1}
    assert run(**{**chosen, "precision": 0.3}).jobs == {}
    # Labels of queries say how many relevant items the gallery has of each.
    add_queries(root, [24], [10])
    jobs = run(**{**chosen, "precision": 0.3}).jobs
    assert jobs == {"manifest": 1, "embed": 1, "metrics": 1, "held_out": 1, "threshold": 1}
    assert run(precision=0.4).jobs == {"threshold": 1}
    assert found()["from"] == "queries"
