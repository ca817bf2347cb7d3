import errno
import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from lookalike.cache import DAY, entries, prune
from lookalike.cli import main
from lookalike.errors import LookalikeError
from lookalike.guard import HALF_WRITTEN
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


def test_what_killed_jobs_left_goes_when_it_is_a_day_old(tmp_path: Path) -> None:
    folder = filled(tmp_path) / "embeddings" / "aaa1" / "cpu"
    now = time.time()
    young = f".half.arrow.xyz{HALF_WRITTEN}"
    for name, age in ((f".half.arrow.abc{HALF_WRITTEN}", 1.5), (young, 0.5)):
        (folder / name).write_bytes(b"half")
        os.utime(folder / name, (now - age * DAY,) * 2)
    assert prune(tmp_path, older_than_days=100) == (1, 4)
    # What is younger may be what a job writes just now.
    assert [path.name for path in folder.glob(".*")] == [young]
    prune(tmp_path, older_than_days=0)
    prune(tmp_path, model="aaa1")
    assert [path.name for path in folder.iterdir()] == [young]
    os.utime(folder / young, (now - 2 * DAY,) * 2)
    assert prune(tmp_path, model="aaa1") == (1, 4)


def test_other_files_are_not_touched(tmp_path: Path) -> None:
    filled(tmp_path)
    others = [
        "training/cats/a.jpg",
        "training/b.jpg",
        "scan/invoice.pdf",
        ".hidden",
        "pixels/c.txt",
    ]
    for name in others:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (0, 0))
    prune(tmp_path, older_than_days=0)
    assert kept(tmp_path) == set()
    assert all((tmp_path / name).exists() for name in others)
    assert entries(tmp_path) == []


@pytest.mark.parametrize("days", [-1.0, float("nan"), float("inf")])
def test_what_is_no_number_of_days_removes_nothing(tmp_path: Path, days: float) -> None:
    before = kept(filled(tmp_path))
    with pytest.raises(LookalikeError, match="no number of days"):
        prune(tmp_path, older_than_days=days)
    with pytest.raises(LookalikeError, match="must mean one model"):
        prune(tmp_path, model="")
    assert kept(tmp_path) == before


def test_files_that_vanish_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(tmp_path)
    before = entries(tmp_path)
    walk, unlink = os.walk, Path.unlink

    def walk_late(folder: Path) -> Iterator[tuple[str, list[str], list[str]]]:
        """Names that another process removes before they are looked at."""
        for place, folders, names in walk(folder):
            yield place, folders, ["gone.arrow", *names]

    def unlink_late(path: Path) -> None:
        """Another process is quicker."""
        unlink(path)
        unlink(path)

    monkeypatch.setattr(os, "walk", walk_late)
    monkeypatch.setattr(Path, "unlink", unlink_late)
    assert entries(tmp_path) == before
    assert prune(tmp_path, older_than_days=15) == (0, 0)
    assert kept(tmp_path) == {"embeddings/aaa1/cpu", "embeddings/aaa2/cpu"}


def test_a_file_that_cannot_be_removed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    filled(tmp_path)
    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(LookalikeError, match=r"arrow: cannot be removed: Permission denied"):
        prune(tmp_path, older_than_days=0)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cache", "--cache", str(filled(tmp_path)), "--older-than", "25"]) == 0
    said = capsys.readouterr().err
    assert "removed 1 files" in said
    assert "aaa2" in said
    with pytest.raises(SystemExit):
        main(["cache", "--cache", str(tmp_path), "--older-than", "1", "--model", "aaa1"])
