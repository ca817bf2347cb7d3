"""What stands for a recipe: the values of its networks on the queries that all of them scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from lookalike.errors import LookalikeError
from lookalike.report.results import StateResults
from lookalike.retrieval.arrays import Values
from lookalike.retrieval.statistics import FEWEST_UNITS, numbered
from lookalike.retrieval.variance_components import totals_of_units

NOTHING_IN_COMMON = (
    "two runs have no scored query in common, so they cannot be compared. Score all runs alike: "
    "--forcerun metrics"
)


@dataclass(frozen=True)
class RecipeScores:
    """Networks on the same queries: of one recipe, one a seed.

    Attributes:
        name: as the report calls it: of its only network, or of the mean over its seeds.
        seeded: whether another seed would give another network.
        labels: the classes of the Q queries, by their ids, ascending.
        values: of K metrics, float64 [K, S, Q].
    """

    name: str
    seeded: bool
    labels: pd.Series
    values: Values

    @property
    def n_seeds(self) -> int:
        """Networks, one a seed."""
        return int(self.values.shape[1])

    @property
    def is_recipe(self) -> bool:
        """Whether it tells of a recipe, not only of one of its networks."""
        return self.n_seeds > 1 or not self.seeded

    @property
    def of_seeds(self) -> Values:
        """The mean over queries of each seed, float64 [K, S]."""
        means: Values = self.values.mean(axis=-1)
        return means

    def on(self, queries: pd.Index) -> RecipeScores:
        """The same on some of its queries, in their order."""
        if self.labels.index.equals(queries):
            return self
        places = self.labels.index.get_indexer(queries)
        return replace(self, labels=self.labels.loc[queries], values=self.values[..., places])

    def units(self, protocol: Mapping[str, Any]) -> list[str] | None:
        """The class of each query, where classes are what intervals draw."""
        return self.labels.tolist() if protocol["bootstrap_unit"] == "class" else None

    def totals(self, protocol: Mapping[str, Any]) -> tuple[Values, Values]:
        """Sums over the queries of each unit, float64 [K, S, U], and how many these are, [U]."""
        units = self.units(protocol)
        if units is None:
            return self.values, np.ones(self.values.shape[-1])
        return totals_of_units(self.values, numbered(units))

    def n_units(self, protocol: Mapping[str, Any]) -> int:
        """How many units there are."""
        return self.labels.nunique() if self.units(protocol) else len(self.labels)

    def has_intervals(self, protocol: Mapping[str, Any]) -> bool:
        """Whether an interval is stated: some are asked for, and units are enough."""
        return protocol["bootstrap"] > 0 and self.n_units(protocol) >= FEWEST_UNITS


class Gathered:
    """The values of several networks, added one by one: no table is kept."""

    def __init__(self) -> None:
        self._labels: pd.Series | None = None
        self._values: list[Values] = []

    def add(self, table: pd.DataFrame) -> None:
        """Add a network's `scored_queries`, or differences of two; a query that it has not is left
        out from here on."""
        values = table.drop(columns="label").to_numpy(np.float64).T
        if self._labels is None:
            self._labels = table["label"]
        elif not self._labels.index.equals(table.index):
            common = self._labels.index.intersection(table.index)
            places = self._labels.index.get_indexer(common)
            self._labels = self._labels.loc[common]
            self._values = [earlier[:, places] for earlier in self._values]
            values = values[:, table.index.get_indexer(common)]
        self._values.append(values)

    def scores(self, name: str, seeded: bool) -> RecipeScores:
        """What was added.

        Raises:
            LookalikeError: the networks have no query in common.
        """
        assert self._labels is not None
        if self._labels.empty:
            raise LookalikeError(NOTHING_IN_COMMON)
        return RecipeScores(name, seeded, self._labels, np.stack(self._values, 1))


def on_same_queries(first: RecipeScores, second: RecipeScores) -> tuple[RecipeScores, RecipeScores]:
    """Both on the queries that both have.

    Raises:
        LookalikeError: there are none.
    """
    common = first.labels.index
    if not common.equals(second.labels.index):
        common = common.intersection(second.labels.index)
    if common.empty:
        raise LookalikeError(NOTHING_IN_COMMON)
    return first.on(common), second.on(common)


def scored_queries(state: StateResults, keys: Sequence[str]) -> pd.DataFrame:
    """The scored queries by id, ascending: their `label`, and the metrics `keys` as float64."""
    table = state.per_query(["query_id", "label", "scored", *keys])
    table = table[table["scored"]].drop(columns="scored")
    return table.set_index("query_id").sort_index()
