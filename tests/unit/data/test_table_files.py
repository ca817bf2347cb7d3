from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from lookalike.data.table_files import TABLE_READERS
from lookalike.errors import LookalikeError

FRAME = pd.DataFrame({"one": ["a", 'b "x"', "c\nd"], "other": ["1", "", "ü;,"]})


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_csv_is_read_as_pandas_writes_it(tmp_path: Path, delimiter: str) -> None:
    path = tmp_path / "table.csv"
    FRAME.to_csv(path, index=False, sep=delimiter, encoding="utf-8-sig")
    table = TABLE_READERS[".csv"](path)
    assert {name: table.values(name) for name in table.names} == FRAME.to_dict("list")
    assert [table.place_of(row) for row in range(3)] == ["line 2", "line 3", "line 4"]


def test_parquet_is_read_as_pandas_writes_it(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    FRAME.to_parquet(path)
    table = TABLE_READERS[".parquet"](path)
    assert {name: table.values(name) for name in table.names} == FRAME.to_dict("list")
    assert table.place_of(1) == "row 2"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"a,b\n1\n", "line 2 has 1 values, and the first line names 2 columns"),
        (b"a,b\n\xff,1\n", "is not UTF-8 text"),
        (b'a,b\n"1"2,3\n', "is no CSV: line 2"),
    ],
)
def test_what_is_no_csv_is_named_with_its_line(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    with pytest.raises(LookalikeError, match=says) as error:
        TABLE_READERS[".csv"](path)
    assert str(path) in str(error.value)
