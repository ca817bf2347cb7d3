"""What runs again after a change: the set of jobs and the counters, through the real Snakemake.

The tests share one folder and run in order: each makes one change to what the one before left.
"""

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from lookalike.config import merge
from support.drawings import draw, write_data
from support.page_parts import without_origin
from support.project import ROOT
from support.snakemake_runs import FINAL, QUICK, Run, snakemake, write_settings

pytestmark = pytest.mark.workflow

SCORED = {"metrics": 2, "threshold": 1, **FINAL}
ALL = {"manifest", "pixels", "train", "embed", *SCORED}


class Project:
    """A folder with data and settings in which the workflow has run once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = write_data(folder / "data", train_classes=6, test_classes=4)
        self.settings: dict[str, Any] = merge(QUICK, {"recipes": {"default": {"epochs": 2}}})
        self.run()

    def run(self, *arguments: str) -> Run:
        """Run the workflow; it must succeed."""
        write_settings(self.folder, self.settings)
        done = snakemake(self.folder, *arguments)
        assert done.status == 0, done.output
        return done

    def counts(self, split: str, model: str = "default.0") -> tuple[int, int, int]:
        """Images decoded, embedded, and read from the store, by embeddings/{split}.json."""
        path = self.folder / "results" / model / "embeddings" / f"{split}.json"
        summary = json.loads(path.read_text())
        return summary["decoded"], summary["embedded"], summary["from_store"]

    def relabel(self, name: str, changes: dict[str, object]) -> None:
        """Change entries of a labels file; None removes one."""
        path = self.data / name
        labels = json.loads(path.read_text()) | changes
        path.write_text(
            json.dumps({key: label for key, label in labels.items() if label is not None})
        )


def planned(run: Run) -> set[str]:
    """The rules that a dry run lists."""
    assert run.status == 0, run.output
    return set(re.findall(r"^(\w+) +\d+$", run.output, re.MULTILINE)) - {"all", "total"}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("project"))


def test_nothing_changed(project: Project) -> None:
    again = project.run()
    assert again.jobs == {}
    assert "Nothing to be done" in again.output


def test_touched_images(project: Project) -> None:
    for path in project.data.rglob("*.*"):
        path.touch()
    run = project.run()
    assert run.jobs == {"manifest": 1}
    assert "all else was up to date" in run.output and "steps (" not in run.output
    assert "scanned 46 files: 46 read and hashed, 0 decoded, 0 known" in run.output
    assert project.run().jobs == {}


def test_a_new_gallery_image(project: Project) -> None:
    draw(6, 50).save(project.data / "gallery" / "new.png")
    project.relabel("test_image_info.json", {"new.png": 6})
    assert project.run().jobs == {"manifest": 1, "embed": 2, **SCORED}
    assert project.counts("gallery") == (1, 1, 18)
    assert project.counts("gallery", "default.0/untrained") == (1, 1, 18)


def test_a_gallery_image_edited_in_place_in_a_sub_folder_keeping_its_size(
    project: Project,
) -> None:
    sub = project.data / "gallery" / "deep" / "er"
    sub.mkdir(parents=True)
    draw(6, 51).save(sub / "same.bmp")
    project.relabel("test_image_info.json", {"deep/er/same.bmp": 6})
    project.run()
    before = (sub / "same.bmp").stat()
    draw(6, 52).save(sub / "same.bmp")
    assert (sub / "same.bmp").stat().st_size == before.st_size
    assert project.run().jobs == {"manifest": 1, "embed": 2, **SCORED}
    assert project.counts("gallery") == (1, 1, 19)


def test_going_back_to_an_earlier_state(project: Project) -> None:
    draw(6, 51).save(project.data / "gallery" / "deep" / "er" / "same.bmp")
    assert project.run().jobs == {"manifest": 1, "embed": 2, **SCORED}
    assert project.counts("gallery") == (0, 0, 20)


def test_a_renamed_query_image(project: Project) -> None:
    (project.data / "query_images" / "0006_000.png").rename(
        project.data / "query_images" / "renamed.png"
    )
    project.relabel("test_image_info.json", {"0006_000.png": None, "renamed.png": 6})
    run = project.run()
    assert run.jobs == {"manifest": 1, "embed": 2, **SCORED}
    assert project.counts("query") == (0, 0, 4)
    assert ", 0 decoded," in run.output


def test_a_relabelled_gallery_image(project: Project) -> None:
    project.relabel("test_image_info.json", {"new.png": 7})
    assert project.run().jobs == {"manifest": 1, "embed": 2, **SCORED}
    assert project.counts("gallery") == (0, 0, 20)


def test_a_removed_gallery_image(project: Project) -> None:
    (project.data / "gallery" / "new.png").unlink()
    project.relabel("test_image_info.json", {"new.png": None})
    assert project.run().jobs == {"manifest": 1, "embed": 2, **SCORED}
    assert project.counts("gallery") == (0, 0, 19)


def test_query_images_added_edited_relabelled_and_removed_at_once(project: Project) -> None:
    queries = project.data / "query_images"
    draw(8, 50).save(queries / "new.png")
    draw(7, 51).save(queries / "0007_000.png")
    (queries / "0009_000.png").unlink()
    changes = {"new.png": 8, "renamed.png": "nobody", "0009_000.png": None}
    project.relabel("test_image_info.json", changes)
    assert project.run().jobs == {"manifest": 1, "embed": 2, **SCORED}
    assert project.counts("query") == (2, 2, 2)
    assert project.counts("query", "default.0/untrained") == (2, 2, 2)


def test_other_cut_offs(project: Project) -> None:
    project.settings["metrics"] = {"k": [1, 5, 10]}
    assert project.run().jobs == SCORED


def test_another_seed(project: Project) -> None:
    project.settings["seeds"] = [0, 1]
    assert project.run().jobs == {"train": 1, "embed": 4, **SCORED}
    assert project.counts("gallery", "default.1") == (19, 19, 0)


def test_another_run_and_then_a_change_to_its_recipe(project: Project) -> None:
    project.settings["seeds"] = [0]
    project.settings["runs"] = ["default", "other"]
    project.settings["recipes"]["other"] = merge(
        project.settings["recipes"]["default"], {"loss": {"name": "ntxent"}}
    )
    assert project.run().jobs == {"train": 1, "embed": 4, **SCORED}
    # The same network before its first step as the default recipe's: it is not embedded again.
    assert project.counts("gallery", "other.0/untrained") == (0, 0, 19)
    project.settings["recipes"]["other"]["loss"]["temperature"] = 0.3
    jobs = project.run().jobs
    assert jobs["train"] == 1
    assert "manifest" not in jobs
    assert "pixels" not in jobs
    project.settings["runs"] = ["default"]
    assert project.run().jobs == FINAL


def test_a_new_training_image(project: Project) -> None:
    draw(0, 50).save(project.data / "train" / "new.png")
    project.relabel("train_image_info.json", {"new.png": 0})
    run = project.run()
    assert run.jobs == {"manifest": 1, "pixels": 1, "train": 1, "embed": 4, **SCORED}
    assert "25 images, 24 from the cache, 1 decoded" in run.output
    # The untrained network is the same as before, the trained one is another.
    assert project.counts("gallery", "default.0/untrained") == (0, 0, 19)
    assert project.counts("gallery") == (19, 19, 0)


def test_training_images_edited_relabelled_and_removed_at_once(project: Project) -> None:
    draw(0, 51).save(project.data / "train" / "0000_000.png")
    (project.data / "train" / "new.png").unlink()
    project.relabel("train_image_info.json", {"new.png": None, "0005_000.png": 4})
    run = project.run()
    assert run.jobs == {"manifest": 1, "pixels": 1, "train": 1, "embed": 4, **SCORED}
    assert "24 images, 23 from the cache, 1 decoded" in run.output
    assert project.counts("gallery") == (19, 19, 0)


def test_a_link_that_becomes_a_copy(project: Project) -> None:
    # A query's own file is left out of its ranking, a copy of it is not.
    linked = project.data / "gallery" / "linked.png"
    linked.symlink_to(project.data / "query_images" / "new.png")
    project.relabel("test_image_info.json", {"linked.png": 8})
    assert project.run().jobs == {"manifest": 1, "embed": 4, **SCORED}
    assert project.counts("gallery") == (0, 0, 20)
    own = pq.read_table(project.folder / "results/default.0/rankings.parquet").to_pylist()
    content = linked.read_bytes()
    linked.unlink()
    linked.write_bytes(content)
    assert project.run().jobs == {"manifest": 1, "embed": 2, **SCORED}
    copied = pq.read_table(project.folder / "results/default.0/rankings.parquet").to_pylist()
    pair = {"query_id": "new.png", "gallery_id": "linked.png"}
    assert not any(pair.items() <= row.items() for row in own)
    assert any(pair.items() <= row.items() for row in copied)
    linked.unlink()
    project.relabel("test_image_info.json", {"linked.png": None})


def test_images_that_are_not_watched(project: Project) -> None:
    target = "results/manifest/gallery.parquet"
    project.settings["data"] = {"watch_images": False}
    assert project.run(target).jobs == {"manifest": 1}
    draw(6, 54).save(project.data / "gallery" / "0006_002.png")
    assert project.run(target).jobs == {}
    before = (project.folder / target).read_bytes()
    assert project.run(target, "--forcerun", "manifest").jobs == {"manifest": 1}
    assert (project.folder / target).read_bytes() != before
    project.relabel("test_image_info.json", {"0006_002.png": 7})
    assert project.run(target).jobs == {"manifest": 1}
    project.settings["data"] = {}
    assert project.run().jobs == {"manifest": 1, "embed": 2, **SCORED}
    assert project.counts("gallery") == (1, 1, 18)


def test_images_that_moved_as_a_whole(project: Project) -> None:
    project.data = project.data.rename(project.folder / "elsewhere")
    project.settings["data"] = {"root": "elsewhere"}
    assert project.run().jobs == {"manifest": 1, **SCORED}


def test_results_deleted_and_the_cache_kept(project: Project) -> None:
    before = (project.folder / "results/comparison.csv").read_bytes()
    shutil.rmtree(project.folder / "results")
    run = project.run()
    assert run.jobs == {"manifest": 1, "pixels": 1, "train": 1, "embed": 4, **SCORED}
    assert "0 read and hashed, 0 decoded" in run.output
    assert "24 images, 24 from the cache, 0 decoded" in run.output
    assert project.counts("gallery") == (0, 0, 19)
    assert (project.folder / "results/comparison.csv").read_bytes() == before


def test_a_file_that_keeps_its_time_and_changes_its_size_is_noticed(project: Project) -> None:
    path = project.data / "gallery" / "0006_001.png"
    before = path.stat()
    draw(6, 60).save(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size != before.st_size
    project.run()
    assert project.counts("gallery") == (1, 1, 18)


def test_a_training_whose_cache_is_gone(project: Project) -> None:
    shutil.rmtree(project.folder / ".lookalike")
    project.settings["recipes"]["default"]["epochs"] = 3
    assert project.run().jobs == {"train": 1, "embed": 4, **SCORED}
    assert project.counts("gallery") == (19, 19, 0)


def test_another_version_of_a_library(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = tmp_path / "torch-99.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: torch\nVersion: 99.0\n")
    # Plans only: what it would run is a torch that is not there.
    assert "Nothing to be done" in project.run("-n").output
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert planned(project.run("-n")) == {"train", "embed", *SCORED}


def test_edited_code(project: Project, tmp_path: Path) -> None:
    for name in ("Snakefile", "config.yaml", "rules", "workflow", "profiles"):
        source = ROOT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, tmp_path / name)
    own = tmp_path / "Snakefile"

    def run() -> Run:
        done = snakemake(project.folder, snakefile=own)
        assert done.status == 0, done.output
        return done

    def append(module: str, code: str) -> None:
        with (tmp_path / "workflow" / "lookalike" / module).open("a") as stream:
            stream.write(code)

    run()
    # A new checkout: other times, the same content; and comments that say it in other words.
    for path in tmp_path.rglob("*.*"):
        path.touch()
    append("images/normalisation.py", "# said in other words\n")
    append("../scripts/embed.py", "# said in other words\n")
    # And with the line ends of another system.
    for path in tmp_path.rglob("*.*"):
        if path.suffix in (".py", ".smk", ".j2", ".css", ".rst", ".yaml"):
            path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert run().jobs == {}
    page = project.folder / "results/report.html"
    before = page.read_text()
    page.unlink()
    assert run().jobs == {"report": 1}
    assert without_origin(page.read_text()) == without_origin(before)
    append("retrieval/chance.py", "UNUSED = 1\n")
    assert run().jobs == SCORED
    # Other code embeds: nothing embedded before is taken, not even for the same weights.
    append("images/normalisation.py", "UNUSED = 1\n")
    assert run().jobs == {"train": 1, "embed": 4, **SCORED}
    decoded, embedded, from_store = project.counts("gallery", "default.0/untrained")
    assert decoded == embedded > 0
    assert from_store == 0
