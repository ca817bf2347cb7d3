"""The embed step below Snakemake: whatever came before, equal tables have equal bytes."""

import hashlib
import io
import json
import os
import random
import shutil
import signal
import threading
import time
import tracemalloc
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lookalike.data.layout import DataSettings
from lookalike.data.manifest_table import read_manifest, usable
from lookalike.embedding import filling, tables
from lookalike.embedding.filling import EmbedSettings, embed_files
from lookalike.embedding.forward import embed_batches, embed_pixels
from lookalike.embedding.tables import read_names, read_vectors, write_embeddings
from lookalike.errors import LookalikeError
from lookalike.images.normalisation import normalise
from lookalike.images.resizing import ImageSettings, load_pixels
from lookalike.jobs.progress import Progress
from lookalike.models.building import build_model
from lookalike.models.files import load_model, save_model
from lookalike.models.settings import ModelSettings
from lookalike.steps.embed import embed_shard, embed_split
from lookalike.steps.manifest import write_manifest
from lookalike.storage.cache import prune
from lookalike.storage.files import read_json, write_json, write_parquet
from lookalike.storage.row_store import Store
from support.devices import torch_threads
from support.drawings import draw, write_data
from support.models import IMAGE, MODEL
from support.processes import exit_code, start

SIZE, DIM = 16, 8  # of the model's images and of its embeddings
SETTINGS: dict[str, Any] = MODEL | {"embedding_dim": DIM}
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
    model = build_model(ModelSettings.from_dict(SETTINGS), size)
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


def counts(summary: dict[str, Any]) -> tuple[int, int, int, int]:
    return summary["images"], summary["from_store"], summary["decoded"], summary["embedded"]


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_each_image_is_embedded_by_the_model_as_by_hand(made: Split, whole: bytes) -> None:
    model, description = load_model(made.weights)
    table = made.folder / "all.embeddings"
    image_ids = read_names(table, ["image_id"])["image_id"].to_pylist()
    (vectors,) = read_vectors(table)
    assert image_ids == usable(read_manifest(made.manifest))["image_id"].to_pylist()
    assert len(image_ids) == ROWS
    image = replace(IMAGE, size=SIZE)
    for image_id, vector in zip(image_ids, vectors, strict=True):
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
        patch.setattr(filling, "STORE_BATCHES", chunk_batches)
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
    monkeypatch.setattr(filling, "STORE_BATCHES", 1)
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


def test_a_table_written_in_groups_is_the_one_written_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "_ROWS_PER_GROUP", 100)
    for n in (0, 1, 99, 100, 101, 350):
        keys = [sha256(str(number).encode()) for number in range(n)]
        vectors = np.random.default_rng(n).normal(size=(n, DIM)).astype(np.float32)
        store = Store(tmp_path / str(n), (DIM,), np.dtype(np.float32))
        store.add(keys[:50], vectors[:50])
        store.add(keys[50:], vectors[50:])
        ids, labels = [f"{key}.png" for key in keys], [key[:1] for key in keys]
        found = tmp_path / f"{n}.parquet"
        write_embeddings(found, ids, labels, keys, store.rows(keys), {"score": "cosine"})
        # As pyarrow writes one table that is in memory.
        flat = pa.array(vectors.ravel(), pa.float32())
        table = pa.table(
            {
                "image_id": pa.array(ids, pa.string()),
                "label": pa.array(labels, pa.string()),
                "sha256": pa.array(keys, pa.string()),
                "embedding": pa.FixedSizeListArray.from_arrays(flat, DIM),
            },
            metadata={b"lookalike": json.dumps({"score": "cosine"})},
        )
        write_parquet(tmp_path / "whole", table, row_group_size=100, use_dictionary=["label"])
        assert found.read_bytes() == (tmp_path / "whole").read_bytes()
        assert pq.ParquetFile(found).num_row_groups == max(1, -(-n // 100))


def test_a_batch_is_decoded_while_the_network_has_another(
    made: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ahead by a batch and what the decoding threads hold, and never by more."""
    model, _ = load_model(made.weights)
    image = replace(IMAGE, size=SIZE)
    loaded, second = 0, threading.Event()

    def load(content: bytes, settings: ImageSettings) -> np.ndarray:
        nonlocal loaded
        loaded += 1
        if loaded >= 2 * 16:
            second.set()
        return load_pixels(content, settings)

    def embed_and_look(*arguments: Any) -> Iterator[np.ndarray]:
        for number, vectors in enumerate(embed_batches(*arguments)):
            if number == 0:
                assert second.wait(10)
            # This batch, the next one, and 4 images for the one thread.
            assert loaded <= (number + 2) * 16 + 4 + 1
            yield vectors

    monkeypatch.setattr("lookalike.images.pixel_store.load_pixels", load)
    monkeypatch.setattr(filling, "embed_batches", embed_and_look)
    table = usable(read_manifest(made.manifest))
    names = zip(table["sha256"].to_pylist(), table["image_id"].to_pylist(), strict=True)
    files = [(key, made.images / name) for key, name in names]
    how = replace(made.how, batch_size=16)
    with Progress("embedding", len(files)) as progress:
        found = list(embed_files(model, files, image, torch.device("cpu"), how, progress))
    assert progress.done == len(found) == ROWS
    held = np.stack([load_pixels(path, image) for _, path in files])
    assert np.array_equal(np.stack(found), embed_pixels(model, held, image))


def test_memory_does_not_grow_with_the_number_of_images(tmp_path: Path) -> None:
    """Python's and numpy's, while files are embedded: two batches and a little."""
    model = build_model(ModelSettings.from_dict(SETTINGS), 64).eval()
    image = replace(IMAGE, size=64)
    content = io.BytesIO()
    draw(0, 0, 64).save(content, "PNG")
    (tmp_path / "a.png").write_bytes(content.getvalue())
    how = EmbedSettings(tmp_path, "cpu", batch_size=32, threads=1)

    def peak(n: int) -> int:
        files = [(sha256(content.getvalue()), tmp_path / "a.png")] * n
        tracemalloc.start()
        try:
            with Progress("embedding", n) as progress:
                for _ in embed_files(model, files, image, torch.device("cpu"), how, progress):
                    pass
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(32)
    batch = 32 * 64 * 64 * 3
    few, many = peak(128), peak(512)
    assert many < few + batch
    assert many < 5 * batch  # all of them are 16


# Several jobs, and killed ones.


def embed_slowly(split: Split, name: str, seconds: float) -> None:
    """Embed in chunks of 32, with a pause after each."""
    filling.STORE_BATCHES = 1
    add = Store.add

    def add_slowly(store: Store, keys: Any, rows: Any) -> None:
        add(store, keys, rows)
        time.sleep(seconds)

    pytest.MonkeyPatch().setattr(Store, "add", add_slowly)
    split.embed(name=name)


def embed_and_die(split: Split, chunks: int, name: str) -> None:
    """Embed in chunks of 32, and be killed when `os.<name>` is called for the chunk after some."""
    filling.STORE_BATCHES = 1
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


def test_the_table_needs_no_device_where_the_parts_had_one(
    made: Split, whole: bytes, tmp_path: Path
) -> None:
    here = replace(made, folder=tmp_path)
    shards = (tmp_path / "1.json", tmp_path / "2.json")
    for number, told in enumerate(shards, 1):
        embed_shard(here.manifest, here.images, here.weights, told, f"{number}-of-2", here.how)
        assert read_json(told)["device"] == "cpu"
        write_json(told, read_json(told) | {"device": "cuda"})
    # As GPUs leave it, for a job on a machine without one.
    [folder] = (tmp_path / "cache" / "embeddings").glob("*/cpu-*")
    there = folder.rename(folder.with_name(folder.name.replace("cpu-", "cuda-")))
    made_by_parts = len(here.hashes())
    output, summary = here.embed(shards=shards)
    assert output == whole
    assert counts(summary) == (ROWS, 0, made_by_parts, made_by_parts)
    next(there.glob("*.arrow")).unlink()
    with pytest.raises(LookalikeError, match=r"\d+ embeddings are not in the cache.*embed_shard"):
        here.embed(shards=shards)
