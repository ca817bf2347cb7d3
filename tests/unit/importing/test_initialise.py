"""Whole imports, read back by what the workflow reads them with."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from PIL import Image

from lookalike.config import resolve
from lookalike.data.findings import Report
from lookalike.data.layout import DataSettings
from lookalike.errors import LookalikeError
from lookalike.importing.initialise import init
from lookalike.importing.options import InitOptions
from lookalike.steps.manifest import build_manifest
from lookalike.storage.yaml_files import read_yaml
from support.drawings import draw
from support.project import ROOT

SCHEMA = read_yaml(ROOT / "workflow" / "schemas" / "config.schema.yaml")
JSONS = ("train_image_info.json", "test_image_info.json")
# Their draws leave both sides what they need, with any of the sizes here.
CLASSES = [f"thing {n}" for n in range(8)]


def write_classes(source: Path, sizes: dict[str, int], first: int = 0) -> Path:
    """Draw images into class folders; file names differ by class."""
    for label, size in sizes.items():
        for n in range(first, first + size):
            path = source / label / f"{label}-{n}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            draw(sum(label.encode()), n).save(path)
    return source


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_classes(tmp_path / "source", dict.fromkeys(CLASSES, 4))


def settings_of(dest: Path) -> dict[str, Any]:
    """What mine.yaml comes to over config.yaml."""
    return resolve([read_yaml(ROOT / "config.yaml"), read_yaml(dest / "mine.yaml")], SCHEMA)


def manifest(dest: Path) -> tuple[dict[str, pd.DataFrame], Report]:
    tables, report = build_manifest(
        DataSettings.from_dict(settings_of(dest)["data"]), cache=None, threads=2
    )
    return {split: table.to_pandas() for split, table in tables.items()}, report


def splits(dest: Path) -> dict[str, set[str]]:
    """The split of each image, by where it comes from."""
    found: dict[str, set[str]] = {}
    for folder, names in json.loads((dest / "init.json").read_text())["images"].items():
        for key in names.values():
            found.setdefault(key, set()).add(folder)
    return found


def snapshot(folder: Path) -> dict[str, tuple[int, ...]]:
    return {
        str(path): (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        for path in sorted(folder.rglob("*"))
        for status in [path.lstat()]
    }


def test_class_folders_become_a_data_set_that_the_workflow_reads(
    source: Path, tmp_path: Path
) -> None:
    before = snapshot(source)
    told = init(source, tmp_path / "data", InitOptions())
    assert snapshot(source) == before
    dest = tmp_path / "data"
    assert {path.name for path in dest.iterdir()} == {
        *("train", "query_images", "gallery", *JSONS),
        *("mine.yaml", "init.json"),
    }
    assert settings_of(dest)["data"]["root"] == str(dest)
    assert settings_of(dest)["runs"] == ["strong"]
    tables, report = manifest(dest)
    rows = pd.concat(tables)
    assert set(rows["status"]) == {"ok"}
    assert len(rows) == 4 * len(CLASSES)
    assert (rows["image_id"].str.rsplit("-").str[0] == rows["label"]).all()
    train, tested = set(tables["train"]["label"]), set(tables["gallery"]["label"])
    assert train.isdisjoint(tested)
    assert train | tested == set(CLASSES)
    assert set(tables["query"]["label"]) == tested
    assert all("link" not in finding["text"] for finding in report["findings"])
    assert report["duplicates"]["across"] == []
    for split in ("train", "query", "gallery"):
        assert f"{len(tables[split]):>9,} images of {tables[split]['label'].nunique()}" in told
    assert f"snakemake --configfile '{dest}'" in told or f"--configfile {dest}/mine.yaml" in told
    assert "lookalike search results IMAGE" in told
    links = [path for path in dest.rglob("*.png") if path.is_symlink()]
    assert len(links) == len(rows)
    assert all(path.readlink().is_relative_to(source) for path in links)


def test_the_same_seed_gives_the_same_bytes_and_another_one_others(
    source: Path, tmp_path: Path
) -> None:
    content = []
    for name, seed, threads in (("a", None, 1), ("b", 0, 2), ("c", 1, 1)):
        init(source, tmp_path / name / "data", InitOptions(seed=seed), threads=threads)
        dest = tmp_path / name / "data"
        mine = (dest / "mine.yaml").read_text().replace(str(dest), "DEST")
        content.append([mine, *((dest / file).read_bytes() for file in (*JSONS, "init.json"))])
    assert content[0] == content[1]
    assert content[0][1] != content[2][1]


@pytest.mark.parametrize("closed", [False, True])
def test_what_comes_later_moves_nothing_and_is_added(
    source: Path, tmp_path: Path, closed: bool
) -> None:
    dest = tmp_path / "data"
    init(source, dest, InitOptions(closed=closed))
    before, mine = splits(dest), (dest / "mine.yaml").read_text() + "# mine\n"
    (dest / "mine.yaml").write_text(mine)
    names = {path.name: path.readlink() for path in dest.rglob("*.png")}
    write_classes(source, dict.fromkeys(CLASSES[:3], 2), first=4)
    write_classes(source, {"a new thing": 3, "zebra": 1})
    # Its name comes before all others of its class.
    draw(77, 1).save(source / CLASSES[0] / "a.png")
    init(source, dest, InitOptions(), update=True)
    after = splits(dest)
    assert {key: after[key] for key in before} == before
    assert len(after) == len(before) + 6 + 4 + 1
    assert (dest / "mine.yaml").read_text() == mine
    now = {path.name: path.readlink() for path in dest.rglob("*.png")}
    assert {name: now[name] for name in names} == names
    tables, _ = manifest(dest)
    assert set(pd.concat(tables)["status"]) == {"ok"}
    if not closed:
        assert set(tables["train"]["label"]).isdisjoint(tables["gallery"]["label"])
    # Nothing is new: every byte stays.
    content = snapshot(dest / "train"), (dest / "init.json").read_bytes()
    init(source, dest, InitOptions(), update=True)
    assert content == (snapshot(dest / "train"), (dest / "init.json").read_bytes())


def test_what_left_the_source_goes_and_a_source_that_moved_is_found_again(
    source: Path, tmp_path: Path
) -> None:
    dest = tmp_path / "data"
    init(source, dest, InitOptions())
    before = splits(dest)
    gone = f"{CLASSES[0]}/{CLASSES[0]}-3.png"
    (source / gone).unlink()
    moved = source.rename(tmp_path / "moved")
    told = init(moved, dest, InitOptions(), update=True)
    assert "No longer in the source: 1 " in told
    assert splits(dest) == {key: place for key, place in before.items() if key != gone}
    tables, report = manifest(dest)
    assert set(pd.concat(tables)["status"]) == {"ok"}
    assert not any(facts["unlisted_files"]["count"] for facts in report["splits"].values())


@pytest.mark.parametrize("way", ["copy", "hardlink"])
def test_copies_and_hard_links(source: Path, tmp_path: Path, way: str) -> None:
    dest = tmp_path / "data"
    init(source, dest, InitOptions(files=way))
    files = list(dest.rglob("*.png"))
    assert not any(path.is_symlink() for path in files)
    linked = [path.stat().st_nlink for path in files]
    assert set(linked) == ({1} if way == "copy" else {2})
    tables, _ = manifest(dest)
    rows = pd.concat(tables)
    shutil.rmtree(source / CLASSES[0])
    told = init(source, dest, InitOptions(), update=True)
    assert "their files stay" in told
    again = pd.concat(manifest(dest)[0])
    assert again.equals(rows)


def test_near_duplicates_stay_in_one_split_and_leave_a_class_together(tmp_path: Path) -> None:
    source = write_classes(tmp_path / "source", dict.fromkeys(CLASSES, 4))
    # The same picture, smaller and saved again, under another class and in its own.
    for label, other in (CLASSES[0], CLASSES[1]), (CLASSES[2], CLASSES[2]):
        with Image.open(source / label / f"{label}-0.png") as picture:
            picture.resize((30, 30)).save(source / other / f"{label} again.jpg", quality=80)
    told = init(source, tmp_path / "kept", InitOptions())
    _, report = manifest(tmp_path / "kept")
    assert report["near_duplicates"]["across"] == []
    assert "4 images are in 2 groups that belong together" in told
    assert "2 classes are tied together, into 1 set, the largest of 2" in told
    found = [
        init(source, tmp_path / f"{seed}", InitOptions(near_duplicates="none", seed=seed))
        and manifest(tmp_path / f"{seed}")[1]["near_duplicates"]["across"]
        for seed in range(4)
    ]
    assert any(found), "they would be parted, but for that"


def test_groups_of_a_table_stay_in_one_split(source: Path, tmp_path: Path) -> None:
    keys = [f"{label}/{label}-{n}.png" for label in CLASSES for n in range(4)]
    frame = pd.DataFrame({"path": keys, "label": [key.split("/")[0] for key in keys]})
    frame["shoot"] = [f"{n // 2 % 4}" for n in range(len(keys))]
    frame["shoot"] = frame["label"] + frame["shoot"]
    frame.to_csv(source / "t.csv", index=False)
    init(source / "t.csv", tmp_path / "data", InitOptions(group="shoot", queries_per_class=0.5))
    found = splits(tmp_path / "data")
    of_group = [set().union(*(found[key] for key in keys)) for keys in _by(frame, "shoot")]
    assert {len(places) for places in of_group} == {1}
    assert len({place for places in of_group for place in places}) == 3


def _by(frame: pd.DataFrame, column: str) -> list[list[str]]:
    return [list(rows["path"]) for _, rows in frame.groupby(column)]


@pytest.mark.parametrize("way", ["link", "copy", "hardlink"])
def test_an_image_that_is_query_and_gallery_image_is_one_file(
    source: Path, tmp_path: Path, way: str
) -> None:
    keys = [f"{label}/{label}-{n}.png" for label in CLASSES for n in range(4)]
    pd.DataFrame(
        {
            "path": keys,
            "label": [key.split("/")[0] for key in keys],
            "split": ["train" if key < CLASSES[4] else "validation" for key in keys],
            "is_query": [None if key < CLASSES[4] else True for key in keys],
            "is_gallery": [None if key < CLASSES[4] else True for key in keys],
        }
    ).to_parquet(source / "df.parquet")
    dest = tmp_path / "data"
    init(source / "df.parquet", dest, InitOptions(files=way))
    tables, report = manifest(dest)
    assert [len(tables[split]) for split in ("train", "query", "gallery")] == [16, 16, 16]
    texts = [finding["text"] for finding in report["findings"]]
    assert any("16 of 16 queries are the same file as a gallery item" in text for text in texts)
    assert not any("links" in text or "equal bytes" in text for text in texts)


def test_names_that_collide_are_kept_apart_and_labels_are_right(tmp_path: Path) -> None:
    source = tmp_path / "source"
    for number, label in enumerate(["Mug", "mug", "cup", "CUP", "pot", "pan"]):
        for n, name in enumerate(["1.png", "2.PNG", f"{label}.png"]):
            (source / label).mkdir(parents=True, exist_ok=True)
            draw(number, n).save(source / label / name, format="png")
    told = init(source, tmp_path / "data", InitOptions())
    tables, report = manifest(tmp_path / "data")
    rows = pd.concat(tables)
    assert set(rows["status"]) == {"ok"}
    for split, folder in (("train", "train"), ("query", "query_images"), ("gallery", "gallery")):
        for name, label in zip(tables[split]["image_id"], tables[split]["label"], strict=True):
            assert (tmp_path / "data" / folder / name).resolve().parent.name == label
    assert "in sub-folders" in told
    assert not any("Names that differ in case" in f["text"] for f in report["findings"])


def test_a_table_s_images_may_move_and_the_table_may_grow(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    keys = [f"{label}/{label}-{n}.png" for label in CLASSES for n in range(4)]
    frame = pd.DataFrame({"path": keys, "label": [key.split("/")[0] for key in keys]})
    frame[:-1].to_csv("t.csv", index=False)
    init(Path("t.csv"), Path("data"), InitOptions(images="source"))
    before = splits(tmp_path / "data")
    frame.to_csv("t.csv", index=False)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    init(Path("../t.csv"), Path("../data"), InitOptions(), update=True)
    assert {key: splits(tmp_path / "data")[key] for key in before} == before
    assert len(splits(tmp_path / "data")) == len(keys)
    source.rename(tmp_path / "moved")
    init(Path("../t.csv"), Path("../data"), InitOptions(images="../moved"), update=True)
    tables, _ = manifest(tmp_path / "data")
    assert set(pd.concat(tables)["status"]) == {"ok"}


def test_names_of_every_kind_are_brought_and_read(tmp_path: Path) -> None:
    """Bytes that are no UTF-8, line ends, blanks, braces, what looks like a way out."""
    source = tmp_path / "source"
    odd = ["\udcff", "line\nend", " blank ", "{run}", "a\\..\\b", "é", "e\u0301", "*?[x]", '"', "~"]
    for number, label in enumerate(odd):
        (source / label).mkdir(parents=True)
        for n in range(3):
            draw(number, n).save(source / label / f"{label}{n}.png")
    init(source, tmp_path / "data", InitOptions(), cache=tmp_path / "cache")
    tables, report = manifest(tmp_path / "data")
    rows = pd.concat(tables)
    assert set(rows["status"]) == {"ok"}
    assert rows["label"].nunique() == len(odd)
    assert len(rows) == 3 * len(odd)
    assert not any("links" in finding["text"] for finding in report["findings"])
    before = splits(tmp_path / "data")
    (source / "\udcff" / "zz\udcfe.png").write_bytes((source / "é" / "é0.png").read_bytes())
    init(source, tmp_path / "data", InitOptions(), update=True, cache=tmp_path / "cache")
    after = splits(tmp_path / "data")
    assert {key: after[key] for key in before} == before


def test_queries_that_a_table_names_are_those_of_the_classes_that_are_tested(
    source: Path, tmp_path: Path
) -> None:
    keys = [f"{label}/{label}-{n}.png" for label in CLASSES for n in range(4)]
    frame = pd.DataFrame({"path": keys, "label": [key.split("/")[0] for key in keys]})
    frame["as query"] = ["yes" if key.endswith("-3.png") else "no" for key in keys]
    frame.to_csv(source / "t.csv", index=False)
    init(source / "t.csv", tmp_path / "data", InitOptions(query="as query"))
    tables, _ = manifest(tmp_path / "data")
    assert all(name.endswith("-3.png") for name in tables["query"]["image_id"])
    assert len(tables["query"]) == tables["gallery"]["label"].nunique()
    assert len(tables["gallery"]) == 3 * len(tables["query"])


def test_one_photo_a_product_is_for_search_alone(tmp_path: Path) -> None:
    source = write_classes(tmp_path / "source", dict.fromkeys(CLASSES, 1))
    told = init(source, tmp_path / "data", InitOptions())
    assert "Nothing is trained and nothing is measured" in told
    tables, report = manifest(tmp_path / "data")
    assert [len(tables[split]) for split in ("train", "query", "gallery")] == [0, 8, 8]
    assert sorted(tables["gallery"]["label"]) == CLASSES
    assert [finding["level"] for finding in report["findings"]] == ["note"]
    assert "nothing is trained" in report["findings"][0]["text"]


def test_a_flat_folder_is_for_search_and_near_duplicates(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for number in range(6):
        draw(number, 0).save(source / f"{number}.png")
    with Image.open(source / "0.png") as picture:
        picture.resize((30, 30)).save(source / "again.jpg", quality=80)
    init(source, tmp_path / "data", InitOptions())
    settings = settings_of(tmp_path / "data")
    (run,) = settings["runs"]
    assert settings["recipes"][run]["train"] == "none"
    assert settings["recipes"][run]["model"]["head"] == "none"
    tables, report = manifest(tmp_path / "data")
    assert list(tables["query"]["image_id"]) == list(tables["gallery"]["image_id"])
    assert list(tables["gallery"]["label"]) == list(tables["gallery"]["image_id"])
    (pair,) = report["near_duplicates"]["across"]
    assert pair["images"] == 2
    assert {pair["first"][0]["query"], pair["first"][0]["gallery"]} == {"0.png", "again.jpg"}
    # A folder beside them that comes later makes no classes of it.
    write_classes(source, {"mug": 2})
    init(source, tmp_path / "data", InitOptions(), update=True)
    assert len(manifest(tmp_path / "data")[0]["gallery"]) == 9


def test_images_that_cannot_be_read_are_brought_and_said(source: Path, tmp_path: Path) -> None:
    (source / CLASSES[0] / "broken.jpg").write_text("no image")
    (source / CLASSES[1] / "gone.jpg").symlink_to(tmp_path / "nowhere")
    told = init(source, tmp_path / "data", InitOptions())
    assert "1 image cannot be read and will be left out (not_an_image: 1): " in told
    assert f"Links that lead nowhere are left aside: 1 ({CLASSES[1]}/gone.jpg)." in told
    statuses = pd.concat(manifest(tmp_path / "data")[0]).set_index("image_id")["status"]
    assert statuses["broken.jpg"] == "not_an_image"
    assert "gone.jpg" not in statuses


def test_the_cache_knows_what_was_learnt_and_never_lies_in_the_source(
    source: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    init(source, tmp_path / "data", InitOptions(), cache=tmp_path / "cache")
    data = DataSettings.from_dict(settings_of(tmp_path / "data")["data"])
    caplog.clear()
    build_manifest(data, cache=tmp_path / "cache", threads=1)
    assert f"scanned {4 * len(CLASSES)} files: {4 * len(CLASSES)} read and hashed, 0 decoded" in (
        caplog.text
    )
    before = snapshot(source)
    init(source, tmp_path / "again", InitOptions(), cache=source / ".lookalike")
    assert snapshot(source) == before


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_an_import_that_fails_leaves_nothing(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def fails(*arguments: object) -> None:
        raise error

    monkeypatch.setattr(Path, "symlink_to", fails)
    with pytest.raises((LookalikeError, KeyboardInterrupt)):
        init(source, tmp_path / "data", InitOptions())
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def labels_in(dest: Path) -> dict[str, str]:
    return {
        name: label
        for file in JSONS
        for name, label in json.loads((dest / file).read_text()).items()
    }


@pytest.mark.parametrize("way", ["link", "copy", "hardlink"])
def test_an_update_leaves_what_a_person_did(source: Path, tmp_path: Path, way: str) -> None:
    """Files put in the place of images, files and links beside them, and their labels."""
    dest = tmp_path / "data"
    init(source, dest, InitOptions(files=way))
    folders = [dest / name for name in ("train", "query_images", "gallery")]
    edited = [sorted(folder.iterdir())[0] for folder in folders]
    for number, path in enumerate(edited):
        path.unlink()
        draw(50 + number, 3).save(path)
    elsewhere = tmp_path / "elsewhere.png"
    draw(60, 1).save(elsewhere)
    led_away = sorted(folders[0].iterdir())[1]
    led_away.unlink()
    led_away.symlink_to(elsewhere)
    # One whose image leaves the source; one whose name a new image has; and one that has its label.
    left = sorted(folders[0].iterdir())[2]
    keys = json.loads((dest / "init.json").read_text())["images"]["train"]
    (source / keys[left.name]).unlink()
    left.unlink()
    draw(61, 1).save(left)
    label = labels_in(dest)[left.name]
    for name in ("new.png", "mine.png"):
        draw(62, len(name)).save(folders[0] / name)
        draw(63, len(name)).save(source / label / name)
    entries = json.loads((dest / JSONS[0]).read_text())
    (dest / JSONS[0]).write_text(json.dumps(entries | {"mine.png": "of a person"}))
    theirs = [*edited, led_away, left, folders[0] / "new.png", folders[0] / "mine.png"]
    before = {path: (path.is_symlink(), path.read_bytes()) for path in theirs}
    # What was not brought for it is said each time. An edited copy stays as the folder's own.
    n = 5 if way == "link" else 2
    for _ in range(2):
        told = init(source, dest, InitOptions(), update=True)
        assert {path: (path.is_symlink(), path.read_bytes()) for path in theirs} == before
        assert f"{n} images stayed as they lie in the folder, since" in told
        # The source's is brought under a name of its own where a person's has a label.
        labels = labels_in(dest)
        assert "new.png" not in labels
        assert {labels[path.name] for path in edited} <= set(CLASSES)
        assert labels["mine.png"] == "of a person"
        assert labels[f"{label}/mine.png"] == label
        assert labels[left.name] == label
        assert "1 entry of the label files that init did not write stayed: mine.png" in told
        assert f"No longer in the source: 1 ({left.name}); their files stay" in told
    with Image.open(dest / "train" / label / "mine.png") as brought:
        assert brought.tobytes() == draw(63, len("mine.png")).tobytes()


def test_a_label_that_becomes_another_is_said(source: Path, tmp_path: Path) -> None:
    dest = tmp_path / "data"
    init(source, dest, InitOptions())
    assert "another label" not in init(source, dest, InitOptions(), update=True)
    entries = json.loads((dest / JSONS[1]).read_text())
    name = min(entries)
    (dest / JSONS[1]).write_text(json.dumps(entries | {name: "by hand"}))
    told = init(source, dest, InitOptions(), update=True)
    assert f'label files than the source gives: {name}, "by hand", now "{entries[name]}"' in told
    assert labels_in(dest)[name] == entries[name]
    (dest / JSONS[1]).write_text(json.dumps(entries | {"a.png": 0.5}))
    assert "a.png, which init did not write: the label is 0.5" in refused(
        source, dest, InitOptions(), update=True
    )


WHOLE = {"train", "query_images", "gallery", *JSONS, "mine.yaml", "init.json"}
KILLED = """
import os, signal, sys
from pathlib import Path
from lookalike.importing.initialise import init
from lookalike.importing.options import InitOptions
source, dest, left = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
real = os.path.realpath(dest)

def kill(event, given):
    global left
    # Moves to the folder, or of something into it; what is half made beside it is no part of it.
    if event == "os.rename" and (
        os.path.realpath(given[1]) == real or os.path.dirname(os.path.realpath(given[1])) == real
    ):
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(kill)
init(source, dest, InitOptions())
"""


def killed(source: Path, dest: Path, moves: int, cwd: Path) -> int:
    """Import, and be killed before so many moves into or to the folder; the exit status."""
    command = [sys.executable, "-c", KILLED, str(source), str(dest), str(moves)]
    return subprocess.run(command, cwd=cwd).returncode


@pytest.mark.parametrize("is_there", [False, True])
@pytest.mark.parametrize("moves", [1, 2, 4])
def test_an_import_that_is_killed_leaves_a_whole_folder_or_none(
    source: Path, tmp_path: Path, is_there: bool, moves: int
) -> None:
    dest = tmp_path / "data"
    if is_there:
        dest.mkdir(mode=0o750)
    status = killed(source, dest, moves, tmp_path)
    assert status in (0, -signal.SIGKILL)
    made = {path.name for path in dest.iterdir()} if dest.exists() else set()
    assert made == (set() if status else WHOLE)
    left = [path for path in tmp_path.iterdir() if path not in (source, dest)]
    assert len(left) == bool(status)
    if is_there:
        assert dest.stat().st_mode & 0o777 == 0o750
    if status:
        told = init(source, dest, InitOptions())
        assert f"that was stopped has left {left[0]}: " in told
        assert {path.name for path in dest.iterdir()} == WHOLE
        if is_there:
            assert dest.stat().st_mode & 0o777 == 0o750
        shutil.rmtree(dest)
        shutil.rmtree(left[0])
        (tmp_path / ".data.other.abcdefgh.lookalike-part").mkdir()  # of another folder
        assert "was stopped" not in init(source, dest, InitOptions())


@pytest.mark.parametrize("update", [False, True])
def test_a_folder_that_was_being_filled_is_known_and_what_to_delete_is_named(
    source: Path, tmp_path: Path, update: bool
) -> None:
    """No other folder takes the place of the one that somebody stands in: it is filled."""
    dest = tmp_path / "data"
    dest.mkdir()
    assert killed(source, Path(), 4, dest) == -signal.SIGKILL
    made = {path.name for path in dest.iterdir()}
    assert len(made & WHOLE) == 3
    assert "init.json" not in made
    told = refused(source, dest, InitOptions(), update=update)
    assert f"{dest}: is not whole" in told
    assert f"delete {dest}, and" in told
    # What was left by an earlier version, beside it.
    (inside,) = made - WHOLE
    beside = (dest / inside).rename(tmp_path / inside)
    assert f"delete {dest} and {beside}, and" in refused(source, dest, InitOptions(), update=update)
    (dest / "of a person").touch()
    assert "is not whole" not in refused(source, dest, InitOptions(), update=update)


def test_a_folder_that_cannot_be_replaced_is_filled_or_left_empty(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "linked").symlink_to("data")
    (tmp_path / "nowhere").symlink_to("made by its link")
    before = (tmp_path / "data").stat().st_ino
    monkeypatch.chdir(tmp_path / "data")
    replace = Path.replace

    def fails(path: Path, target: Path) -> Path:
        if target.name == "init.json" and path.parent.name == "made":
            raise OSError(28, "No space left on device")
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", fails)
    assert "No space left" in refused(source, Path(), InitOptions())
    assert list(Path().iterdir()) == []
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path / "data")
    for name in ("linked", "nowhere"):
        init(source, tmp_path / name, InitOptions())
        assert (tmp_path / name).is_symlink()
        assert {path.name for path in (tmp_path / name).iterdir()} == WHOLE
    assert (tmp_path / "data").stat().st_ino == before
    assert not list(tmp_path.rglob("*.lookalike-part"))


def refused(source: Path, dest: Path, options: InitOptions, *, update: bool = False) -> str:
    with pytest.raises(LookalikeError) as error:
        init(source, dest, options, update=update)
    return str(error.value)


def test_places_that_cannot_be_are_refused(source: Path, tmp_path: Path) -> None:
    plain = InitOptions()
    (tmp_path / "file").touch()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    assert "there is no such folder or table" in refused(tmp_path / "no", tmp_path / "d", plain)
    assert "leads nowhere" in refused(tmp_path / "dangling", tmp_path / "d", plain)
    assert "is a file; name a folder" in refused(source, tmp_path / "file", plain)
    assert "is not empty: it holds x" in refused(source, tmp_path / "full", plain)
    assert "lies in the source" in refused(source, source / "data", plain)
    assert "lies in the source" in refused(source, source, plain)
    assert "the source lies in" in refused(source, tmp_path, plain)
    assert "braces" in refused(source, tmp_path / "{a}", plain)
    assert "--update needs a folder that" in refused(source, tmp_path / "d", plain, update=True)
    assert "cannot be written" in refused(source, tmp_path / "file" / "d", plain)
    assert not (tmp_path / "d").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("dangling", "file", "full", "source")
    ]


def test_options_that_do_not_fit_are_refused(source: Path, tmp_path: Path) -> None:
    dest = tmp_path / "data"
    assert "--label goes with a table" in refused(source, dest, InitOptions(label="x"))
    (source / "t.csv").write_text("path,label\n")
    assert "--as goes with folders" in refused(source / "t.csv", dest, InitOptions(kind="flat"))
    (source / "t.csv").unlink()
    split = write_classes(tmp_path / "split" / "train", {"a": 2, "b": 2}).parent
    write_classes(split / "test", {"c": 2})
    for options in (InitOptions(closed=True), InitOptions(test_share=0.5)):
        assert "leave them out" in refused(split, dest, options)
    rows = [[f"{label}/{label}-0.png", label, 0] for label in CLASSES]
    frame = pd.DataFrame(rows, columns=["path", "label", "is_query"])
    frame.to_csv(source / "t.csv", index=False)
    assert "leave --closed out" in refused(source / "t.csv", dest, InitOptions(closed=True))
    (source / "t.csv").unlink()
    init(source, dest, InitOptions())
    assert "--update adds what is new" in refused(source, dest, InitOptions())
    for options, name in (
        (InitOptions(closed=True), "--closed"),
        (InitOptions(seed=1), "--seed"),
        (InitOptions(files="copy"), "--copy"),
        (InitOptions(kind="flat"), "--as"),
    ):
        assert refused(source, dest, options, update=True).startswith(name)
    noted = (dest / "init.json").read_text()
    for damaged in ("null", "[]", '"x"', "true", "0.5"):
        (dest / "init.json").write_text(noted.replace('"seed": 0', f'"seed": {damaged}'))
        assert "seed is " in refused(source, dest, InitOptions(), update=True)
    (dest / "init.json").write_text("{")
    assert "cannot be read" in refused(source, dest, InitOptions(), update=True)


def test_given_splits_without_enough_to_learn_or_to_find_are_refused(tmp_path: Path) -> None:
    dest = tmp_path / "data"
    one = write_classes(tmp_path / "one" / "train", {"a": 2, "b": 1}).parent
    write_classes(one / "test", {"c": 2})
    assert "of 2 training classes 1 have two" in refused(one, dest, InitOptions())
    two = write_classes(tmp_path / "two" / "train", {"a": 2, "b": 2}).parent
    write_classes(two / "query", {"c": 2})
    write_classes(two / "gallery", {"d": 2})
    assert "none of 2 queries has another image" in refused(two, dest, InitOptions())
    three = write_classes(tmp_path / "three", {"a": 3, "b": 3, "c": 3})
    assert "from its fourth image on" in refused(three, dest, InitOptions(closed=True))
    assert not dest.exists()


def test_an_empty_folder_may_be_where_one_stands(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path / "data")
    init(Path("../source"), Path(), InitOptions())
    assert Path("mine.yaml").exists()
    assert settings_of(Path())["data"]["root"] == str(tmp_path / "data")
