import hashlib
import os
import random
import resource
import signal
import time
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lookalike.storage.cache import entries, prune
from lookalike.storage.row_store import Store
from support.processes import CONTEXT, exit_code, start

KEYS = 5000  # of the tests with several processes


def key(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def row(number: int) -> np.ndarray:
    first: np.ndarray = rows([number])[0]
    return first


def rows(numbers: list[int] | range) -> np.ndarray:
    """Rows that say whose they are."""
    values: np.ndarray = np.multiply.outer(np.array(numbers) + 1, np.array([1, 0.5, -3]))
    return values.astype(np.float32)


def store(folder: Path) -> Store:
    return Store(folder, (3,), np.dtype(np.float32))


def require_truth(found: Store) -> int:
    """Each row is the one that was written for its key; returns how many there are."""
    wanted = [number for number in range(KEYS) if key(number) in found]
    assert len(wanted) == len(list(found))
    assert found.read([key(number) for number in wanted]).tobytes() == rows(wanted).tobytes()
    return len(wanted)


@settings(deadline=None, derandomize=True, max_examples=30)
@given(st.lists(st.lists(st.integers(0, 30), max_size=6), max_size=6), st.randoms())
def test_a_store_is_a_dictionary_that_lives_on_disk(
    tmp_path_factory: pytest.TempPathFactory, additions: list[list[int]], any_order: random.Random
) -> None:
    folder = tmp_path_factory.mktemp("store")
    kept, expected = store(folder), dict[str, bytes]()
    for numbers in additions:
        new = kept.missing(key(number) for number in numbers)
        wanted = dict.fromkeys(numbers)
        assert new == [key(number) for number in wanted if key(number) not in expected]
        by_key = {key(number): row(number) for number in numbers}
        kept.add(new, np.stack([by_key[one] for one in new]) if new else np.empty((0, 3)))
        expected |= {one: values.tobytes() for one, values in by_key.items()}
        asked = any_order.choices(list(expected), k=20) if expected else []
        for view in (kept, store(folder)):
            assert set(view) == set(expected)
            found = view.read(asked)
            assert found.shape == (len(asked), 3)
            assert found.dtype == np.float32
            assert found.tobytes() == b"".join(expected[one] for one in asked)


@pytest.mark.parametrize(("shape", "dtype"), [((8, 8, 3), np.uint8), ((200_000,), np.float32)])
def test_rows_of_any_shape(tmp_path: Path, shape: tuple[int, ...], dtype: type[Any]) -> None:
    values = np.random.default_rng(0).integers(0, 256, (3, *shape)).astype(dtype)
    Store(tmp_path, shape, np.dtype(dtype)).add([key(number) for number in range(3)], values)
    found = Store(tmp_path, shape, np.dtype(dtype)).read([key(2), key(0), key(2)])
    assert found.dtype == dtype
    assert np.array_equal(found, values[[2, 0, 2]])


def test_rows_of_another_shape_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="shape"):
        store(tmp_path).add([key(0)], np.zeros((1, 4), np.float32))
    with pytest.raises(KeyError):
        store(tmp_path).read([key(0)])


def test_equal_content_is_one_file(tmp_path: Path) -> None:
    for _ in range(2):
        store(tmp_path).add([key(1)], row(1)[None])
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("read_whole", [64 * 1024, 0])
def test_many_chunks_hold_no_files_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read_whole: int
) -> None:
    monkeypatch.setattr("lookalike.storage.row_store.SMALL", read_whole)
    kept = store(tmp_path)
    for number in range(100):
        kept.add([key(number)], row(number)[None])
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    with Path(os.devnull).open() as lowest_free:
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free.fileno() + 20, before[1]))
        try:
            found = store(tmp_path)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert require_truth(found) == 100


# Damage.


def damaged(whole: bytes, how: str) -> bytes:
    return {
        "empty": b"",
        "cut in half": whole[: len(whole) // 2],
        "one byte short": whole[:-1],
        "zeros": bytes(len(whole)),
        "noise": random.Random(0).randbytes(len(whole)),
        "text": b"not found\n" * 99,
    }[how]


@pytest.mark.parametrize("read_whole", [64 * 1024, 0])
@pytest.mark.parametrize(
    "how", ["empty", "cut in half", "one byte short", "zeros", "noise", "text"]
)
def test_a_damaged_chunk_is_left_aside_and_made_again(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    how: str,
    read_whole: int,
) -> None:
    monkeypatch.setattr("lookalike.storage.row_store.SMALL", read_whole)
    store(tmp_path).add([key(1), key(2)], rows([1, 2]))
    chunk = next(tmp_path.iterdir())
    store(tmp_path).add([key(3)], rows([3]))
    chunk.write_bytes(damaged(chunk.read_bytes(), how))

    found = store(tmp_path)
    assert [record.message for record in caplog.records if str(chunk) in record.message]
    assert found.missing([key(1), key(2), key(3)]) == [key(1), key(2)]
    assert require_truth(found) == 1

    found.add([key(1), key(2)], rows([1, 2]))
    assert require_truth(found) == 3
    caplog.clear()
    assert require_truth(store(tmp_path)) == 3
    assert not caplog.records


def test_a_chunk_of_another_store_is_left_aside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    Store(tmp_path, (4,), np.dtype(np.float32)).add([key(1)], np.ones((1, 4)))
    (tmp_path / "folder.arrow").mkdir()
    assert list(store(tmp_path)) == []
    assert len(caplog.records) == 2
    # As wide in bytes, but no row of it is asked for as something else: it has its own folder.
    assert list(Store(tmp_path, (4,), np.dtype(np.float32))) == [key(1)]


def test_every_cut_is_noticed(tmp_path: Path) -> None:
    store(tmp_path).add([key(1), key(2)], rows([1, 2]))
    chunk = next(tmp_path.iterdir())
    whole = chunk.read_bytes()
    for length in range(len(whole)):
        chunk.write_bytes(whole[:length])
        assert list(store(tmp_path)) == []


@settings(deadline=None, derandomize=True, max_examples=150)
@given(st.dictionaries(st.integers(0, 800), st.integers(0, 255), min_size=1, max_size=20))
def test_no_damage_stops_a_job_or_gives_a_wrong_row(
    tmp_path_factory: pytest.TempPathFactory, changes: dict[int, int]
) -> None:
    folder = tmp_path_factory.mktemp("store")
    store(folder).add([key(number) for number in range(5)], rows(range(5)))
    chunk = next(folder.iterdir())
    content = bytearray(chunk.read_bytes())
    for position, value in changes.items():
        content[position] = value
    chunk.write_bytes(content)
    assert require_truth(store(folder)) in (0, 5)


# Several processes, some of them killed.


def write_some(folder: Path, first: int) -> None:
    for number in range(first, first + 60):
        store(folder).add([key(number)], row(number)[None])


def test_processes_can_write_at_once(tmp_path: Path) -> None:
    writers = [start(write_some, tmp_path, first) for first in (0, 30, 60)]
    assert [exit_code(writer) for writer in writers] == [0, 0, 0]
    assert require_truth(store(tmp_path)) == 120


def write_for_ever(folder: Path, seed: int) -> None:
    """Open the store, add what it lacks of some keys, and read it back, over and over."""
    rng = random.Random(seed)
    while True:
        found = store(folder)
        numbers = sorted(rng.sample(range(KEYS), rng.choice([1, 30, 1000])))
        new = [number for number in numbers if key(number) not in found]
        found.add([key(number) for number in new], rows(new))
        read = found.read([key(number) for number in numbers])
        assert read.tobytes() == rows(numbers).tobytes()


def read_until(folder: Path, end: Event) -> None:
    rounds = 0
    while not end.is_set():
        require_truth(store(folder))
        rounds += 1
    assert rounds > 1


def prune_until(cache: Path, end: Event) -> None:
    """Remove every chunk there is, over and over, as two `lookalike cache` would."""
    removed = 0
    while not end.is_set():
        entries(cache)
        removed += prune(cache, older_than_days=0)[0]
        time.sleep(0.005)
    assert removed > 0


@pytest.mark.parametrize("seed", range(6))
def test_writers_may_be_killed_at_any_moment(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, seed: int
) -> None:
    rng = random.Random(seed)
    for _ in range(4):
        writers = [start(write_for_ever, tmp_path, rng.getrandbits(32)) for _ in range(2)]
        for writer in writers:
            time.sleep(rng.uniform(0.02, 0.15))
            assert writer.is_alive()
            writer.kill()
        assert [exit_code(writer) for writer in writers] == [-9, -9]
        require_truth(store(tmp_path))
    found = store(tmp_path)
    missing = [number for number in range(KEYS) if key(number) not in found]
    assert len(missing) < KEYS
    found.add([key(number) for number in missing], rows(missing))
    assert require_truth(store(tmp_path)) == KEYS
    assert not caplog.records


def add_and_die(folder: Path, name: str) -> None:
    """Add a chunk, and be killed when the function of `os` is about to be called."""
    setattr(os, name, lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL))
    store(folder).add([key(1)], row(1)[None])


@pytest.mark.parametrize("moment", ["close", "chmod", "fsync", "replace"])
def test_a_chunk_is_there_once_it_is_renamed(tmp_path: Path, moment: str) -> None:
    assert exit_code(start(add_and_die, tmp_path, moment)) == -9
    assert len(list(tmp_path.iterdir())) == 1
    assert list(store(tmp_path)) == []


def test_writers_readers_and_pruners_at_once(tmp_path: Path) -> None:
    # A folder as Lookalike names it: nothing else is pruned.
    folder = tmp_path / "embeddings" / ("0" * 32) / f"cpu-{'0' * 16}"
    folder.mkdir(parents=True)
    end = CONTEXT.Event()
    writers = [start(write_for_ever, folder, seed) for seed in range(2)]
    others = [start(read_until, folder, end)]
    others += [start(prune_until, tmp_path, end) for _ in range(2)]
    time.sleep(3)
    assert all(writer.is_alive() for writer in writers)
    end.set()
    assert [exit_code(other) for other in others] == [0, 0, 0]
    for writer in writers:
        writer.kill()
        exit_code(writer)
    require_truth(store(folder))


def test_what_a_killed_writer_left_is_not_read(tmp_path: Path) -> None:
    store(tmp_path).add([key(1)], row(1)[None])
    whole = next(tmp_path.iterdir())
    (tmp_path / f".{whole.name}.abc").write_bytes(whole.read_bytes()[:50])
    assert set(store(tmp_path)) == {key(1)}


def test_a_chunk_pruned_while_the_folder_is_opened(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store(tmp_path).add([key(1)], row(1)[None])
    (tmp_path / "gone.arrow").symlink_to("pruned")  # listed, and not there
    assert set(store(tmp_path)) == {key(1)}
    assert not caplog.records


@pytest.mark.parametrize("read_whole", [64 * 1024, 0])
def test_a_chunk_pruned_right_after_it_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read_whole: int
) -> None:
    def replace_and_prune(beside: Path, path: Path) -> None:
        beside.rename(path)
        path.unlink()

    monkeypatch.setattr("lookalike.storage.row_store.SMALL", read_whole)
    monkeypatch.setattr(Path, "replace", replace_and_prune)
    found = store(tmp_path)
    found.add([key(1)], row(1)[None])
    assert list(tmp_path.iterdir()) == []
    assert require_truth(found) == 1


def test_an_opened_chunk_stays_readable_when_it_is_pruned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lookalike.storage.row_store.SMALL", 0)
    store(tmp_path).add([key(number) for number in range(9)], rows(range(9)))
    found = store(tmp_path)
    next(tmp_path.iterdir()).unlink()
    assert require_truth(found) == 9
