"""The whole workflow, through the real Snakemake, on small drawn images."""

import json
import os
import re
import shutil
import sys
import time
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from lookalike.config import image_settings, merge, resolve
from lookalike.storage.digests import digest_of
from lookalike.storage.yaml_files import read_yaml
from support.drawings import draw, write_data
from support.html_reader import parse
from support.page_parts import without_origin
from support.project import ROOT
from support.snakemake_runs import QUICK, Run, repeatable, snakemake, write_settings

pytestmark = pytest.mark.workflow

RUN = "results/default.0"
SCHEMA = read_yaml(ROOT / "workflow" / "schemas" / "config.schema.yaml")
# What the images become at the settings of QUICK.
PIXELS = digest_of(image_settings(resolve([QUICK], SCHEMA), "default"))
REPEATABLE = repeatable("default.0")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="module")
def done(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Run]:
    """A folder in which the workflow has run once, and that run.

    Each job is a new Python, as a user's are; most other runs of the tests are not.
    """
    folder = tmp_path_factory.mktemp("done")
    write_settings(folder, merge(QUICK, {"data": {"root": str(data)}}))
    return folder, snakemake(folder, python=sys.executable)


def test_one_command_makes_everything(done: tuple[Path, Run]) -> None:
    folder, run = done
    assert run.status == 0, run.output
    assert run.jobs == {
        "manifest": 1,
        "pixels": 1,
        "train": 1,
        "embed": 4,
        "metrics": 2,
        "threshold": 1,
        "compare": 1,
        "report": 1,
    }
    last = run.output.splitlines()[-1]
    assert re.fullmatch(
        r"report: results/report.html; default: for \d+ of 100 queries the first image is right "
        r"\(untrained [\d.]+, chance [\d.]+\); for \d+ of 100 at least one of the first \w+ is "
        r"\(untrained [\d.]+, chance [\d.]+\)",
        last,
    )
    for name in [*REPEATABLE, f"{RUN}/history.parquet", "results/report.html"]:
        assert (folder / name).stat().st_size > 0, name


def test_outputs_keep_their_contracts(done: tuple[Path, Run]) -> None:
    folder, _ = done
    manifest = pq.read_table(folder / "results/manifest/gallery.parquet").to_pandas()
    assert len(manifest) == 8 * 3
    assert set(manifest["status"]) == {"ok"}
    embeddings = pq.read_table(folder / RUN / "embeddings/gallery.parquet")
    assert embeddings.column_names == ["image_id", "label", "sha256", "embedding"]
    assert str(embeddings.schema.field("embedding").type).startswith("fixed_size_list<")
    assert embeddings.schema.field("embedding").type.list_size == 16
    assert embeddings["image_id"].to_pylist() == manifest["image_id"].tolist()
    assert embeddings["sha256"].to_pylist() == manifest["sha256"].tolist()
    summary = json.loads((folder / RUN / "embeddings/gallery.json").read_text())
    assert summary["images"] == summary["embedded"] == summary["decoded"] == 24
    assert summary["from_store"] == 0
    model = json.loads((folder / RUN / "model.json").read_text())
    assert summary["model_digest"] == model["digest"]

    metrics = json.loads((folder / RUN / "metrics.json").read_text())
    assert metrics["n_queries"] == 6
    assert metrics["n_gallery"] == 24
    assert metrics["score"] == "cosine"
    for key in ("mAP@1", "mAP@10", "mAP@50", "mean_rank"):
        assert metrics["metrics"][key] > 0
        assert metrics["chance"][key] > 0
    # Six queries are too few for one.
    assert metrics["ci95"] == {}
    per_query = pd.read_parquet(folder / RUN / "per_query.parquet")
    assert metrics["units"] == {"unit": "query", "n": 6, "why": "no class has several queries"}
    threshold = json.loads((folder / RUN / "threshold.json").read_text())
    assert threshold["score"] is None
    assert threshold["promise"] == {"precision": 0.95}
    assert threshold["reason"].startswith("6 answers are too few")
    assert threshold["on"] == {
        "n_queries": 6,
        "n_queries_without_relevant": 0,
        "n_classes": per_query["label"].nunique(),
        "n_gallery": 24,
        "score": "cosine",
        "model_digest": json.loads((folder / RUN / "model.json").read_text())["digest"],
        "gallery_digest": metrics["gallery_digest"],
    }
    assert metrics["model_digest"] == threshold["on"]["model_digest"]

    history = pq.read_table(folder / RUN / "history.parquet").to_pandas()
    assert history["epoch"].tolist() == [1, 2, 3, 4]
    assert history["validation_mAP@10"].between(0, 1).all()
    comparison = pd.read_csv(folder / "results/comparison.csv")
    assert comparison["run"].tolist() == ["default.0", "default.0"]
    assert comparison["state"].tolist() == ["trained", "untrained"]
    assert comparison["mAP@10"][0] == pytest.approx(metrics["metrics"]["mAP@10"])


def test_what_intervals_draw_follows_from_the_classes_that_are_trained_on(
    done: tuple[Path, Run], data: Path, tmp_path: Path
) -> None:
    folder, moved = tmp_path / "copy", tmp_path / "moved"
    shutil.copytree(done[0], folder, symlinks=True)
    shutil.copytree(data, moved)
    write_settings(folder, merge(QUICK, {"data": {"root": str(moved)}}))
    path = moved / "test_image_info.json"
    labels = json.loads(path.read_text())
    trained_on = next(iter(json.loads((moved / "train_image_info.json").read_text()).values()))
    one, other, *_ = dict.fromkeys(labels.values())
    # Two classes become one, which is trained on or not.
    for name, unit, n in ((other, "class", 5), (trained_on, "query", 6)):
        merged = {key: name if label in (one, other) else label for key, label in labels.items()}
        path.write_text(json.dumps(merged))
        target = f"{RUN}/untrained/metrics.json"
        run = snakemake(folder, target)
        assert run.status == 0, run.output
        units = json.loads((folder / target).read_text())["units"]
        assert (units["unit"], units["n"]) == (unit, n)


def test_a_second_run_does_nothing(done: tuple[Path, Run]) -> None:
    folder, first = done
    again = snakemake(folder)
    assert again.status == 0
    assert "Nothing to be done" in again.output
    assert again.output.splitlines()[-1] == first.output.splitlines()[-1]
    assert again.jobs == {}


def test_another_run_from_scratch_gives_the_same_bytes(
    done: tuple[Path, Run], data: Path, tmp_path: Path
) -> None:
    folder, _ = done
    # Elsewhere on disk, with other file times, and with nothing in the cache.
    moved = tmp_path / "moved"
    shutil.copytree(data, moved, copy_function=shutil.copyfile)
    write_settings(tmp_path, merge(QUICK, {"data": {"root": "moved"}}))
    again = snakemake(tmp_path)
    assert again.status == 0, again.output
    for name in REPEATABLE:
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes(), name


def test_only_metrics_follow_another_k(done: tuple[Path, Run], tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(done[0], folder, symlinks=True)
    mine = (done[0] / "mine.yaml").read_text()
    (folder / "mine.yaml").write_text(mine + "metrics: {k: [1, 5]}\n")
    run = snakemake(folder)
    assert run.status == 0, run.output
    assert run.jobs == {"metrics": 2, "threshold": 1, "compare": 1, "report": 1}
    metrics = json.loads((folder / RUN / "metrics.json").read_text())["metrics"]
    assert "mAP@5" in metrics
    assert "mAP@10" not in metrics


def test_shards_change_no_byte_and_a_changed_image_touches_one(
    done: tuple[Path, Run], data: Path, tmp_path: Path
) -> None:
    folder, moved = tmp_path / "copy", tmp_path / "data"
    shutil.copytree(done[0], folder)
    shutil.copytree(data, moved)
    shutil.rmtree(folder / ".lookalike" / "embeddings")
    mine = (done[0] / "mine.yaml").read_text()
    shards = f"embed: {{shards: 3}}\ndata: {{root: {moved}}}\n"
    (folder / "mine.yaml").write_text(re.sub("^data:\n.*\n", "", mine, flags=re.M) + shards)
    target = f"{RUN}/embeddings/gallery.parquet"
    run = snakemake(folder, target)
    assert run.status == 0, run.output
    assert run.jobs == {"manifest": 1, "embed_shard": 3, "embed": 1}
    assert (folder / target).read_bytes() == (done[0] / target).read_bytes()
    assert embedded(folder) == (24, 0)

    labels = json.loads((moved / "test_image_info.json").read_text())
    draw(11, 50).save(moved / "gallery" / "0011_001.png")
    run = snakemake(folder, target)
    # The part that lost a content and the part that got one, which may be the same.
    assert run.jobs["embed_shard"] in (1, 2)
    assert run.jobs.keys() == {"manifest", "embed_shard", "embed"}
    assert embedded(folder) == (1, 23)

    (moved / "test_image_info.json").write_text(json.dumps(labels | {"0011_001.png": 12}))
    run = snakemake(folder, target)
    assert run.jobs == {"manifest": 1, "embed": 1}
    assert embedded(folder) == (0, 24)


def embedded(folder: Path) -> tuple[int, int]:
    """Gallery images that were embedded, and that came from the store, for the last table."""
    counts = json.loads((folder / RUN / "embeddings/gallery.json").read_text())
    assert counts["decoded"] == counts["embedded"]
    return counts["embedded"], counts["from_store"]


def test_a_folder_that_was_a_link_and_is_a_copy_now(data: Path, tmp_path: Path) -> None:
    """A query is its own file no more, though all names, contents, sizes and times are the same."""
    own, aside, target = tmp_path / "data", tmp_path / "aside", "results/manifest/query.parquet"
    shutil.copytree(data, own)
    shutil.copytree(own / "query_images", aside, copy_function=os.link)
    shutil.rmtree(own / "gallery")
    (own / "gallery").symlink_to("query_images")
    write_settings(tmp_path, QUICK)
    assert snakemake(tmp_path, target).jobs == {"manifest": 1}
    linked = pq.read_schema(tmp_path / target).metadata
    (own / "gallery").unlink()
    aside.rename(own / "gallery")
    assert snakemake(tmp_path, target).jobs == {"manifest": 1}
    copied = pq.read_schema(tmp_path / target).metadata or {}
    assert b"same_files" in linked
    assert b"same_files" not in copied


def test_labels_of_the_future_and_results_among_the_images(data: Path, tmp_path: Path) -> None:
    own = tmp_path / "data"
    shutil.copytree(data, own)
    ahead = time.time() + 6 * 3600 + 60
    for path in (own / "train_image_info.json", own / "gallery" / "0010_001.png"):
        os.utime(path, (ahead, ahead))
    made = {"results": "data/gallery/results", "cache": "data/train/cache"}
    write_settings(tmp_path, merge(QUICK, made))
    target = "data/gallery/results/pixels"
    run = snakemake(tmp_path, f"{target}/{PIXELS}.parquet")
    assert run.status == 0, run.output
    assert run.jobs == {"manifest": 1, "pixels": 1}
    assert "train_image_info.json is dated 6 hours ahead of this machine's clock" in run.output
    report = json.loads((own / "gallery/results/data_report.json").read_text())
    for split in report["splits"].values():
        assert split["unlisted_files"]["count"] == 0
    # Results that were made by a clock that was ahead: what follows from them is made all the same.
    manifest = own / "gallery/results/manifest/train.parquet"
    os.utime(manifest, (ahead, ahead))
    (own / f"gallery/results/pixels/{PIXELS}.parquet").unlink()
    again = snakemake(tmp_path, f"{target}/{PIXELS}.parquet")
    assert again.status == 0, again.output
    assert again.jobs == {"pixels": 1}
    assert manifest.stat().st_mtime <= time.time()
    assert "Nothing to be done" in snakemake(tmp_path, f"{target}/{PIXELS}.parquet").output


def test_without_data_one_message_says_what_to_do(tmp_path: Path) -> None:
    run = snakemake(tmp_path)
    assert run.status != 0
    for part in ("no data to work on", "train_image_info.json", "query_images", "make demo"):
        assert part in run.output
    assert str(tmp_path / "data") in run.output
    assert "Traceback" not in run.output


def test_a_mistake_in_the_settings_is_explained(tmp_path: Path) -> None:
    write_settings(tmp_path, {"metrics": {"K": [1]}})
    run = snakemake(tmp_path, "-n")
    assert run.status != 0
    assert "metrics: unknown key 'K'; did you mean 'k'?" in run.output
    assert "Traceback" not in run.output


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("defualt.0/untrained/metrics.json", "named defualt; did you mean 'default'?"),
        (
            "nosuch.3/embeddings/query.1-of-2.json",
            "named nosuch; known: default, finetune, original",
        ),
        ("default.01/history.parquet", "01 is no seed"),
        (f"pixels/{'0' * 16}.parquet", f"known: .*{PIXELS}"),
    ],
)
def test_a_target_that_no_setting_knows_is_told(
    data: Path, tmp_path: Path, target: str, message: str
) -> None:
    write_settings(tmp_path, merge(QUICK, {"data": {"root": str(data)}}))
    run = snakemake(tmp_path, "-n", f"results/{target}")
    assert run.status != 0
    assert re.search(message, run.output), run.output
    assert "Traceback" not in run.output
    assert "Error" not in run.output


def test_settings_files_are_laid_over_one_by_one(data: Path, tmp_path: Path) -> None:
    # Merged at once, the triplet loss would be left with a setting of the contrastive loss.
    loss = {"name": "contrastive", "mean": "all"}
    first = {"data": {"root": str(data)}, "recipes": {"default": {"loss": loss}}}
    (tmp_path / "a.yaml").write_text(json.dumps(first))
    (tmp_path / "b.yaml").write_text('{"recipes": {"default": {"loss": {"name": "triplet"}}}}')
    plan = snakemake(tmp_path, "-n", "--configfile", "a.yaml", "b.yaml")
    assert plan.status == 0, plan.output
    assert "triplet loss" in plan.output


def test_the_plan_is_shown_without_reading_an_image(data: Path, tmp_path: Path) -> None:
    write_settings(tmp_path, {"data": {"root": str(data)}, "runs": ["default", "original"]})
    plan = snakemake(tmp_path, "-n")
    assert plan.status == 0, plan.output
    assert "train: original.0" in plan.output
    graph = snakemake(tmp_path, "--dag")
    assert graph.status == 0
    assert "digraph" in graph.output
    assert not (tmp_path / "results").exists()


def test_from_three_recipes_on_each_has_a_page_of_changes(data: Path, tmp_path: Path) -> None:
    recipes = {"recipes": {"third": {"extends": "default"}}, "data": {"root": str(data)}}
    write_settings(tmp_path, recipes | {"runs": ["default", "original", "third"], "seeds": [4, 5]})
    pages = [f"results/changes/{recipe}.4.html" for recipe in ("original", "third")]
    plan = snakemake(tmp_path, "-n", *pages)
    assert plan.status == 0, plan.output
    assert plan.output.count("report: results/report.html") == 1
    # Of two recipes, the report itself shows what changed.
    write_settings(tmp_path, recipes | {"runs": ["default", "third"], "seeds": [4, 5]})
    assert snakemake(tmp_path, "-n", pages[1]).status != 0
    assert snakemake(tmp_path, "-n").status == 0


def test_the_recipe_original_is_understood_by_its_old_name(data: Path, tmp_path: Path) -> None:
    write_settings(tmp_path, {"data": {"root": str(data)}, "runs": ["seed"]})
    plan = snakemake(tmp_path, "-n")
    assert plan.status == 0, plan.output
    assert "train: original.0" in plan.output
    assert plan.output.count("the recipe seed is called original now") == 1
    asked = snakemake(tmp_path, "-n", "results/seed.0/metrics.json")
    assert asked.status != 0
    assert "the recipe seed is called original now; ask for original.0" in asked.output
    assert "Traceback" not in asked.output


def test_bad_images_stop_the_run_where_asked(data: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(data, broken)
    (broken / "train" / "0000_000.png").write_bytes(b"<html>not found</html>")
    write_settings(tmp_path, merge(QUICK, {"data": {"root": "broken", "on_bad_image": "fail"}}))
    run = snakemake(tmp_path)
    assert run.status != 0
    assert "0000_000.png" in run.output
    assert "Traceback" not in run.output
    assert not (tmp_path / RUN).exists()
    assert run.jobs == {}
    # No frames of Snakemake's after it.
    *message, failed = run.output.splitlines()[-4:]
    assert "error: data.on_bad_image is fail" in message[0]
    assert message[-1].startswith("    0000_000.png: ")
    assert failed == "failed: manifest (results/logs/manifest.log)"


def test_the_workflow_catalogs_entry_plans_the_same_jobs(data: Path, tmp_path: Path) -> None:
    write_settings(tmp_path, {"data": {"root": str(data)}})
    plan = snakemake(tmp_path, "-n", snakefile=ROOT / "workflow" / "Snakefile")
    assert plan.status == 0, plan.output
    for rule in (
        *("manifest", "pixels", "train", "embed", "metrics", "threshold", "compare", "report"),
    ):
        assert rule in plan.output


def test_snakemakes_own_report_carries_the_page(done: tuple[Path, Run]) -> None:
    folder, _ = done
    run = snakemake(folder, "--report", "snakemake-report.html")
    assert run.status == 0, run.output
    page = (folder / "snakemake-report.html").read_text()
    assert "report.html" in page
    assert "comparison.csv" in page
    for what in ("report", "comparison"):
        labels = {"what": what, "title": "Image similarity", "results": "results"}
        assert f'"labels": {json.dumps(labels)}' in page
    # Of which data: in the description, and in the page's caption.
    root = read_yaml(folder / "mine.yaml")["data"]["root"]
    text = re.sub(r"</?(tt|span)[^<>]*>", "", page)
    assert len(re.findall(f"(?i)images of {re.escape(root)}, results in", text)) == 2


def test_the_page_tells_where_it_comes_from_and_no_secret(done: tuple[Path, Run]) -> None:
    folder, _ = done
    path = folder / "results" / "report.html"
    before = path.read_bytes()
    secret = ("--storage-s3-token", "hunter2")
    # How it is started is no reason to make it anew.
    again = snakemake(folder, "--keep-going", *secret)
    assert (again.status, again.jobs) == (0, {}), again.output
    assert path.read_bytes() == before
    again = snakemake(folder, "--forcerun", "report", *secret)
    assert (again.status, again.jobs) == (0, {"report": 1}), again.output
    text = path.read_text()
    assert without_origin(text) == without_origin(before.decode())
    facts, steps = (
        {row.all("th")[0].text: [cell.text.strip() for cell in row.all("td")] for row in rows}
        for rows in (table.all("tr") for table in parse(text).one("details", "origin").all("table"))
    )
    assert facts["Started in"] == [str(folder)]
    assert facts["Settings"][0].endswith("mine.yaml")
    assert facts["Command"][0].startswith("snakemake ")
    assert "--storage-s3-token … " in facts["Command"][0] + " "
    assert "--forcerun report" in facts["Command"][0]
    measured = {
        step: pd.concat(
            pd.read_csv(file, sep="\t")
            for file in (folder / "results/benchmarks").rglob(f"{step}.tsv")
        )
        for step in ("manifest", "metrics", "embed_gallery")
    }
    for step, rows in measured.items():
        jobs, together, *_ = steps[step.replace("_", " ")]
        assert int(jobs) == len(rows)
        assert float(together.removesuffix(" s")) == pytest.approx(rows["s"].sum(), rel=0.1)
    assert steps["train"][0] == "1"
    kept = [file for file in folder.rglob("*") if file.is_file()]
    assert not [file for file in kept if b"hunter2" in file.read_bytes()]
