"""Every run in every state, in one table for readers, spreadsheets and programs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow as pa

from lookalike.report.numbers import number
from lookalike.report.runs import MAIN, METRICS_KEYS, STATES, Run, run_name
from lookalike.retrieval.metrics import is_headline
from lookalike.storage.files import read_json, whole, write_parquet

TEXT_COLUMNS = ("run", "recipe", "state")

# A spreadsheet takes a cell that begins so for a formula and computes it.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def compare(runs: Sequence[Run]) -> pa.Table:
    """One row a run, followed by a row for each of its other states, from their metrics.json.

    Columns: `run`, `recipe`, `state` (trained, untrained, ...) as strings and `seed` as int64, then
    in float64 the metric keys, then `<key>_low` and `<key>_high` of the 95 % interval, then
    `<key>_chance`. A metric that only some runs have is null for the others.
    """
    scored = [
        (
            {
                "run": run_name(run.recipe, run.seed),
                "recipe": run.recipe,
                "seed": run.seed,
                "state": state.name,
            },
            read_json(run.folder / state.folder / "metrics.json", METRICS_KEYS),
        )
        for run in runs
        for state in run.states
    ]
    keys = list(dict.fromkeys(key for _, metrics in scored for key in metrics["metrics"]))
    rows = [identity | _values(metrics, keys) for identity, metrics in scored]
    schema = pa.schema(
        [("run", pa.string()), ("recipe", pa.string()), ("seed", pa.int64())]
        + [("state", pa.string())]
        + [(name, pa.float64()) for name in _value_columns(keys)]
    )
    return pa.Table.from_pylist(rows, schema=schema)


def write_comparison(runs: Sequence[Run], csv: Path, parquet: Path) -> pa.Table:
    """Write the table of `compare` as CSV and as parquet, and return it.

    The CSV holds every float in its shortest form that reads back as the same float. A text cell
    that a spreadsheet would take for a formula gets an apostrophe in front there.
    """
    table = compare(runs)
    frame = table.to_pandas()
    for column in TEXT_COLUMNS:
        frame[column] = frame[column].map(_harmless)
    with whole(csv) as beside:
        frame.to_csv(beside, index=False, lineterminator="\n")
    write_parquet(parquet, table)
    return table


def headline_table(table: pa.Table) -> str:
    """The headline metrics of `compare`'s table as aligned plain text: chance, then each state.

    Example:
        run        state      mAP@10                  mean_rank
        default.0  chance     0.067                   17.0
        default.0  untrained  0.846 [0.831, 0.862]    2.1 [1.9, 2.3]
        default.0  trained    0.958 [0.950, 0.966]    1.2 [1.1, 1.3]
    """
    keys = [name for name in table.column_names if is_headline(name)]
    lines = [["run", "state", *keys]]
    for name, rows in groupby(table.to_pylist(), key=lambda row: row["run"]):
        by_state = {row["state"]: row for row in rows}
        chances = (by_state[MAIN.name][f"{key}_chance"] for key in keys)
        lines.append([name, "chance", *map(number, keys, chances)])
        for state in STATES:
            if state.name not in by_state:
                continue
            row = by_state[state.name]
            lines.append([name, state.name, *(_with_interval(key, row) for key in keys)])
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _value_columns(keys: Sequence[str]) -> list[str]:
    return [
        *keys,
        *(f"{key}_{bound}" for key in keys for bound in ("low", "high")),
        *(f"{key}_chance" for key in keys),
    ]


def _values(metrics: dict[str, Any], keys: Sequence[str]) -> dict[str, float | None]:
    values: dict[str, float | None] = {}
    for key in keys:
        low, high = metrics["ci95"].get(key) or (None, None)
        values |= {
            key: metrics["metrics"].get(key),
            f"{key}_low": low,
            f"{key}_high": high,
            f"{key}_chance": metrics["chance"].get(key),
        }
    return values


def _with_interval(key: str, row: dict[str, Any]) -> str:
    value, low, high = (row[name] for name in (key, f"{key}_low", f"{key}_high"))
    if low is None or high is None:
        return number(key, value)
    return f"{number(key, value)} [{number(key, low)}, {number(key, high)}]"


def _harmless(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA_STARTS) else cell
