"""Which gallery images a query is scored on, by attributes beside its class.

Imports nothing heavy: the Snakefile uses it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lookalike.data.attributes import file_of_id
from lookalike.data.findings import named
from lookalike.data.spellings import FIRST
from lookalike.errors import LookalikeError
from lookalike.storage.digests import digest_of


def exclusion(metrics: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    """What the setting `metrics.exclude` says: a word, and the attributes named under `same`."""
    exclude = metrics["exclude"]
    if isinstance(exclude, str):
        return exclude, ()
    return exclude["also"], tuple(exclude["same"])


def attributes_named(settings: Mapping[str, Any]) -> dict[str, Sequence[str]]:
    """The columns of data.attributes that settings name, by the setting; none where none does.

    Raises:
        LookalikeError: some are named, and there is no such table.
    """
    named_in = {
        "metrics.exclude": exclusion(settings["metrics"])[1],
        "metrics.within": settings["metrics"]["within"],
        "report.slices": settings["report"]["slices"],
    }
    named_in = {setting: columns for setting, columns in named_in.items() if columns}
    if named_in and not settings["data"]["attributes"]:
        setting, columns = next(iter(named_in.items()))
        raise LookalikeError(
            f"the settings cannot be used:\n  {setting}: names {', '.join(map(repr, columns))}, a "
            "column of a table of attributes, and data.attributes names no such table"
        )
    return named_in


def attributes_scored_by(metrics: Mapping[str, Any]) -> list[str]:
    """The columns of data.attributes that decide rankings, each once."""
    return list(dict.fromkeys([*exclusion(metrics)[1], *metrics["within"]]))


def columns_digest(path: Path, columns: Sequence[str]) -> str:
    """A digest of some columns of a split's attributes: what does not use the others asks for it.

    Raises:
        LookalikeError: the table is missing or damaged, or a column is.
    """
    from lookalike.storage.parquet import read_table

    table = read_table(path, ["image_id", *columns])
    return digest_of([table[name].to_pylist() for name in table.column_names])


def require_findable(
    manifests: Mapping[str, Path], attributes: Mapping[str, Path], metrics: Mapping[str, Any]
) -> None:
    """See that there are queries to score where attributes say what they are scored on.

    Args:
        manifests: of query and gallery.
        attributes: what is known of these images, see `lookalike.data.attributes`.
        metrics: the settings of that name.

    Raises:
        LookalikeError: no query has anything to find, or one has not and `no_relevant` is `error`.
    """
    same, within = exclusion(metrics)[1], metrics["within"]
    queries, gallery = (
        _known(manifests[split], attributes[split], within, same) for split in ("query", "gallery")
    )
    there = Counter((label, part) for _, label, part, _ in gallery)
    left_out = Counter((label, part, own) for _, label, part, own in gallery if own)
    lost = [
        name
        for name, label, part, own in queries
        if part is None or there[label, part] == (left_out[label, part, own] if own else 0)
    ]
    counted = {"count": len(lost), "first": lost[:FIRST]}
    lacking = "an image of its class to find in the gallery"
    if same:
        lacking += f", those of its {_and(same)} aside (metrics.exclude)"
    if within:
        lacking += f", among those of its {_and(within)} (metrics.within)"
    if lost and len(lost) == len(queries):
        raise LookalikeError(
            f"none of the {len(queries):,} queries has {lacking}: {named(counted)}. So there is "
            "nothing to score. Look at these columns of data.attributes, or set another protocol"
        )
    if lost and metrics["no_relevant"] == "error":
        raise LookalikeError(
            f"metrics.no_relevant is error, and {len(lost):,} of {len(queries):,} queries have not "
            f"{lacking}: {named(counted)}. Set it to skip or zero, or add images"
        )


_Part = tuple[str, ...] | None


def _known(
    manifest: Path, attributes: Path, within: Sequence[str], same: Sequence[str]
) -> list[tuple[str, str, _Part, _Part]]:
    """Of each usable image: its name, its label, its part of the gallery, what `same` compares."""
    from lookalike.data.manifest_table import read_manifest, usable
    from lookalike.storage.parquet import read_table

    table = usable(read_manifest(manifest))
    values = read_table(attributes, list(dict.fromkeys(["image_id", *within, *same])))
    rows = {file_of_id(row["image_id"]): row for row in values.to_pylist()}

    def of(row: Mapping[str, Any], columns: Sequence[str]) -> _Part:
        found = tuple(row.get(column) for column in columns)
        return None if None in found else found  # type: ignore[return-value]

    return [
        (name, label, of(row := rows.get(file_of_id(name), {}), within), of(row, same))
        for name, label in zip(
            table["image_id"].to_pylist(), table["label"].to_pylist(), strict=True
        )
    ]


def _and(columns: Sequence[str]) -> str:
    return " and ".join(columns)
