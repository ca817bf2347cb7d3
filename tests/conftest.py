"""Fixtures of several files. What takes long to import is imported by the tests that ask for it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from support.training import Data

HERE = Path(__file__).parent
# Files are shared out among processes in this order, so that the longest ones do not come last.
LONGEST_FIRST = ("slurm", "workflow", "hostile", "unit")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: LONGEST_FIRST.index(item.path.relative_to(HERE).parts[0]))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Data:
    """Images to train on, with their manifest."""
    from support.training import make_data

    return make_data(tmp_path_factory.mktemp("training"))
