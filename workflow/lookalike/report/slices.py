"""Metrics by slices of the queries: those of one camera, say, for several runs side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from lookalike.report.differences import judge
from lookalike.report.recipe_scores import scored_queries
from lookalike.report.results import Results
from lookalike.retrieval.statistics import Difference
from lookalike.storage.parquet import read_frame

MOST_RUNS, MOST_VALUES = 6, 20
"""Runs, and values of a column, that are told apart: a page is to be read."""


@dataclass(frozen=True)
class Slice:
    """The queries that have one value in a column.

    Attributes:
        value: the value; None of the queries that have none, and of several values together.
        n_values: how many values these are, 0 of the queries that have none.
        n_queries: how many of these queries are scored.
        means: by run and metric, the mean over them with its 95 % interval.
        differences: by what is compared, two runs, and metric, the difference of these means.

    """

    value: str | None
    n_values: int
    n_queries: int
    means: Mapping[str, Mapping[str, Difference]]
    differences: Mapping[str, Mapping[str, Difference]]


def slices_of(
    runs: Sequence[Results],
    attributes: Path,
    columns: Sequence[str],
    keys: Sequence[str],
    protocol: Mapping[str, Any],
) -> dict[str, list[Slice]]:
    """Slices by each column, the largest first; together they are all scored queries.

    Intervals are those of `lookalike.report.differences.judge`, so that a mean and a difference
    draw what those over all queries do. Tables of `MOST_RUNS` runs are in memory.

    Args:
        runs: the first one is compared with each of the others; only the first `MOST_RUNS` are
            shown.
        attributes: what is known of the queries, see `lookalike.data.attributes`.
        columns: of it.
        keys: the metrics, means over queries.
        protocol: as `judge` takes it.

    Raises:
        LookalikeError: a table cannot be read, or two runs have no scored query in common.
    """
    tables = {run.name: scored_queries(run.main, keys) for run in runs[:MOST_RUNS]}
    known = read_frame(attributes, ["image_id", *columns]).set_index("image_id")
    scored = next(iter(tables.values())).index
    for table in tables.values():
        scored = scored.union(table.index)
    by_column = {}
    for column in columns:
        values = known[column].reindex(scored)
        groups: list[tuple[str | None, int, pd.Index]] = [
            (str(value), 1, index)
            for value, index in values.groupby(values, sort=True).groups.items()
        ]
        groups.sort(key=lambda group: -len(group[2]))
        if len(groups) > MOST_VALUES:
            rest = groups[MOST_VALUES - 1 :]
            together = scored[values.isin([value for value, _, _ in rest])]
            groups = [*groups[: MOST_VALUES - 1], (None, len(rest), together)]
        if values.isna().any():
            groups.append((None, 0, scored[values.isna()]))
        by_column[column] = [
            _slice(tables, value, n_values, index, keys, protocol)
            for value, n_values, index in groups
        ]
    return by_column


def _slice(
    tables: Mapping[str, pd.DataFrame],
    value: str | None,
    n_values: int,
    queries: pd.Index,
    keys: Sequence[str],
    protocol: Mapping[str, Any],
) -> Slice:
    """One slice, of the runs whose `scored_queries` have any of it."""
    some = {
        name: table.loc[table.index.intersection(queries, sort=False)]
        for name, table in tables.items()
    }
    some = {name: table for name, table in some.items() if len(table)}
    means, differences = {}, {}
    for name, table in some.items():
        # A mean is its difference from 0, by the same draws.
        nothing = table.assign(**dict.fromkeys(keys, 0.0))
        means[name] = _differences(table, nothing, keys, protocol)
    first, *others = some
    for other in others:
        if not some[first].index.intersection(some[other].index).empty:
            compared = _differences(some[first], some[other], keys, protocol)
            differences[f"{first} − {other}"] = compared
    return Slice(value, n_values, len(queries), means, differences)


def _differences(
    one: pd.DataFrame, other: pd.DataFrame, keys: Sequence[str], protocol: Mapping[str, Any]
) -> dict[str, Difference]:
    judged = judge(one, other, keys, protocol)
    return {key: judged[key].difference for key in keys}
