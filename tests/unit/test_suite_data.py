"""The suite's data sets: made the same each time, and nothing chosen by what is scored."""

from __future__ import annotations

import gzip
import io
import json
import shutil
import struct
import subprocess
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from lookalike.errors import LookalikeError
from lookalike.steps.demo import build_demo
from suite import debian, photographs
from suite.datasets import DATA_SETS
from suite.debian import package_root, package_version
from suite.grey import KINDS, PACKAGE, read_idx
from suite.layouts import LICENCE, SPLITS, Layout, Made
from suite.photographs import PHOTOGRAPHS, VIEW, WINDOW, perspective, structure, view, windows


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand-ins for the Debian packages, as if they had been unpacked; none is installed."""
    monkeypatch.setattr(debian, "_is_installed", lambda name: False)
    work = tmp_path / "packages"
    rng = np.random.default_rng(0)
    datasets = work / PACKAGE / "usr/share/datasets/fashion-mnist"
    datasets.mkdir(parents=True)
    for part, n in (("train", 3100), ("t10k", 2100)):
        labels = np.tile(np.arange(10, dtype=np.uint8), n // 10)
        for name, array in (
            ("images-idx3", rng.integers(0, 256, (n, 4, 4), dtype=np.uint8)),
            ("labels-idx1", labels),
        ):
            head = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
            file = datasets / f"{part}-{name}-ubyte.gz"
            file.write_bytes(gzip.compress(head + array.tobytes()))
    for photograph in PHOTOGRAPHS:
        path = photograph.path(work / photograph.package)
        path.parent.mkdir(parents=True, exist_ok=True)
        coarse = Image.fromarray(rng.integers(0, 256, (25, 40, 3), dtype=np.uint8))
        coarse.resize((2560, 1600)).save(path, quality=80)
    for name in (PACKAGE, photographs.PLASMA, photographs.LOMIRI):
        (work / name / "DEBIAN_VERSION").write_text("1-1\n")
    return work


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photographs, "MOST_WINDOWS", 2)
    monkeypatch.setattr(photographs, "VIEWS", 4)
    monkeypatch.setattr(photographs, "MOST_VIEWS", 12)


def contents(root: Path) -> dict[str, bytes]:
    files = (path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


def held_apart(made: Made, *, same_classes: bool) -> None:
    """What is scored in the end is nowhere in what is chosen by, nor trained on."""
    development, final = made.development, made.final
    asked = [image.data for image in final.query + final.gallery]
    chosen_by = [image.data for image in development.query + development.gallery]
    trained = [image.data for image in final.train]
    seen = [image.data for image in development.train]
    assert set(chosen_by) | set(seen) <= set(trained)
    for one, other in ((asked, trained), (chosen_by, seen)):
        assert set(one).isdisjoint(other)
    assert len(set(trained)) == len(trained)
    assert len(set(asked)) == len(asked)
    for layout in (development, final):
        classes = [{image.label for image in part} for part in (layout.query, layout.train)]
        if same_classes:
            assert classes[0] == classes[1]
        else:
            assert classes[0].isdisjoint(classes[1])
        gallery = {image.label for image in layout.gallery}
        assert classes[0] <= gallery


@pytest.mark.parametrize("name", ["digits", "fashion_closed", "fashion_open"])
def test_grey_sets_are_the_same_each_time_and_apart(
    name: str, packages: Path, tmp_path: Path
) -> None:
    made = DATA_SETS[name].make(packages)
    held_apart(made, same_classes=name != "fashion_open")
    counts = made.write(tmp_path / "first")
    DATA_SETS[name].make(packages).write(tmp_path / "second")
    files = contents(tmp_path / "first")
    assert files == contents(tmp_path / "second")
    for split in SPLITS:
        assert files[f"{split}/{LICENCE}"]
        named = json.loads(files[f"{split}/train_image_info.json"])
        assert len(named) == counts[split]["train"]


def test_fashion_is_the_package_s(packages: Path) -> None:
    made = DATA_SETS["fashion_closed"].make(packages)
    folder = packages / PACKAGE / "usr/share/datasets/fashion-mnist"
    for image in made.final.train + made.final.query:
        part, index = image.name.removesuffix(".png").split("-")
        # By hand: 16 and 8 bytes of head.
        pixels = gzip.decompress((folder / f"{part}-images-idx3-ubyte.gz").read_bytes())[16:]
        labels = gzip.decompress((folder / f"{part}-labels-idx1-ubyte.gz").read_bytes())[8:]
        shown = np.asarray(Image.open(io.BytesIO(image.data)))
        assert shown.tobytes() == pixels[16 * int(index) : 16 * int(index) + 16]
        assert image.label == KINDS[labels[int(index)]]
    assert set(Counter(image.label for image in made.final.train).values()) == {300}


def test_a_file_that_is_no_idx_is_refused(tmp_path: Path) -> None:
    for content in (b"\0\0\x0d\x01" + b"\0" * 8, struct.pack(">HBBI", 0, 8, 1, 5) + b"\0" * 4):
        (tmp_path / "file.gz").write_bytes(gzip.compress(content))
        with pytest.raises(ValueError, match=r"no IDX|reshape"):
            read_idx(tmp_path / "file.gz")


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("name", ["photo_copies", "long_tail"])
def test_copies_are_the_same_each_time_and_of_other_photographs(name: str, packages: Path) -> None:
    made, again = (DATA_SETS[name].make(packages) for _ in range(2))
    assert made == again
    held_apart(made, same_classes=False)
    for layout in (made.development, made.final):
        taken = [
            {image.label.rsplit("-", 2)[0] for image in part}
            for part in (layout.train, layout.query)
        ]
        assert taken[0].isdisjoint(taken[1])
    sizes = Counter(image.label for image in made.final.train)
    expected = {4} if name == "photo_copies" else {12, 6}
    assert set(sizes.values()) == expected
    assert all(photograph.photographer in made.licence for photograph in PHOTOGRAPHS)


@pytest.mark.slow
def test_emoji_are_the_demo_s_and_their_families_stay_together(tmp_path: Path) -> None:
    from lookalike.demo.emoji import catalogue

    made = DATA_SETS["emoji"].make(tmp_path)
    made.write(tmp_path / "suite")
    build_demo(tmp_path / "demo")
    ours, theirs = contents(tmp_path / "suite" / "final"), contents(tmp_path / "demo")
    assert ours.pop(LICENCE) == theirs.pop("LICENSES.txt")
    assert ours == theirs
    held_apart(made, same_classes=False)
    family = {emoji.label: emoji.family for emoji in catalogue()}
    layout = made.development
    kin = [{family[image.label] for image in part} for part in (layout.train, layout.gallery)]
    assert kin[0].isdisjoint(kin[1])


def drawn(seed: int = 0) -> Image.Image:
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8))
    return coarse.resize((WINDOW, WINDOW))


def test_the_perspective_is_opencv_s() -> None:
    rng = np.random.default_rng(0)
    target = np.array([[0, 0], [191, 0], [191, 191], [0, 191]], dtype=np.float32)
    source = (target + rng.uniform(-30, 30, (4, 2))).astype(np.float32)
    ours = np.array([*perspective(target.astype(np.float64), source.astype(np.float64)), 1.0])
    expected = cv2.getPerspectiveTransform(target, source)
    assert ours.reshape(3, 3) == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_views_differ_and_show_nothing_from_outside_of_the_window() -> None:
    red = Image.new("RGB", (WINDOW, WINDOW), (200, 0, 0))
    for seed in range(40):
        seen = photographs.seen_from_elsewhere(red, np.random.default_rng(seed))
        # Black, which Pillow puts outside, would show. The outermost pixels may mix with it.
        assert np.asarray(seen)[2:-2, 2:-2, 0].min() >= 199
    views = [view(drawn(), np.random.default_rng([0, count])) for count in range(20)]
    assert len(set(views)) == 20
    for data in views:
        with Image.open(io.BytesIO(data)) as image:
            assert (image.format, image.size) == ("JPEG", (VIEW, VIEW))


def test_windows_share_no_pixel_and_flat_ones_are_left_out() -> None:
    photograph = Image.new("RGB", (2560, 1600), (90, 120, 200))
    for x, y in ((256, 0), (512, 256), (2304, 1280)):
        photograph.paste(drawn(x), (x, y))
    found = windows(photograph, seed=0)
    assert {(window.x, window.y) for window in found} == {(256, 0), (512, 256), (2304, 1280)}
    assert [structure(window.pixels) >= photographs.FLATTEST for window in found] == [True] * 3
    ramp = np.tile(np.arange(WINDOW, dtype=np.uint8), (WINDOW, 1))
    # Eight levels to the right from one cell of 8 x 8 to the next, none downwards.
    assert structure(Image.fromarray(ramp).convert("RGB")) == pytest.approx(4.0, abs=0.05)


def test_a_class_is_dealt_to_the_folders_in_its_order() -> None:
    from lookalike.steps.demo import LabelledImage

    images = [LabelledImage(f"{number}", "a", b"") for number in range(6)]
    layout = Layout()
    layout.deal(images, 3, 1, 2)
    parts = [
        [image.name for image in part] for part in (layout.train, layout.query, layout.gallery)
    ]
    assert parts == [["0", "1", "2"], ["3"], ["4", "5"]]
    with pytest.raises(ValueError, match="7 images asked for, 6 there"):
        layout.deal(images, 3, 2, 2)


@pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="builds a Debian package")
def test_a_package_that_lies_there_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(debian, "_is_installed", lambda name: False)
    source = tmp_path / "source"
    (source / "DEBIAN").mkdir(parents=True)
    control = "Package: some-pictures\nVersion: 2:1.5-1\nArchitecture: all\nMaintainer: A <a@b.c>\n"
    (source / "DEBIAN" / "control").write_text(f"{control}Description: pictures\n")
    (source / "usr").mkdir()
    (source / "usr" / "picture").write_text("seen")
    work = tmp_path / "work"
    work.mkdir()
    build = ["dpkg-deb", "--build", str(source), str(work / "some-pictures_1.5-1_all.deb")]
    subprocess.run(build, check=True, capture_output=True)
    root = package_root("some-pictures", work)
    assert (root / "usr" / "picture").read_text() == "seen"
    assert package_version("some-pictures", root) == "2:1.5-1"
    assert package_root("some-pictures", work) == root


def test_a_package_that_cannot_be_had_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(debian, "_is_installed", lambda name: False)
    monkeypatch.setattr(shutil, "which", lambda program: None)
    with pytest.raises(LookalikeError, match="install the Debian package no-such") as error:
        package_root("no-such", tmp_path / "work")
    assert str(tmp_path / "work") in str(error.value)
    assert list((tmp_path / "work").iterdir()) == []
