"""Columns of names and labels, in whatever type their writer had, as text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from lookalike.errors import LookalikeError
from lookalike.text import shown_path

# Whole numbers up to here are told from their neighbours, by the bytes of a floating-point number.
_EXACT = {2: 2**11, 4: 2**24, 8: 2**53}

NameOf = Callable[[Path, int], str]
"""What a message calls a row of a file."""


@dataclass(frozen=True)
class NamedColumns:
    """A table in memory that came from files which are no tables.

    Attributes:
        name: what messages call it.
        files: what it was read from.
        columns: lists or arrays by their names.
    """

    name: str
    files: tuple[Path, ...]
    columns: Mapping[str, Any]


def is_number(kind: pa.DataType) -> bool:
    """Whether a column of this type holds numbers."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(
        pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    )


def texts_of(path: Path, column: str, values: pa.ChunkedArray, name_of: NameOf) -> pa.StringArray:
    """The values of a column of text or of whole numbers as text.

    A whole number is its decimal text also where it is a floating-point or a decimal number, as
    pandas and data bases write a column of numbers with gaps in it: 7.0 is "7".

    Raises:
        LookalikeError: the column is of another type, or a value is empty or no whole number.

    """
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    kind = values.type
    if not (
        is_number(kind)
        or pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_string_view(kind)
        or pa.types.is_null(kind)
    ):
        raise LookalikeError(
            f"{shown_path(path)}: column '{column}' is of type {kind}; it must be text or whole "
            "numbers"
        )
    if values.null_count:
        raise LookalikeError(
            f"{shown_path(path)}: column '{column}' has empty values; each row needs one. Leave "
            "such rows out"
        )
    if pa.types.is_floating(kind):
        numbers = values.to_numpy()
        whole = np.abs(numbers) <= _EXACT[numbers.dtype.itemsize]  # neither NaN nor infinity
        whole &= np.floor(numbers) == numbers
        if not whole.all():
            row = int(np.flatnonzero(~whole)[0])
            raise _not_whole(path, column, str(numbers[row]), name_of(path, row))
        values = pa.chunked_array([numbers.astype(np.int64)])
    elif pa.types.is_decimal(kind):
        values = pa.chunked_array([_whole_decimals(path, column, values, name_of)])
    return values.cast(pa.string()).combine_chunks()


def _whole_decimals(
    path: Path, column: str, values: pa.ChunkedArray, name_of: NameOf
) -> pa.StringArray:
    numbers: list[Decimal] = values.to_pylist()
    for row, number in enumerate(numbers):
        if number != int(number):
            raise _not_whole(path, column, str(number), name_of(path, row))
    return pa.array([str(int(number)) for number in numbers], pa.string())


def _not_whole(path: Path, column: str, value: str, name: str) -> LookalikeError:
    return LookalikeError(
        f"{shown_path(path)}: column '{column}' holds {value} ({name}); it must be text or whole "
        "numbers that a floating-point number can tell apart. Write it as text, or leave such rows "
        "out"
    )
