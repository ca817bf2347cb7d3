import hashlib
import os
import time
from pathlib import Path

import numpy as np
import pytest

from lookalike.cache import DAY, entries, prune
from lookalike.cli import main
from lookalike.errors import LookalikeError
from lookalike.store import Store


def filled(cache: Path) -> Path:
    """A cache with embeddings of two models, pixels, and the ages 0, 10, 20 and 30 days."""
    for age, place in enumerate(
        ["embeddings/aaa1/cpu", "embeddings/aaa2/cpu", "pixels/p", "embeddings/aaa1/cuda"]
    ):
        store = Store(cache / place, (2,), np.dtype(np.float32))
        store.add([hashlib.sha256(place.encode()).hexdigest()], np.full((1, 2), age))
        for path in (cache / place).iterdir():
            then = time.time() - age * 10 * DAY - 60
            os.utime(path, (then, then))
    return cache


def kept(cache: Path) -> set[str]:
    return {str(path.parent.relative_to(cache)) for path in cache.rglob("*.arrow")}


def test_sizes_are_those_of_the_files(tmp_path: Path) -> None:
    found = {(one.kind, one.key): one for one in entries(filled(tmp_path))}
    assert set(found) == {("embeddings", "aaa1"), ("embeddings", "aaa2"), ("pixels", "p")}
    total = sum(path.stat().st_size for path in tmp_path.rglob("*.arrow"))
    assert sum(one.n_bytes for one in found.values()) == total
    assert found["embeddings", "aaa1"].files == 2


def test_prune_by_age(tmp_path: Path) -> None:
    files, n_bytes = prune(filled(tmp_path), older_than_days=15)
    assert files == 2
    assert n_bytes > 0
    assert kept(tmp_path) == {"embeddings/aaa1/cpu", "embeddings/aaa2/cpu"}


def test_reading_makes_an_entry_young(tmp_path: Path) -> None:
    folder = filled(tmp_path) / "embeddings/aaa1/cuda"
    store = Store(folder, (2,), np.dtype(np.float32))
    store.read(list(store))
    prune(tmp_path, older_than_days=15)
    assert "embeddings/aaa1/cuda" in kept(tmp_path)


def test_prune_by_model(tmp_path: Path) -> None:
    assert prune(filled(tmp_path), model="aaa1")[0] == 2
    assert kept(tmp_path) == {"embeddings/aaa2/cpu", "pixels/p"}


def test_a_digest_that_is_not_one_model_removes_nothing(tmp_path: Path) -> None:
    before = kept(filled(tmp_path))
    for digest in ("aaa", "b"):
        with pytest.raises(LookalikeError, match="must mean one model"):
            prune(tmp_path, model=digest)
    assert kept(tmp_path) == before
    with pytest.raises(LookalikeError, match="no cache here"):
        entries(tmp_path / "nowhere")


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cache", "--cache", str(filled(tmp_path)), "--older-than", "25"]) == 0
    said = capsys.readouterr().err
    assert "removed 1 files" in said
    assert "aaa2" in said
    with pytest.raises(SystemExit):
        main(["cache", "--cache", str(tmp_path), "--older-than", "1", "--model", "aaa1"])
