"""Fixtures of several files. What takes long to import is imported by the tests that ask for it."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from support.training import Data

HERE = Path(__file__).parent
# Files are shared out among processes in this order, so that no long one comes last.
LONGEST_FIRST = ("slurm", "workflow", "hostile", "unit/training", "unit/steps", "unit")


def pytest_configure() -> None:
    # What a shell starts in the background ignores ctrl-c, and so would all that tests start.
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        name = item.path.relative_to(HERE).as_posix()
        return next(i for i, first in enumerate(LONGEST_FIRST) if name.startswith(first))

    items.sort(key=place)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Data:
    """Images to train on, with their manifest."""
    from support.training import make_data

    return make_data(tmp_path_factory.mktemp("training"))


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """A content is no name: it may hold a time, and the processes must collect the same tests."""
    return argname if isinstance(val, bytes) else None
