import errno
import hashlib
import os
import re
import string
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from lookalike.cli import main
from lookalike.data.scan import scan
from lookalike.errors import LookalikeError
from lookalike.jobs.speed import Speeds
from lookalike.storage.cache import DAY, KINDS, doomed, entries, foreign, is_done, prune
from lookalike.storage.files import HALF_WRITTEN, whole
from lookalike.storage.row_store import Store
from lookalike.training.checkpoints import Checkpoint, Position

ONE, OTHER = "a1" * 16, "a2" * 16  # digests of models
CPU, CUDA, PIXELS = "cpu-0123456789abcdef", "cuda-0123456789abcdef", "fedcba9876543210"


def filled(cache: Path) -> Path:
    """A cache with embeddings of two models, pixels, and the ages 0, 10, 20 and 30 days."""
    for age, place in enumerate(
        [
            f"embeddings/{ONE}/{CPU}",
            f"embeddings/{OTHER}/{CPU}",
            f"pixels/{PIXELS}",
            f"embeddings/{ONE}/{CUDA}",
        ]
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
    assert set(found) == {("embeddings", ONE), ("embeddings", OTHER), ("pixels", PIXELS)}
    total = sum(path.stat().st_size for path in tmp_path.rglob("*.arrow"))
    assert sum(one.n_bytes for one in found.values()) == total
    assert found["embeddings", ONE].files == 2


def test_prune_by_age(tmp_path: Path) -> None:
    files, n_bytes = prune(filled(tmp_path), older_than_days=15)
    assert files == 2
    assert n_bytes > 0
    assert kept(tmp_path) == {f"embeddings/{ONE}/{CPU}", f"embeddings/{OTHER}/{CPU}"}


def test_reading_makes_an_entry_young(tmp_path: Path) -> None:
    folder = filled(tmp_path) / f"embeddings/{ONE}/{CUDA}"
    store = Store(folder, (2,), np.dtype(np.float32))
    store.read(list(store))
    prune(tmp_path, older_than_days=15)
    assert f"embeddings/{ONE}/{CUDA}" in kept(tmp_path)


def test_prune_by_model(tmp_path: Path) -> None:
    assert prune(filled(tmp_path), model="a1")[0] == 2
    assert kept(tmp_path) == {f"embeddings/{OTHER}/{CPU}", f"pixels/{PIXELS}"}


def test_a_digest_that_is_not_one_model_removes_nothing(tmp_path: Path) -> None:
    before = kept(filled(tmp_path))
    for digest in ("a", "b"):
        with pytest.raises(LookalikeError, match="must mean one model"):
            prune(tmp_path, model=digest)
    assert kept(tmp_path) == before
    with pytest.raises(LookalikeError, match="no cache here"):
        entries(tmp_path / "nowhere")


def test_what_killed_jobs_left_goes_when_it_is_a_day_old(tmp_path: Path) -> None:
    folder = filled(tmp_path) / "embeddings" / ONE / CPU
    now = time.time()
    half = f".{ONE}.arrow"
    young = f"{half}.xyz{HALF_WRITTEN}"
    for name, age in ((f"{half}.abc{HALF_WRITTEN}", 1.5), (young, 0.5)):
        (folder / name).write_bytes(b"half")
        os.utime(folder / name, (now - age * DAY,) * 2)
    assert prune(tmp_path, older_than_days=100) == (1, 4)
    # What is younger may be what a job writes just now.
    assert [path.name for path in folder.glob(".*")] == [young]
    prune(tmp_path, older_than_days=0)
    prune(tmp_path, model="a1")
    assert [path.name for path in folder.iterdir()] == [young]
    os.utime(folder / young, (now - 2 * DAY,) * 2)
    assert prune(tmp_path, model="a1") == (1, 4)


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

    def walk_late(folder: Path, **options: Any) -> Iterator[tuple[str, list[str], list[str]]]:
        """Names that another process removes before they are looked at."""
        for place, folders, names in walk(folder, **options):
            yield place, folders, [f"{'0' * 32}.arrow", *names]

    def unlink_late(path: Path) -> None:
        """Another process is quicker."""
        unlink(path)
        unlink(path)

    monkeypatch.setattr(os, "walk", walk_late)
    monkeypatch.setattr(Path, "unlink", unlink_late)
    assert entries(tmp_path) == before
    assert prune(tmp_path, older_than_days=15) == (0, 0)
    assert kept(tmp_path) == {f"embeddings/{ONE}/{CPU}", f"embeddings/{OTHER}/{CPU}"}


def test_a_file_that_cannot_be_removed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    filled(tmp_path)
    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(LookalikeError, match=r"arrow: cannot be removed: Permission denied"):
        prune(tmp_path, older_than_days=0)


def everything(cache: Path) -> set[str]:
    """A file of each kind that Lookalike leaves in a cache, made by what makes it there."""
    filled(cache)
    (cache.parent / "data").mkdir(exist_ok=True)
    (cache.parent / "data" / "a.png").write_bytes(b"no image")
    os.utime(cache.parent / "data" / "a.png", (0, 0))
    scan(["a.png"], cache.parent / "data", cache=cache, threads=1)
    model = torch.nn.Linear(1, 1)
    for key, done in (("0" * 32, False), ("1" * 32, True)):
        state = Checkpoint(cache / "training", key)
        state.save({"model": model}, torch.optim.SGD(model.parameters()), Position())
        if done:
            state.finish(ONE)
    features = Store(cache / "features" / OTHER / CPU, (2,), np.dtype(np.float32))
    features.add([hashlib.sha256(b"features").hexdigest()], np.zeros((1, 2)))
    large = Store(cache / "pixels" / PIXELS, (100_000,), np.dtype(np.uint8))
    large.add([hashlib.sha256(b"large").hexdigest()], np.zeros((1, 100_000)))
    large.remember()
    Speeds(cache).keep("work", 1.0)
    for path in [path for path in cache.rglob("*") if path.is_file()]:
        # As a kill leaves it.
        with pytest.raises(KeyboardInterrupt), whole(path) as beside:
            beside.rename(beside.with_name(f".kept{len(path.name)}"))
            raise KeyboardInterrupt
        left = path.parent / f".kept{len(path.name)}"
        left.rename(path.parent / beside.name)
    return {path.relative_to(cache).as_posix() for path in cache.rglob("*") if path.is_file()}


def aged(cache: Path, days: float = 400) -> None:
    for path in cache.rglob("*"):
        os.utime(path, (time.time() - days * DAY,) * 2, follow_symlinks=False)


def test_all_that_lookalike_makes_can_be_removed(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    names = everything(cache)
    assert {name.split("/")[0] for name in names} == set(KINDS)
    assert len(names) == 2 * (
        5 + 2 + 2 + 1 + 1 + 1
    )  # chunks, scan, states, large chunk, its note, speed
    assert foreign(cache) == []
    aged(cache)
    size = sum((cache / name).stat().st_size for name in names)
    assert sum(one.n_bytes for one in entries(cache)) == size
    assert prune(cache, older_than_days=1) == (len(names), size)
    assert not any(path.is_file() for path in cache.rglob("*"))


# Names that somebody's own files might have.
_PARTS = [
    *KINDS,
    "Training",
    "train",
    "data",
    "images",
    PIXELS,
    ONE,
    CPU,
    "cpu",
    "aaa1",
    "files-",
    ".looks.json",
    "x.safetensors",
    "data-00000.arrow",
    "images-of-patients.zip",
    "files-2024",
    "scan.txt",
    "model.safetensors",
    f"{ONE}.arrow.bak",
    f"{ONE}.ARROW",
    f"{ONE}x.arrow",
    f"{ONE[1:]}.arrow",
    f"{ONE.upper()}.arrow",
    f"{ONE}.arrow\n",
    f"files-{PIXELS}.parquet",
    f"images-{PIXELS.upper()}",
    f" files-{PIXELS}",
    f"{ONE}.{ONE}.safetensors",
    f"{ONE}.done.safetensors",
    f".half{HALF_WRITTEN}",
    f".{ONE}.arrow{HALF_WRITTEN}",
    f"{ONE}.arrow.x{HALF_WRITTEN}",
    f".{ONE}.png.abc{HALF_WRITTEN}",
    HALF_WRITTEN,
    f"{ONE}.arrow",
]
_NAMES = st.sampled_from(_PARTS) | st.text(
    string.ascii_letters + string.digits + "._- é", min_size=1, max_size=20
)
_PATHS = st.tuples(st.sampled_from([*KINDS, "."]), st.lists(_NAMES, min_size=1, max_size=4)).map(
    lambda parts: "/".join([parts[0], *parts[1]])
)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(others=st.lists(_PATHS, max_size=12))
def test_no_other_file_is_ever_touched(
    tmp_path_factory: pytest.TempPathFactory, others: list[str]
) -> None:
    cache = tmp_path_factory.mktemp("cache")
    ours = {path.relative_to(cache).as_posix() for path in filled(cache).rglob("*.arrow")}
    made: set[str] = set()
    for name in others:
        # The few names that are Lookalike's own; this says once more, in other words, which.
        folders, _, last = name.removeprefix("./").rpartition("/")
        is_chunk = re.fullmatch("[0-9a-f]{32}[.]arrow", last) or last == ".looks.json"
        if is_chunk and (
            re.fullmatch("pixels/[0-9a-f]{16}", folders)
            or re.fullmatch("embeddings/[0-9a-f]{32}/[a-z]+-[0-9a-f]{16}", folders)
        ):
            continue
        if {".", ".."} & set(name.removeprefix("./").split("/")):
            continue
        try:
            (cache / name).parent.mkdir(parents=True, exist_ok=True)
            (cache / name).write_bytes(b"mine")
        except (NotADirectoryError, IsADirectoryError, FileExistsError):
            continue
        made.add((cache / name).relative_to(cache).as_posix())
    aged(cache)
    told = foreign(cache)
    assert all(any(name == one or name.startswith(f"{one}/") for one in told) for name in made)
    removed = {path.relative_to(cache).as_posix() for path, _ in doomed(cache, older_than_days=0)}
    assert removed == ours
    prune(cache, model=ONE)
    prune(cache, older_than_days=0)
    left = {path.relative_to(cache).as_posix() for path in cache.rglob("*") if path.is_file()}
    assert left == made
    assert all((cache / name).read_bytes() == b"mine" for name in made)


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}, {"sha256": "1", "epoch": "3"}])
def test_weights_that_are_called_by_a_hash_of_their_owner_stay(
    tmp_path: Path, metadata: dict[str, str] | None
) -> None:
    path = filled(tmp_path) / "training" / f"{ONE}.safetensors"
    path.parent.mkdir()
    save_file({"weight": torch.zeros(3)}, path, metadata)
    for name, content in (
        ("0" * 32, b""),
        ("1" * 32, b"\xff" * 20),
        ("2" * 32, b"\x04" + 7 * b"\0" + b"[[[["),
    ):
        path.with_name(f"{name}.safetensors").write_bytes(content)
    aged(tmp_path)
    prune(tmp_path, older_than_days=0)
    assert len(list(path.parent.iterdir())) == 4
    assert f"training/{path.name}" in foreign(tmp_path)


def test_links_are_neither_removed_nor_followed(tmp_path: Path) -> None:
    cache, elsewhere = filled(tmp_path / "cache"), filled(tmp_path / "elsewhere")
    before = set(elsewhere.rglob("*"))
    (cache / "training").symlink_to(elsewhere / "pixels" / PIXELS)
    (cache / "scan").mkdir()
    (cache / "scan" / f"files-{PIXELS}").symlink_to(next(elsewhere.rglob("*.arrow")))
    (cache / "pixels" / "0123456789abcdef").symlink_to(elsewhere / "pixels" / PIXELS)
    (cache / "embeddings" / ("b" * 32)).symlink_to(elsewhere / "embeddings" / ONE)
    for place in (cache, elsewhere):
        aged(place)
    assert foreign(cache) == [
        f"embeddings/{'b' * 32}",
        "pixels/0123456789abcdef",
        f"scan/files-{PIXELS}",
        "training",
    ]
    prune(cache, older_than_days=0)
    assert set(elsewhere.rglob("*")) == before
    assert sum(path.is_symlink() for path in cache.rglob("*")) == 4
    # The cache itself may be a link: it was named.
    (tmp_path / "link").symlink_to(elsewhere)
    assert prune(tmp_path / "link", older_than_days=0)[0] == 4


def test_a_folder_that_is_no_cache_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert entries(tmp_path) == []  # as a run leaves it that was stopped at once
    (tmp_path / "holiday.jpg").touch()
    for options in ([], ["--older-than", "0"], ["--older-than", "0", "--dry-run"]):
        with pytest.raises(SystemExit, match="1"):
            main(["cache", "--cache", str(tmp_path), *options])
        assert "is no cache of Lookalike's" in capsys.readouterr().err
    assert (tmp_path / "holiday.jpg").exists()


def test_a_folder_that_cannot_be_looked_into_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, scandir = filled(tmp_path) / "pixels" / PIXELS, os.scandir

    def refuse(path: Any) -> Any:
        if Path(path) == folder:
            raise PermissionError(errno.EACCES, "Permission denied", str(folder))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(LookalikeError, match=f"{PIXELS}: cannot be read: Permission denied"):
        prune(tmp_path, older_than_days=0)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cache", "--cache", str(filled(tmp_path)), "--older-than", "25"]) == 0
    said = capsys.readouterr().err
    assert "removed 1 files" in said
    assert OTHER in said
    with pytest.raises(SystemExit):
        main(["cache", "--cache", str(tmp_path), "--older-than", "1", "--model", "a1"])


def test_a_dry_run_lists_what_would_go(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    filled(tmp_path)
    (tmp_path / "scan").mkdir()
    (tmp_path / "scan" / "images-of-patients.zip").write_bytes(b"mine")
    before = set(tmp_path.rglob("*"))
    main(["cache", "--cache", str(tmp_path), "--older-than", "15", "--dry-run"])
    said = capsys.readouterr().err
    going = sorted(tmp_path.glob("pixels/*/*")) + sorted(
        tmp_path.glob(f"embeddings/{ONE}/{CUDA}/*")
    )
    assert sorted(re.findall(r"would remove (/\S+),", said)) == sorted(map(str, going))
    assert "would remove 2 files" in said
    assert set(tmp_path.rglob("*")) == before
    main(["cache", "--cache", str(tmp_path), "--older-than", "15"])
    said = capsys.readouterr().err
    assert "removed 2 files" in said
    assert "left alone, for it is not Lookalike's: scan/images-of-patients.zip" in said
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == {
        path for path in before if path.is_file()
    } - set(going)
    with pytest.raises(SystemExit, match="2"):
        main(["cache", "--cache", str(tmp_path), "--dry-run"])


def test_which_files_another_user_must_be_able_to_read(tmp_path: Path) -> None:
    store = tmp_path / "pixels" / ("0" * 16)
    done = store / f"{'a' * 32}.arrow"
    assert is_done(tmp_path, done)
    # A job writes it, or was killed while it did; or it is none of ours.
    assert not is_done(tmp_path, store / f".{done.name}.x1{HALF_WRITTEN}")
    assert not is_done(tmp_path, store / "notes.txt")
