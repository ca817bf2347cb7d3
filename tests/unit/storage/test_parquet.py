"""Damage anywhere in a parquet file ends in a message that names it, or changes nothing."""

from __future__ import annotations

import gzip
import io
import os
import random
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import feather, orc

from lookalike.data.manifest_table import SCHEMA, read_manifest
from lookalike.embedding.tables import read_metadata, read_names, read_vectors, write_embeddings
from lookalike.errors import LookalikeError
from lookalike.retrieval.settings import MetricsSettings
from lookalike.steps.metrics import evaluate_files
from lookalike.storage.files import read_json, write_parquet
from lookalike.storage.parquet import read_frame, read_table

N = 40
VECTORS = np.random.default_rng(0).normal(size=(N, 3)).astype(np.float32)
IDS = [f"{i}.png" for i in range(N)]
LABELS = [f"class {i % 5}" for i in range(N)]
METADATA = {"model_digest": "abc", "image": {"size": 32}, "score": "cosine", "version": "1"}
FOREIGN = pa.table({"image_id": IDS, "label": LABELS, "embedding": VECTORS.tolist()})


def ours(path: Path) -> None:
    write_embeddings(path, IDS, LABELS, IDS, VECTORS, METADATA)


def plain(path: Path) -> None:
    pq.write_table(FOREIGN, path, compression="none")


def snappy(path: Path) -> None:
    pq.write_table(FOREIGN, path, compression="snappy")


def second_version(path: Path) -> None:
    pq.write_table(FOREIGN, path, compression="zstd", data_page_version="2.0")


def damaged(content: bytes, chance: random.Random) -> bytes:
    """Some bytes of the file are others, or its end is gone."""
    spoilt = bytearray(content)
    if chance.random() < 0.1:
        return bytes(spoilt[: chance.randrange(len(spoilt))])
    # Half of the damage is to the footer, which says what all else means.
    whole = chance.random() < 0.5
    at = chance.randrange(0 if whole else len(spoilt) - min(len(spoilt), 900), len(spoilt))
    for place in range(at, min(at + chance.choice([1, 1, 4, 20]), len(spoilt))):
        spoilt[place] = chance.choice([spoilt[place] ^ 1 << chance.randrange(8), 0, 0xFF, 0xA5])
    return bytes(spoilt)


def tell(path: Path) -> tuple[Any, ...] | None:
    """What the file says; None where it is refused by its name."""
    try:
        names = read_names(path, ["image_id", "label"])
        vectors = np.concatenate(list(read_vectors(path, rows=7)))
        read_metadata(path)
    except LookalikeError as error:
        assert path.name in str(error)
        assert "\n" not in str(error)
        return None
    return names["image_id"].to_pylist(), names["label"].to_pylist(), vectors.tobytes()


def damage(write: Callable[[Path], None], folder: Path, times: int) -> list[tuple[Any, ...]]:
    """The different things that a damaged file said."""
    write(folder / "whole.parquet")
    content, chance = (folder / "whole.parquet").read_bytes(), random.Random(0)
    said, refused = [], 0
    for _ in range(times):
        (folder / "some.parquet").write_bytes(damaged(content, chance))
        found = tell(folder / "some.parquet")
        refused += found is None
        if found is not None:
            said.append(found)
    assert refused > times // 3
    return said


@pytest.mark.parametrize("write", [plain, snappy, second_version])
def test_damage_ends_in_a_message_and_never_in_a_traceback(
    tmp_path: Path, write: Callable[[Path], None]
) -> None:
    damage(write, tmp_path, 150)


def test_our_own_tables_are_right_or_refused(tmp_path: Path) -> None:
    """Of damage to pages, checksums tell; a footer may be changed so that less is said."""
    ours(tmp_path / "right.parquet")
    right = tell(tmp_path / "right.parquet")
    assert right is not None
    others = [found for found in damage(ours, tmp_path, 300) if found[2] != right[2]]
    assert not others


# Reads the vectors of the file, with each byte of its footer in turn 0, or its last bit turned.
_EACH_BYTE = """
import sys
from pathlib import Path
from lookalike.errors import LookalikeError
from lookalike.embedding.tables import read_vectors

path = Path(sys.argv[1])
content = path.read_bytes()
end = len(content) - 8
refused = 0
for at in range(end - int.from_bytes(content[end : end + 4], "little"), end):
    for value in (0, content[at] ^ 1):
        path.write_bytes(content[:at] + bytes([value]) + content[at + 1 :])
        try:
            list(read_vectors(path))
        except LookalikeError:
            refused += 1
print(refused)
"""


def test_damage_to_a_footer_does_not_end_the_process(tmp_path: Path) -> None:
    """What a footer says of a column's pages may be such that pyarrow aborts on looking at it."""
    path = tmp_path / "some.parquet"
    pq.write_table(FOREIGN[:2], path, compression="none", store_schema=False)
    reader = [sys.executable, "-c", _EACH_BYTE, str(path)]
    ended = subprocess.run(reader, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert int(ended.stdout) > 100


@pytest.mark.long
@pytest.mark.parametrize("write", [ours, plain, snappy, second_version])
def test_much_damage_ends_in_a_message(tmp_path: Path, write: Callable[[Path], None]) -> None:
    damage(write, tmp_path, 5000)


@pytest.mark.parametrize("page", ["image_id", "label", "embedding"])
def test_evaluate_names_the_file_with_a_damaged_page(tmp_path: Path, page: str) -> None:
    plain(tmp_path / "q.parquet")
    pq.write_table(FOREIGN, tmp_path / "g.parquet")
    content = bytearray((tmp_path / "g.parquet").read_bytes())
    group = pq.ParquetFile(tmp_path / "g.parquet").metadata.row_group(0)
    at = group.column(["image_id", "label", "embedding"].index(page)).data_page_offset
    content[at : at + 20] = b"\xa5" * 20
    (tmp_path / "g.parquet").write_bytes(content)
    with pytest.raises(LookalikeError, match=r"g\.parquet: not a readable parquet file"):
        evaluate_files(
            tmp_path / "q.parquet",
            tmp_path / "g.parquet",
            tmp_path / "out",
            MetricsSettings(k=[1], bootstrap=0),
            score="cosine",
        )
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("read", [read_table, read_frame, read_manifest])
def test_results_that_a_step_reads_are_named_where_they_are_damaged(
    tmp_path: Path, read: Callable[[Path], Any]
) -> None:
    rows = [{"image_id": f"{i} {'x' * (i % 50)}", "n_bytes": i} for i in range(900)]
    table = pa.Table.from_pylist(rows, schema=SCHEMA)
    path = tmp_path / "some.parquet"
    write_parquet(path, table)
    assert len(read(path)) == 900
    content, chance = path.read_bytes(), random.Random(1)
    # One bit of a page: without checksums it might be read as another text.
    at = pq.ParquetFile(path).metadata.row_group(0).column(0).data_page_offset + 1000
    path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
    with pytest.raises(LookalikeError, match=r"some\.parquet: not a readable parquet"):
        read(path)
    for _ in range(100):
        path.write_bytes(damaged(content, chance))
        try:
            read(path)
        except LookalikeError as error:
            assert "some.parquet" in str(error)


def test_a_manifest_without_its_columns_is_none(tmp_path: Path) -> None:
    plain(tmp_path / "manifest.parquet")
    with pytest.raises(LookalikeError, match=r"manifest\.parquet: there is no column 'sha256'"):
        read_manifest(tmp_path / "manifest.parquet")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"a": ' + b"9" * 5000 + b"}",
        b"[1]",
        b"{}",
        b'{"metrics": 3}',
    ],
)
def test_json_that_a_step_reads_is_named_where_it_is_damaged(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "metrics.json"
    path.write_bytes(content)
    with pytest.raises(LookalikeError, match=r"metrics\.json: is damaged: .*Delete it"):
        read_json(path, {"metrics": dict})


def test_names_of_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, why in (
        (tmp_path / ("x" * 5000), "name too long"),
        (tmp_path / "a\0b", "null byte|no such file"),
        (tmp_path / "absent" / "x.parquet", "no such file"),
        (tmp_path / "pipe", "not a regular file"),
    ):
        with pytest.raises(LookalikeError, match=f"(?i){why}"):
            read_names(path, ["image_id"])
    with pytest.raises(LookalikeError, match="No such file"):
        read_table(tmp_path / "absent.parquet")
    with pytest.raises(LookalikeError, match="No such file"):
        read_json(tmp_path / "absent.json")
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.parquet"))
    plain(tmp_path / "x.parquet")
    (tmp_path / "x.parquet").rename(odd)
    assert tell(odd) is not None


def test_tables_of_other_kinds_are_named_with_the_remedy(tmp_path: Path) -> None:
    frame = pd.DataFrame({"image_id": ["a"], "label": ["b"]})
    arrow = pa.Table.from_pandas(frame)
    kinds: dict[str, tuple[Callable[[Path], Any], str]] = {
        "NumPy array": (lambda path: path.write_bytes(np_bytes(np.save)), "t.parquet"),
        "ZIP archive": (lambda path: path.write_bytes(np_bytes(np.savez)), "t.parquet"),
        "pickle, which is never opened": (frame.to_pickle, "t.parquet"),
        "Arrow or Feather": (lambda path: feather.write_feather(arrow, path), "t.parquet"),
        "ORC": (lambda path: orc.write_table(arrow, path), "t.parquet"),
        "CSV": (frame.to_csv, "t.csv"),
        "JSON": (frame.to_json, "t.parquet"),
        "text": (lambda path: path.write_text("naïve"), "t.parquet"),
        "compressed with gzip": (lambda path: path.write_bytes(gzip.compress(b"")), "t.parquet"),
        "SQLite": (sqlite, "t.parquet"),
    }
    for kind, (write, name) in kinds.items():
        write(tmp_path / name)
        with pytest.raises(LookalikeError, match=rf"{name}: not .*: it is .*{kind}.*as parquet: "):
            read_table(tmp_path / name)
    # What may be a damaged one is told as before.
    for content in (b"", b"PAR1", b"PAR1\0\0", bytes(range(200, 240))):
        (tmp_path / "t.parquet").write_bytes(content)
        with pytest.raises(LookalikeError, match=r"parquet file \(.*\)\. It is damaged or cut"):
            read_table(tmp_path / "t.parquet")


def sqlite(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as base:
        base.execute("create table t (a)")
        base.commit()


def np_bytes(save: Callable[..., None]) -> bytes:
    stream = io.BytesIO()
    save(stream, np.eye(3))
    return stream.getvalue()
