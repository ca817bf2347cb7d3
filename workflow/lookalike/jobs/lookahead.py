"""Work done ahead of its reader, in threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_ahead(
    function: Callable[[Item], Result], items: Iterable[Item], *, threads: int, ahead: int
) -> Generator[Result, None, None]:
    """Apply `function` to each item, a bounded number of items ahead of the reader.

    Args:
        function: called in other threads; with one thread, never twice at once.
        items: taken one by one, in the reader's thread.
        threads: calls side by side.
        ahead: results begun or waiting, beside the one that the reader has; at least 1.

    Yields:
        The results, in the order of the items.

    Raises:
        Exception: what `function` raised, at that item's place. Nothing more is begun then, nor
            where the reader stops.
    """
    left = iter(items)
    with ThreadPoolExecutor(threads) as pool:
        try:
            waiting = deque(pool.submit(function, item) for item in islice(left, ahead))
            while waiting:
                result = waiting.popleft().result()
                waiting.extend(pool.submit(function, item) for item in islice(left, 1))
                yield result
                # Not held while the next one is waited for.
                del result
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
