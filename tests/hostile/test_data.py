"""Bad and odd inputs, case by case and all at once: see hostile_images.py and hostile_data.py."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tracemalloc
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from lookalike.data.layout import SPLITS, DataSettings
from lookalike.data.scan import scan
from lookalike.errors import LookalikeError
from lookalike.images.decoding import open_rgb
from lookalike.images.resizing import ImageSettings, load_pixels
from lookalike.steps.manifest import build_manifest, write_manifest
from support import processes
from support.hostile_data import (
    ENTRIES,
    FILES,
    LABELLINGS,
    NAMES,
    NOTED,
    THINGS,
    Data,
    Labelling,
    Noted,
    WholeFile,
)
from support.hostile_images import PICTURES, SKIP, USE, Picture, quarters, saved
from support.hostile_page import PAGE, page
from support.html_reader import parse
from support.snakemake_runs import QUICK, Run, snakemake, write_settings

LAYOUT = {
    "train": "train",
    "query": "query_images",
    "gallery": "gallery",
    "train_labels": "train_image_info.json",
    "test_labels": "test_image_info.json",
}
# Written with their escapes, these are what a terminal or a page must not get raw.
UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]")


def settings_of(root: Path) -> DataSettings:
    return DataSettings.from_dict({"root": str(root), **LAYOUT})


def pixels(path: Path, decode: str) -> np.ndarray[Any, np.dtype[np.uint8]]:
    settings = ImageSettings(16, "squash", "white", (0.5,) * 3, (0.5,) * 3, decode)
    return load_pixels(path, settings)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pictures, in a folder."""
    folder = tmp_path_factory.mktemp("pictures")
    for picture in PICTURES:
        (folder / picture.name).write_bytes(picture.content())
    return folder


@pytest.fixture(scope="module")
def corpus(files: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set that holds all cases but those that refuse a whole file."""
    root = tmp_path_factory.mktemp("corpus") / 'data "of" others, 100%'
    data = Data(root)
    for picture in PICTURES:
        (root / "train" / picture.name).symlink_to(files / picture.name)
        data.train[picture.name] = "pictures"
    for thing in THINGS:
        thing.make(root / "train" / thing.name)
        data.train[thing.name] = "things"
    for folder in ("train", "query_images", "gallery"):
        labels = data.train if folder == "train" else data.test
        for name in NAMES.values():
            data.draw(folder, name)
            labels[name] = "=names" if len(name) % 2 else "<b>names\n\x1b[31m\u202e</b>"
    for entry in ENTRIES:
        data.train[entry.key] = entry.label
        if entry.file:
            data.draw("train", entry.key)
    for noted in NOTED:
        if "query" not in noted.what and "gallery" not in noted.what:
            noted.spoil(data)
    return data.save()


@pytest.fixture(scope="module")
def rows(corpus: Path) -> dict[str, dict[str, dict[str, Any]]]:
    tables, _ = build_manifest(settings_of(corpus), cache=None, threads=2)
    return {split: {row["image_id"]: row for row in tables[split].to_pylist()} for split in SPLITS}


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.name)
def test_a_picture_is_used_as_a_viewer_shows_it_or_left_out_with_the_reason(
    picture: Picture, rows: dict[str, Any], files: Path
) -> None:
    row = rows["train"][picture.name]
    assert row["status"] == (picture.reason or "ok")
    assert (row["detail"] is None) == (picture.outcome == USE)
    if picture.outcome == USE:
        for decode in ("fast", "exact"):
            seen = pixels(files / picture.name, decode)[4::8, 4::8].reshape(4, 3)
            assert np.abs(seen.astype(int) - np.array(picture.shows)).max() <= 8, decode
    else:
        with pytest.raises(LookalikeError, match=re.escape(picture.name)):
            pixels(files / picture.name, "fast")


def test_no_bad_file_costs_more_than_an_images_memory(files: Path) -> None:
    names = [str(files / picture.name) for picture in PICTURES if picture.costly]
    program = (
        "import re, sys\n"
        "from pathlib import Path\n"
        "from lookalike.images.decoding import open_rgb\n"
        "from lookalike.errors import BadImageError\n"
        "status = Path('/proc/self/status')\n"
        "def peak(): return int(re.search(r'VmHWM:\\s+(\\d+)', status.read_text())[1])\n"
        "for name in sys.argv[1:]:\n"
        "    before = peak()\n"
        "    try: open_rgb(name, 'white')\n"
        "    except BadImageError: pass\n"
        "    print(peak() - before)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *names], capture_output=True, text=True, check=True
    )
    grown = [int(line) for line in done.stdout.split()]
    assert len(grown) == len(names)
    # In kB. Most claim 70 MB (the text) to 12 GB; of the last, 16 MB are read and kept three times.
    assert max(grown[:-1]) < 30_000
    assert grown[-1] < 60_000


@pytest.mark.parametrize(("kind", "per_pixel"), [(np.float32, 16), (np.int32, 16), (np.uint16, 8)])
def test_grey_of_many_bits_costs_no_more_than_an_images_memory(
    kind: type[np.generic], per_pixel: int
) -> None:
    # Pillow's own memory is not counted here: 4 bytes a pixel as read, and 4 as RGB.
    values = np.zeros((1, 2**23), kind)
    content = saved(Image.fromarray(values), "TIFF", compression="tiff_adobe_deflate")
    tracemalloc.start()
    open_rgb(content, "white")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < values.size * per_pixel


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
@pytest.mark.parametrize("split", SPLITS)
def test_any_name_is_used(name: str, split: str, rows: dict[str, Any]) -> None:
    assert rows[split][name]["status"] == "ok"


@pytest.mark.parametrize("thing", THINGS, ids=lambda thing: thing.what)
def test_what_is_no_plain_file(thing: Any, rows: dict[str, Any]) -> None:
    row = rows["train"][thing.name]
    assert row["status"] == (thing.reason or "ok")
    assert thing.says in (row["detail"] or "")


def look_as_nobody(folder: Path) -> None:
    if os.geteuid() == 0:
        os.setuid(65534)
    found = scan(["t0.png"], folder, cache=None, threads=1)["t0.png"]
    assert found.status == "unreadable"
    assert "Permission denied" in (found.detail or "")


def test_a_file_without_permission_is_left_out() -> None:
    # Not below pytest's own folder: only its owner may look into that.
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        Data(Path(folder))
        (Path(folder) / "train" / "t0.png").chmod(0)
        assert processes.exit_code(processes.start(look_as_nobody, Path(folder) / "train")) == 0


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.what)
def test_an_entry_is_used_or_left_out_with_the_reason(entry: Any, rows: dict[str, Any]) -> None:
    key = entry.key.encode("utf-8", "backslashreplace").decode()
    row = rows["train"][key]
    assert row["status"] == (entry.reason or "ok")
    if entry.outcome == USE:
        assert row["label"] == str(entry.label)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.what)
@pytest.mark.parametrize("name", ["train_image_info.json", "test_image_info.json"])
def test_a_label_file_that_is_none_is_refused(file: WholeFile, name: str, tmp_path: Path) -> None:
    root = Data(tmp_path).save()
    (root / name).write_bytes(file.content)
    with pytest.raises(LookalikeError) as caught:
        build_manifest(settings_of(root), cache=None, threads=1)
    assert all(part in str(caught.value) for part in (str(root / name), *file.says))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("labelling", LABELLINGS, ids=lambda labelling: labelling.what)
def test_labels_that_leave_nothing_to_do_are_refused(labelling: Labelling, tmp_path: Path) -> None:
    data = Data(tmp_path)
    data.train, data.test = dict(labelling.train), dict(labelling.test)
    settings, out = settings_of(data.save()), tmp_path / "out"
    outputs = {split: out / split for split in SPLITS}
    with pytest.raises(LookalikeError, match=labelling.says):
        write_manifest(settings, outputs, out / "report", cache=None, threads=1)
    assert not out.exists()


def test_the_sound_data_set_has_nothing_to_note(tmp_path: Path) -> None:
    _, report = build_manifest(settings_of(Data(tmp_path).save()), cache=None, threads=1)
    assert report["findings"] == []


@pytest.mark.parametrize("noted", NOTED, ids=lambda noted: noted.what)
def test_what_is_odd_is_noted(noted: Noted, tmp_path: Path) -> None:
    data = Data(tmp_path)
    noted.spoil(data)
    _, report = build_manifest(settings_of(data.save()), cache=None, threads=1)
    texts = [finding["text"] for finding in report["findings"]]
    if noted.outcome == USE:
        assert texts == []
    else:
        assert len([text for text in texts if noted.says in text]) == 1
    left_out = {reason for facts in report["splits"].values() for reason in facts["reasons"]}
    assert left_out == ({noted.says} if noted.outcome == SKIP else set())


def test_the_page_of_the_docs_is_made_from_these_lists() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: make docs"


@pytest.fixture(scope="module")
def done(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Run]:
    folder = tmp_path_factory.mktemp("run")
    recipe = {**QUICK["recipes"]["default"], "epochs": 1}
    write_settings(folder, {**QUICK, "data": {"root": str(corpus)}, "recipes": {"default": recipe}})
    return folder, snakemake(folder)


@pytest.mark.workflow
class TestWholeRun:
    def test_all_of_it_goes_from_labels_to_report(self, done: tuple[Path, Run]) -> None:
        folder, run = done
        assert run.status == 0, run.output
        rankings = pq.read_table(folder / "results" / "default.0" / "rankings.parquet")
        assert set(NAMES.values()) <= {*rankings["query_id"].to_pylist()}
        assert set(NAMES.values()) <= {*rankings["gallery_id"].to_pylist()}

    def test_nothing_is_lost_or_goes_unnoticed(self, done: tuple[Path, Run], corpus: Path) -> None:
        folder, run = done
        report = json.loads((folder / "results" / "data_report.json").read_text())
        facts = report["splits"]["train"]
        left_out = {name: found["count"] for name, found in facts["reasons"].items()}
        assert facts["entries"] == facts["ok"] + sum(left_out.values())
        cases: list[Any] = [*PICTURES, *THINGS, *ENTRIES]
        expected = [case.reason for case in cases if case.outcome == SKIP]
        expected += [noted.says for noted in NOTED if noted.outcome == SKIP]
        assert left_out == {reason: expected.count(reason) for reason in expected}
        for reason, count in left_out.items():
            assert f"{count} {reason}" in run.output

    def test_no_name_or_label_reaches_a_shell_or_a_terminal(self, done: tuple[Path, Run]) -> None:
        folder, run = done
        assert not list(folder.rglob("pwned"))
        logs = [path.read_text() for path in (folder / "results" / "logs").rglob("*.log")]
        for text in (run.output, *logs):
            found = UNSEEN.search(text.replace("\r\n", "\n"))
            assert not found, text[max(0, found.start() - 80) : found.end() + 20]
        assert r'"<b>names\n\x1b[31m\u202e</b>"' in "".join(logs)

    def test_the_report_shows_them_as_text(self, done: tuple[Path, Run]) -> None:
        text = (done[0] / "results" / "report.html").read_text(encoding="utf-8")
        assert not UNSEEN.search(text)
        root = parse(text)
        assert not root.all("script") + root.all("img") + root.all("b") + root.all("iframe")
        assert "&lt;b&gt;names\\n\\x1b[31m\\u202e&lt;/b&gt;" in text


def test_pictures_are_told_from_one_another() -> None:
    # The check of the quarters can fail: turned, the picture is another.
    turned = pixels_of_bytes(saved(quarters().rotate(90), "PNG"))
    assert np.abs(turned.astype(int) - np.array(PICTURES[0].shows)).max() > 100


def pixels_of_bytes(content: bytes) -> np.ndarray[Any, np.dtype[np.uint8]]:
    settings = ImageSettings(16, "squash", "white", (0.5,) * 3, (0.5,) * 3, "fast")
    return load_pixels(content, settings)[4::8, 4::8].reshape(4, 3)
