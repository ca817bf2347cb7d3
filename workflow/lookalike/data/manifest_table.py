"""The manifest as a table: its columns, reading it, and the rows that can be used."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from lookalike.storage.parquet import read_table, reading

SCHEMA = pa.schema(
    {
        "image_id": pa.string(),
        "label": pa.string(),
        "sha256": pa.string(),
        "width": pa.int32(),
        "height": pa.int32(),
        "format": pa.string(),
        "n_bytes": pa.int64(),
        "status": pa.string(),
        "detail": pa.string(),
    }
)


def read_manifest(path: str | Path) -> pa.Table:
    """One split's manifest, columns as in `SCHEMA`."""
    table = read_table(path, SCHEMA.names)
    with reading(Path(path)):
        return table.select(SCHEMA.names).cast(SCHEMA)


def usable(table: pa.Table) -> pa.Table:
    """The rows whose image can be used: status `ok`."""
    return table.filter(pc.equal(table["status"], "ok"))
