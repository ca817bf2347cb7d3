"""Rows of numbers that are read when they are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[Any]


class RowSource(Protocol):
    """Rows of one shape and dtype, wherever they are; an array is one too."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of rows, then the shape of one."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Any, /) -> Rows:
        """The rows of a slice, an int64 array or a mask."""


@dataclass(frozen=True)
class Selected:
    """Some rows of another source, in an order of their own.

    Attributes:
        source: of the rows.
        order: int64 [n], which of its rows.
    """

    source: RowSource
    order: NDArray[np.int64]

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of rows, then the shape of one."""
        return len(self.order), *self.source.shape[1:]

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, rows: Any, /) -> Rows:
        return self.source[self.order[rows]]
