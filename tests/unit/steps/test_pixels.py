"""The pixels step below Snakemake: whatever came before, equal indexes and equal pixels."""

import hashlib
import logging
import os
import random
import re
import signal
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lookalike.data.manifest_table import SCHEMA
from lookalike.errors import LookalikeError
from lookalike.images import pixel_store as pixels
from lookalike.images.pixel_store import decoded, pixel_store
from lookalike.images.resizing import ImageSettings, load_pixels
from lookalike.steps.pixels import write_pixels
from lookalike.storage.files import write_parquet
from support.drawings import write_images
from support.processes import exit_code, start

IMAGE = ImageSettings(12, "squash", "white", (0.5, 0.5, 0.5), (0.2, 0.2, 0.2), "fast")
IMAGES = 40  # of distinct content; one has a copy


class Images:
    """Drawn images, each as it is when decoded by itself, and the index that lists them all."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        names = sorted(write_images(folder, list(range(10)), [0, 1, 2, 3], size=24))
        (folder / "z_copy.png").write_bytes((folder / names[0]).read_bytes())
        self.names = [*names, "z_copy.png"]
        content = {name: (folder / name).read_bytes() for name in self.names}
        self.sha256 = {name: hashlib.sha256(content[name]).hexdigest() for name in self.names}
        self.truth = {self.sha256[name]: load_pixels(content[name], IMAGE) for name in self.names}

    def manifest(self, path: Path, rows: Sequence[int]) -> Path:
        """A manifest of some of the images, and of one that cannot be used."""
        unknown: dict[str, Any] = dict.fromkeys(SCHEMA.names)
        found = [
            unknown | {"image_id": name, "label": "a", "sha256": self.sha256[name], "status": "ok"}
            for name in (self.names[row] for row in rows)
        ]
        bad = unknown | {"image_id": "bad.png", "label": "a", "sha256": "0", "status": "damaged"}
        write_parquet(path, pa.Table.from_pylist([*found, bad], schema=SCHEMA))
        return path

    def write(self, here: Path, rows: Sequence[int], threads: int = 1, gb: float = 1.0) -> bytes:
        """Run the step on some of the images; returns the index's bytes."""
        index = here / "index.parquet"
        write_pixels(
            self.manifest(here / "manifest.parquet", rows),
            self.folder,
            index,
            image=IMAGE.to_dict(),
            cache=here / "cache",
            pixel_store_gb=gb,
            threads=threads,
        )
        return index.read_bytes()

    def require_truth(self, here: Path) -> set[str]:
        """What the cache holds is what decoding gives; returns whose pixels it holds."""
        store = pixel_store(here / "cache", IMAGE)
        found = list(store)
        for key, values in zip(found, store.read(found), strict=True):
            assert np.array_equal(values, self.truth[key])
        return set(found)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Images:
    return Images(tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="module")
def whole(images: Images, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The index as one call writes it that finds nothing done before."""
    here = tmp_path_factory.mktemp("whole")
    content = images.write(here, range(IMAGES + 1))
    assert pq.read_table(here / "index.parquet")["sha256"].to_pylist() == sorted(images.truth)
    assert images.require_truth(here) == set(images.truth)
    return content


class Told(logging.Handler):
    """Keeps the counts that the step's last line says: images, from the cache, decoded."""

    LINE = re.compile(r"pixels: (\d+) images, (\d+) from the cache, (\d+) decoded")
    logger = logging.getLogger("lookalike.images.pixel_store")

    def __enter__(self) -> "Told":
        self.before = self.logger.level
        self.logger.setLevel(logging.INFO)
        self.logger.addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        self.logger.removeHandler(self)
        self.logger.setLevel(self.before)

    def emit(self, record: logging.LogRecord) -> None:
        if found := self.LINE.match(record.getMessage()):
            self.counts = tuple(map(int, found.groups()))


@settings(deadline=None, derandomize=True, max_examples=15)
@given(
    arrivals=st.lists(st.lists(st.integers(0, IMAGES), max_size=30, unique=True), max_size=3),
    threads=st.sampled_from([1, 2, 7]),
    chunk_images=st.sampled_from([1, 8, 512]),
)
def test_index_and_pixels_do_not_depend_on_the_way_there(
    images: Images,
    whole: bytes,
    tmp_path_factory: pytest.TempPathFactory,
    arrivals: list[list[int]],
    threads: int,
    chunk_images: int,
) -> None:
    here, known = tmp_path_factory.mktemp("way"), set[str]()
    with pytest.MonkeyPatch.context() as patch, Told() as told:
        patch.setattr(pixels, "CHUNK_IMAGES", chunk_images)
        for rows in [*arrivals, range(IMAGES + 1)]:
            again = images.write(here, rows, threads)
            wanted = {images.sha256[images.names[row]] for row in rows}
            new = len(wanted - known)
            assert told.counts == (len(wanted), len(wanted) - new, new)
            known |= wanted
            assert images.require_truth(here) == known
    assert again == whole


def test_other_settings_have_other_pixels(images: Images, tmp_path: Path) -> None:
    images.write(tmp_path, range(IMAGES))
    other = ImageSettings(12, "pad", "white", IMAGE.mean, IMAGE.std, "fast")
    assert list(pixel_store(tmp_path / "cache", other)) == []
    # How they are normalised is not in the pixels.
    shifted = ImageSettings(12, "squash", "#ffffff", (0.1, 0.2, 0.3), IMAGE.std, "fast")
    assert set(pixel_store(tmp_path / "cache", shifted)) == set(images.truth)


@pytest.mark.parametrize("threads", [1, 3])
def test_decoded_images_come_in_order_and_only_a_little_ahead(
    images: Images, monkeypatch: pytest.MonkeyPatch, threads: int
) -> None:
    started, lock = 0, threading.Lock()

    def load_unevenly(content: bytes, image: ImageSettings) -> np.ndarray:
        nonlocal started
        with lock:
            started += 1
            mine = started
        time.sleep(0.002 * (mine % 3))
        return load_pixels(content, image)

    monkeypatch.setattr(pixels, "load_pixels", load_unevenly)
    paths = [(images.sha256[name], images.folder / name) for name in images.names]
    for position, (key, values) in enumerate(decoded(paths, IMAGE, threads)):
        assert key == paths[position][0]
        assert np.array_equal(values, images.truth[key])
        assert started <= position + 1 + 4 * threads
    assert started == len(paths)


def test_a_file_that_is_not_the_manifests_stops_the_step(images: Images, tmp_path: Path) -> None:
    (tmp_path / "changed.png").write_bytes((images.folder / images.names[1]).read_bytes())
    wrong = [(images.sha256[images.names[0]], tmp_path / "changed.png")]
    with pytest.raises(LookalikeError, match=r"changed\.png: changed since the manifest"):
        list(decoded(wrong, IMAGE, 1))
    with pytest.raises(LookalikeError, match=r"none\.png: cannot be read: No such file"):
        list(decoded([("0", tmp_path / "none.png")], IMAGE, 1))


# Several jobs, and killed ones.


def write_in_chunks(images: Images, here: Path, kill_at: int | None, seconds: float) -> None:
    """Decode in chunks of 8 with a pause before each is renamed, and be killed before one is."""
    pixels.CHUNK_IMAGES = 8
    replace, calls = os.replace, []

    def replace_later(beside: Path, path: Path) -> None:
        if "cache" in path.parts:
            calls.append(path)
            if len(calls) == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(seconds)
        replace(beside, path)

    pytest.MonkeyPatch().setattr(os, "replace", replace_later)
    images.write(here, range(IMAGES + 1))


def test_jobs_at_once(images: Images, whole: bytes, tmp_path: Path) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    (tmp_path / "cache").mkdir()
    for folder in folders:
        folder.mkdir()
        (folder / "cache").symlink_to(tmp_path / "cache")
    jobs = [start(write_in_chunks, images, folder, None, 0.05) for folder in folders]
    assert [exit_code(job) for job in jobs] == [0, 0]
    assert [(folder / "index.parquet").read_bytes() for folder in folders] == [whole, whole]
    assert images.require_truth(tmp_path) == set(images.truth)


@pytest.mark.parametrize("chunk", [1, 3, 5])
def test_a_killed_job_goes_on_where_it_was(
    images: Images, whole: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture, chunk: int
) -> None:
    job = start(write_in_chunks, images, tmp_path, chunk, 0)
    assert exit_code(job) == -signal.SIGKILL
    assert not (tmp_path / "index.parquet").exists()
    known = 8 * (chunk - 1)
    assert len(images.require_truth(tmp_path)) == known
    with caplog.at_level(logging.INFO):
        assert images.write(tmp_path, range(IMAGES + 1)) == whole
    assert f"40 images, {known} from the cache, {40 - known} decoded" in caplog.text
    assert images.require_truth(tmp_path) == set(images.truth)


def test_a_job_may_be_killed_at_any_moment(images: Images, whole: bytes, tmp_path: Path) -> None:
    rng = random.Random(0)
    for _ in range(8):
        job = start(write_in_chunks, images, tmp_path, None, 0.03)
        time.sleep(rng.uniform(0, 0.3))
        job.kill()
        assert exit_code(job) in (0, -signal.SIGKILL)
        images.require_truth(tmp_path)
    assert images.write(tmp_path, range(IMAGES + 1)) == whole
    assert images.require_truth(tmp_path) == set(images.truth)
