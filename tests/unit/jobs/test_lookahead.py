import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lookalike.jobs.lookahead import map_ahead


@settings(deadline=None, derandomize=True, max_examples=30)
@given(
    items=st.lists(st.integers(0, 5), max_size=30),
    threads=st.integers(1, 4),
    ahead=st.integers(1, 6),
)
def test_it_is_map_and_never_more_than_so_far_ahead(
    items: list[int], threads: int, ahead: int
) -> None:
    begun, lock = 0, threading.Lock()

    def work(item: int) -> int:
        nonlocal begun
        with lock:
            begun += 1
        time.sleep(0.0002 * item)
        return 2 * item

    found = []
    for number, result in enumerate(map_ahead(work, items, threads=threads, ahead=ahead), start=1):
        found.append(result)
        assert begun <= number + ahead
    assert found == [2 * item for item in items]


def test_the_next_one_is_worked_on_while_the_reader_has_one() -> None:
    running = threading.Event()

    def work(item: int) -> int:
        if item == 1:
            running.set()
        return item

    results = map_ahead(work, [0, 1, 2], threads=1, ahead=1)
    assert next(results) == 0
    assert running.wait(10)  # though nobody asked for it yet
    assert list(results) == [1, 2]


def test_an_error_comes_at_its_place_and_nothing_follows() -> None:
    done: list[int] = []

    def work(item: int) -> int:
        if item == 2:
            raise ValueError("two")
        done.append(item)
        return item

    results = map_ahead(work, range(100), threads=1, ahead=1)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ValueError, match="two"):
        next(results)
    # The one after may have begun before anyone knew.
    assert set(done) <= {0, 1, 3}


def test_a_reader_that_stops_leaves_no_thread_behind() -> None:
    def endless() -> Iterator[int]:
        number = 0
        while True:
            yield number
            number += 1

    before = threading.active_count()
    results = map_ahead(lambda item: item, endless(), threads=3, ahead=5)
    assert next(results) == 0
    results.close()
    assert threading.active_count() == before
