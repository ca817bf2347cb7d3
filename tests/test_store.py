import hashlib
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lookalike.store import Store


def key(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def row(number: int) -> np.ndarray:
    return np.random.default_rng(number).normal(size=3).astype(np.float32)


def store(folder: Path) -> Store:
    return Store(folder, (3,), np.dtype(np.float32))


@settings(deadline=None, derandomize=True, max_examples=30)
@given(st.lists(st.lists(st.integers(0, 30), max_size=6), max_size=6))
def test_a_store_is_a_dictionary_that_lives_on_disk(
    tmp_path_factory: pytest.TempPathFactory, additions: list[list[int]]
) -> None:
    folder = tmp_path_factory.mktemp("store")
    kept, expected = store(folder), dict[str, bytes]()
    for numbers in additions:
        new = kept.missing(key(number) for number in numbers)
        wanted = dict.fromkeys(numbers)
        assert new == [key(number) for number in wanted if key(number) not in expected]
        rows = {key(number): row(number) for number in numbers}
        kept.add(new, np.stack([rows[one] for one in new]) if new else np.empty((0, 3)))
        expected |= {one: values.tobytes() for one, values in rows.items()}
        for view in (kept, store(folder)):
            assert set(view) == set(expected)
            assert view.read(list(expected)).tobytes() == b"".join(expected.values())


def test_rows_of_another_shape_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="shape"):
        store(tmp_path).add([key(0)], np.zeros((1, 4), np.float32))
    with pytest.raises(KeyError):
        store(tmp_path).read([key(0)])


def test_equal_content_is_one_file(tmp_path: Path) -> None:
    for _ in range(2):
        store(tmp_path).add([key(1)], row(1)[None])
    assert len(list(tmp_path.iterdir())) == 1


def write_some(folder: Path, start: int) -> None:
    for number in range(start, start + 60):
        store(folder).add([key(number)], row(number)[None])


def test_processes_can_write_at_once(tmp_path: Path) -> None:
    context = get_context("spawn")
    writers = [context.Process(target=write_some, args=(tmp_path, start)) for start in (0, 30, 60)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    keys = [key(number) for number in range(120)]
    expected = b"".join(row(number).tobytes() for number in range(120))
    assert store(tmp_path).read(keys).tobytes() == expected


def test_what_a_killed_writer_left_is_not_read(tmp_path: Path) -> None:
    store(tmp_path).add([key(1)], row(1)[None])
    whole = next(tmp_path.iterdir())
    (tmp_path / f".{whole.name}.abc").write_bytes(whole.read_bytes()[:50])
    assert set(store(tmp_path)) == {key(1)}
