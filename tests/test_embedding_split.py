"""The embed step below Snakemake: whatever came before, equal tables have equal bytes."""

import hashlib
import json
import os
import random
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from drawings import draw, write_data
from lookalike import embedding_split
from lookalike.cache import prune
from lookalike.data_layout import DataSettings
from lookalike.embedding_split import EmbedSettings, embed_shard, embed_split
from lookalike.errors import LookalikeError
from lookalike.files import read_json, write_parquet
from lookalike.images import load_pixels
from lookalike.manifest import write_manifest
from lookalike.manifest_table import read_manifest, usable
from lookalike.models import build_model, load_model, save_model
from lookalike.normalisation import normalise
from lookalike.store import Store
from lookalike.tables import read_blocks
from processes import exit_code, start
from test_models import IMAGE, MODEL

SIZE, DIM = 16, 8  # of the model's images and of its embeddings
SETTINGS = MODEL | {"embedding_dim": DIM}
ROWS = 74  # of the manifest that can be used


@dataclass(frozen=True)
class Split:
    """A gallery's images and manifest, a model, and where to put things.

    Attributes:
        folder: a new place for what a test makes, and for its cache.
        images: the images.
        manifest: their manifest.
        weights: of the model.
    """

    folder: Path
    images: Path
    manifest: Path
    weights: Path

    @property
    def how(self) -> EmbedSettings:
        """Plain settings."""
        return EmbedSettings(self.folder / "cache", "cpu", batch_size=32, threads=1)

    def part(self, rows: list[int], name: str) -> "Split":
        """The same with some rows of the manifest, in this order."""
        path = self.folder / f"{name}.parquet"
        write_parquet(path, usable(read_manifest(self.manifest)).take(pa.array(rows, pa.int64())))
        return replace(self, manifest=path)

    def embed(
        self, how: EmbedSettings | None = None, name: str = "all", shards: tuple[Path, ...] = ()
    ) -> tuple[bytes, dict[str, Any]]:
        """The table's bytes, and the summary."""
        output, summary = self.folder / f"{name}.embeddings", self.folder / f"{name}.json"
        embed_split(
            self.manifest, self.images, self.weights, output, summary, shards, how or self.how
        )
        return output.read_bytes(), read_json(summary)

    def hashes(self) -> set[str]:
        """The distinct contents of the usable rows."""
        return set(usable(read_manifest(self.manifest))["sha256"].to_pylist())

    def stored(self) -> set[str]:
        """The contents whose embedding is in the cache, by this and other models."""
        folders = (self.folder / "cache" / "embeddings").glob("*/*")
        return {key for one in folders for key in Store(one, (DIM,), np.dtype(np.float32))}


def write_model(folder: Path, *, size: int = SIZE, seed: int = 0, **facts: Any) -> Path:
    torch.manual_seed(seed)
    model = build_model(SETTINGS, size)
    image = replace(IMAGE, size=size).to_dict()
    weights = folder / "model.safetensors"
    save_model(
        model,
        weights,
        folder / "model.json",
        settings=SETTINGS,
        image=image,
        facts={"facts": facts},
    )
    return weights


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Split:
    """72 gallery images of distinct content, two copies of one of them, and a broken one."""
    folder = tmp_path_factory.mktemp("made")
    data = write_data(folder / "data", test_classes=22)
    gallery = data / "gallery"
    labels = json.loads((data / "test_image_info.json").read_text())
    (gallery / "sub").mkdir()
    for name in ("copy.png", "sub/another.png"):
        shutil.copy(gallery / "0010_001.png", gallery / name)
    (gallery / "broken.png").write_bytes(b"no image")
    labels |= {"copy.png": 10, "sub/another.png": 10, "broken.png": 10}
    (data / "test_image_info.json").write_text(json.dumps(labels))
    write_manifest(
        DataSettings(
            root=data,
            train="train",
            query="query_images",
            gallery="gallery",
            train_labels="train_image_info.json",
            test_labels="test_image_info.json",
        ),
        {split: folder / f"{split}.parquet" for split in ("train", "query", "gallery")},
        folder / "report.json",
        cache=None,
        threads=1,
    )
    return Split(folder, gallery, folder / "gallery.parquet", write_model(folder / "model"))


@pytest.fixture(scope="module")
def whole(made: Split) -> bytes:
    """The table as one call makes it that finds nothing done before."""
    return made.embed()[0]


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def counts(summary: dict[str, Any]) -> tuple[int, int, int, int]:
    return summary["images"], summary["from_store"], summary["decoded"], summary["embedded"]


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_each_image_is_embedded_by_the_model_as_by_hand(made: Split, whole: bytes) -> None:
    model, description = load_model(made.weights)
    (table,) = read_blocks(made.folder / "all.embeddings", sha256=True)
    assert table.image_ids == usable(read_manifest(made.manifest))["image_id"].to_pylist()
    assert len(table.image_ids) == ROWS
    image = replace(IMAGE, size=SIZE)
    for image_id, vector in zip(table.image_ids, table.vectors, strict=True):
        pixels = torch.from_numpy(load_pixels(made.images / image_id, image))
        with torch.inference_mode():
            by_hand = model(normalise(pixels[None], image))[0].numpy()
        np.testing.assert_allclose(vector, by_hand, atol=1e-5)
    assert read_json(made.folder / "all.json")["model_digest"] == description["digest"]
    assert whole == (made.folder / "all.embeddings").read_bytes()


@settings(deadline=None, derandomize=True, max_examples=16)
@given(
    arrivals=st.lists(st.lists(st.integers(0, ROWS - 1), max_size=50, unique=True), max_size=3),
    shards=st.integers(1, 7),
    order=st.randoms(use_true_random=False),
    batch_size=st.sampled_from([1, 5, 32, 64, 100]),
    chunk_batches=st.sampled_from([1, 2, 16]),
    threads=st.sampled_from([1, 2]),
)
def test_bytes_do_not_depend_on_the_way_there(
    made: Split,
    whole: bytes,
    tmp_path_factory: pytest.TempPathFactory,
    arrivals: list[list[int]],
    shards: int,
    order: random.Random,
    batch_size: int,
    chunk_batches: int,
    threads: int,
) -> None:
    here = replace(made, folder=tmp_path_factory.mktemp("way"))
    how = replace(here.how, batch_size=batch_size, threads=threads)
    known: set[str] = set()

    def count(split: Split, summary: dict[str, Any], rows: int) -> None:
        """Exactly what was not there is decoded and embedded."""
        new = len(split.hashes() - known)
        assert counts(summary) == (rows, len(split.hashes()) - new, new, new)
        known.update(split.hashes())
        assert here.stored() == known

    with pytest.MonkeyPatch.context() as patch, torch_threads(threads):
        patch.setattr(embedding_split, "STORE_BATCHES", chunk_batches)
        for number, rows in enumerate(arrivals):
            if rows:
                part = here.part(rows, str(number))
                count(part, part.embed(how, str(number))[1], len(rows))
        parts = list(range(1, shards + 1)) if shards > 1 else []
        order.shuffle(parts)
        embedded = images = 0
        for number in parts:
            told = here.folder / f"{number}.json"
            item = f"{number}-of-{shards}"
            embed_shard(here.manifest, here.images, here.weights, told, item, how)
            summary = read_json(told)
            embedded += summary["embedded"]
            images += summary["images"]
            assert summary["decoded"] == summary["embedded"]
        if parts:
            # The parts are disjoint and together all: nothing is left to do, nothing done twice.
            assert images == ROWS
            assert embedded == len(here.hashes() - known)
            known.update(here.hashes())
        again, summary = here.embed(how)
        count(here, summary, ROWS)
    assert again == whole


def test_a_copy_costs_nothing_and_an_edited_image_alone_is_embedded(
    made: Split, tmp_path: Path
) -> None:
    here = replace(made, folder=tmp_path)
    assert counts(here.embed()[1]) == (ROWS, 0, 72, 72)
    before = here.stored()
    table = read_manifest(here.manifest).to_pydict()
    images = tmp_path / "images"
    shutil.copytree(made.images, images)
    draw(11, 99).save(images / "0011_001.png")
    edited = (images / "0011_001.png").read_bytes()
    table["sha256"][table["image_id"].index("0011_001.png")] = sha256(edited)
    write_parquet(tmp_path / "edited.parquet", pa.table(table, read_manifest(made.manifest).schema))
    there = replace(here, images=images, manifest=tmp_path / "edited.parquet")
    assert counts(there.embed()[1]) == (ROWS, 71, 1, 1)
    assert here.stored() - before == {sha256(edited)}


def test_an_image_that_is_not_the_manifests_stops_the_job(made: Split, tmp_path: Path) -> None:
    images = tmp_path / "images"
    shutil.copytree(made.images, images)
    draw(11, 99).save(images / "0011_001.png")
    here = replace(made, folder=tmp_path, images=images)
    with pytest.raises(LookalikeError, match=r"0011_001\.png: changed since"):
        here.embed()
    assert not (tmp_path / "all.embeddings").exists()
    assert sha256((images / "0011_001.png").read_bytes()) not in here.stored()
    (images / "0011_001.png").unlink()
    with pytest.raises(LookalikeError, match=r"0011_001\.png: cannot be read"):
        here.embed()


def test_equal_models_share_embeddings_and_no_others_do(
    made: Split, whole: bytes, tmp_path: Path
) -> None:
    here = replace(made, folder=tmp_path)
    assert counts(here.embed()[1])[3] == 72
    same = replace(here, weights=write_model(tmp_path / "same", recipe="another"))
    content, summary = same.embed(name="same")
    assert counts(summary) == (ROWS, 72, 0, 0)
    assert content == whole
    for number, other in enumerate([{"size": 24}, {"seed": 1}]):
        weights = write_model(tmp_path / str(number), **other)
        content, summary = replace(here, weights=weights).embed(name="other")
        assert counts(summary) == (ROWS, 0, 72, 72)
        assert content != whole


def test_what_was_pruned_or_damaged_is_embedded_again(
    made: Split, whole: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedding_split, "STORE_BATCHES", 1)
    here = replace(made, folder=tmp_path)
    here.embed()
    chunks = sorted((tmp_path / "cache").rglob("*.arrow"))
    assert len(chunks) == 3
    chunks[0].write_bytes(chunks[0].read_bytes()[:-100])
    chunks[1].unlink()
    left = len(here.stored())
    content, summary = here.embed()
    assert content == whole
    assert counts(summary) == (ROWS, left, 72 - left, 72 - left)
    assert prune(tmp_path / "cache", model=summary["model_digest"])[0] > 0
    content, summary = here.embed()
    assert content == whole
    assert counts(summary) == (ROWS, 0, 72, 72)


# Several jobs, and killed ones.


def embed_slowly(split: Split, name: str, seconds: float) -> None:
    """Embed in chunks of 32, with a pause after each."""
    embedding_split.STORE_BATCHES = 1
    add = Store.add

    def add_slowly(store: Store, keys: Any, rows: Any) -> None:
        add(store, keys, rows)
        time.sleep(seconds)

    pytest.MonkeyPatch().setattr(Store, "add", add_slowly)
    split.embed(name=name)


def embed_and_die(split: Split, chunks: int, name: str) -> None:
    """Embed in chunks of 32, and be killed when `os.<name>` is called for the chunk after some."""
    embedding_split.STORE_BATCHES = 1
    real, calls = getattr(os, name), []

    def die(*arguments: Any, **more: Any) -> Any:
        calls.append(arguments)
        if len(calls) > chunks:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*arguments, **more)

    setattr(os, name, die)
    split.embed()


def test_jobs_of_one_model_at_once(made: Split, whole: bytes, tmp_path: Path) -> None:
    here = replace(made, folder=tmp_path)
    jobs = [start(embed_slowly, here, str(number), 0.1) for number in range(3)]
    assert [exit_code(job) for job in jobs] == [0, 0, 0]
    for number in range(3):
        assert (tmp_path / f"{number}.embeddings").read_bytes() == whole
    assert here.stored() == here.hashes()
    assert here.embed()[1]["embedded"] == 0


@pytest.mark.parametrize("moment", ["fsync", "replace"])
@pytest.mark.parametrize("chunks", [0, 1, 2])
def test_a_killed_job_goes_on_where_it_was(
    made: Split, whole: bytes, tmp_path: Path, chunks: int, moment: str
) -> None:
    here = replace(made, folder=tmp_path)
    assert exit_code(start(embed_and_die, here, chunks, moment)) == -signal.SIGKILL
    assert not (tmp_path / "all.embeddings").exists()
    assert len(here.stored()) == 32 * chunks
    content, summary = here.embed()
    assert content == whole
    assert counts(summary) == (ROWS, 32 * chunks, 72 - 32 * chunks, 72 - 32 * chunks)


@pytest.mark.parametrize("seed", range(3))
def test_a_job_may_be_killed_at_any_moment(
    made: Split, whole: bytes, tmp_path: Path, seed: int
) -> None:
    here, rng = replace(made, folder=tmp_path), random.Random(seed)
    for _ in range(5):
        job = start(embed_slowly, here, "killed", 0.05)
        time.sleep(rng.uniform(0, 0.4))
        job.kill()
        assert exit_code(job) in (0, -signal.SIGKILL)
        known = here.stored()
        assert known <= here.hashes()
    content, summary = here.embed()
    assert content == whole
    assert summary["embedded"] == len(here.hashes() - known)
    if (tmp_path / "killed.embeddings").exists():
        assert (tmp_path / "killed.embeddings").read_bytes() == whole
