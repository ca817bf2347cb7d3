"""How runs stand to one another: paired differences, and the spread between seeds.

A run is one trained network. Of a recipe with several seeds every query's mean over these networks
stands for it, never its best seed; of a recipe with one seed, that network stands for itself alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import pandas as pd

from lookalike.errors import LookalikeError
from lookalike.report.numbers import number
from lookalike.report.results import ComparisonRows, Results, StateResults
from lookalike.report.runs import MAIN, STATES, State, model_name
from lookalike.retrieval.metrics import less_is_better
from lookalike.retrieval.statistics import FEWEST_UNITS, Difference, paired_differences

RESAMPLES = 1000
"""At most so many for each difference: of many runs there are many."""


@dataclass(frozen=True)
class Judged:
    """A difference, and in a word what it says: better, worse or no difference shown.

    The word is None where there is no interval to judge by.
    """

    difference: Difference
    verdict: str | None


@dataclass(frozen=True)
class Spread:
    """A metric over the seeds of one recipe: its mean, least and greatest value."""

    mean: float
    low: float
    high: float


Comparisons = Mapping[str, Mapping[str, Judged]]
"""What is compared, then the metric."""


def require_scored_alike(
    runs: Sequence[Results], rows: ComparisonRows, keys: Sequence[str]
) -> None:
    """Raise LookalikeError where a run was scored, in some state, without one of `keys`."""
    scored = [(run, state) for run in runs for state in run.shown]
    for (run, state), key in product(scored, keys):
        if rows[run.name, state.name].get(key) is None:
            raise LookalikeError(
                f"{model_name(run.name, state)} was scored by other settings (`metrics`): it has "
                f"no {key}. Score all runs alike: --forcerun metrics"
            )


def best_run(runs: Sequence[Results], rows: ComparisonRows, key: str) -> Results:
    """The run with the highest `key`; the first of equals."""
    return max(runs, key=lambda run: rows[run.name, MAIN.name][key])


def recipes_of(runs: Sequence[Results]) -> dict[str, list[Results]]:
    """The runs of each recipe, one a seed, in the order of `runs`."""
    recipes: dict[str, list[Results]] = {}
    for run in runs:
        recipes.setdefault(run.recipe, []).append(run)
    return recipes


def leading_recipes(runs: Sequence[Results], rows: ComparisonRows, key: str) -> list[str]:
    """The two recipes with the highest mean of `key` over their seeds; the only one, if it is."""
    spreads = seed_spreads(runs, rows, [key])
    return sorted(spreads, key=lambda recipe: -spreads[recipe][key].mean)[:2]


def gain_of(run: Results) -> str:
    """What `differences` calls the comparison of `run`, if it is trained, with its baseline."""
    return _name_of(run.name, run, MAIN)


def differences(
    runs: Sequence[Results], rows: ComparisonRows, key: str, keys: Sequence[str]
) -> Comparisons:
    """Paired differences of each metric in `keys`.

    Each run in each state minus the state that this is measured against, trained minus untrained
    (where something is trained); each recipe with several seeds likewise, by means over these;
    then the recipe that leads by `key` minus the second, by means over their seeds. The tables of
    one run and the means of a few are in memory at a time.

    Raises:
        LookalikeError: two runs have no scored query in common.
    """
    protocol = runs[0].main.protocol
    leading = leading_recipes(runs, rows, key)
    compared: dict[str, dict[str, Judged]] = {}
    of_leaders: dict[str, tuple[str, pd.DataFrame]] = {}
    for recipe, group in recipes_of(runs).items():
        means = {state.name: QueryMeans() for state in group[0].shown}
        for run in group:
            tables = {name: scored_queries(state, keys) for name, state in run.states.items()}
            compared |= _between_states(run.name, run, tables, keys, protocol)
            for name, table in tables.items():
                means[name].add(table)
        if len(group) > 1:
            tables = {name: added.table() for name, added in means.items()}
            compared |= _between_states(_side(recipe, group), group[0], tables, keys, protocol)
        if recipe in leading:
            of_leaders[recipe] = (_side(recipe, group), means[MAIN.name].table())
    if len(leading) > 1:
        (first, best), (second, next_best) = (of_leaders[recipe] for recipe in leading)
        compared[f"{first} − {second}"] = judge(best, next_best, keys, protocol)
    return compared


def _between_states(
    side: str,
    run: Results,
    tables: Mapping[str, pd.DataFrame],
    keys: Sequence[str],
    protocol: Mapping[str, Any],
) -> dict[str, dict[str, Judged]]:
    """Each state minus the one it is measured against, from the `scored_queries` of all states.

    `run`: what stands for `side`, or one of the runs that do.
    """
    return {
        _name_of(side, run, state): judge(
            tables[state.name], tables[_against(state).name], keys, protocol
        )
        for state in run.shown
        if state.against in run.states and (run.is_trained or state.name != MAIN.name)
    }


def _name_of(side: str, run: Results, state: State) -> str:
    return f"{side}: {run.called(state)} − {run.called(_against(state))}"


def _against(state: State) -> State:
    """The state that another one is measured against."""
    (against,) = (other for other in STATES if other.name == state.against)
    return against


class QueryMeans:
    """The mean of each query's metrics over several networks, added one by one."""

    def __init__(self) -> None:
        self._labels: pd.Series | None = None
        self._sums, self._count = pd.DataFrame(), 0

    def add(self, queries: pd.DataFrame) -> None:
        """Add a network's `scored_queries`; a query that it has not is left out from here on."""
        values = queries.drop(columns="label")
        if self._labels is None:
            self._labels, self._sums = queries["label"], values
        else:
            both = self._sums.index.intersection(values.index)
            self._sums = self._sums.loc[both] + values.loc[both]
        self._count += 1

    def table(self) -> pd.DataFrame:
        """The means, in the form of `scored_queries`."""
        means = self._sums / self._count
        assert self._labels is not None
        means.insert(0, "label", self._labels.loc[means.index])
        return means


def scored_queries(state: StateResults, keys: Sequence[str]) -> pd.DataFrame:
    """The scored queries by id, ascending: their `label`, and the metrics `keys` as float64."""
    table = state.per_query(["query_id", "label", "scored", *keys])
    table = table[table["scored"]].drop(columns="scored")
    return table.set_index("query_id").sort_index()


def judge(
    queries: pd.DataFrame,
    reference: pd.DataFrame,
    keys: Sequence[str],
    protocol: Mapping[str, Any],
) -> dict[str, Judged]:
    """Mean of each metric in `queries` minus that in `reference`, over the queries that both hold.

    Args:
        queries: as from `scored_queries`.
        reference: likewise.
        keys: the metrics.
        protocol: see `StateResults.protocol`. The bootstrap draws what that of a single run's
            intervals drew, queries or whole classes; without that there is none here either.

    Raises:
        LookalikeError: there is no such query.
    """
    both = queries.index.intersection(reference.index)
    if both.empty:
        raise LookalikeError(
            "two runs have no scored query in common, so they cannot be compared. Score all runs "
            "alike: --forcerun metrics"
        )
    queries, reference = queries.loc[both], reference.loc[both]
    paired = paired_differences(
        {key: queries[key].to_numpy(float) for key in keys},
        {key: reference[key].to_numpy(float) for key in keys},
        resamples=min(protocol["bootstrap"], RESAMPLES),
        seed=protocol["seed"],
        units=queries["label"].tolist() if protocol["bootstrap_unit"] == "class" else None,
    )
    return {key: Judged(paired[key], _verdict(key, paired[key])) for key in keys}


def seed_spreads(
    runs: Sequence[Results], rows: ComparisonRows, keys: Sequence[str]
) -> dict[str, dict[str, Spread]]:
    """Mean and range of each metric over the seeds of each recipe."""
    spreads = {}
    for recipe, group in recipes_of(runs).items():
        values = {key: [rows[run.name, MAIN.name][key] for run in group] for key in keys}
        spreads[recipe] = {
            key: Spread(sum(of_seeds) / len(of_seeds), min(of_seeds), max(of_seeds))
            for key, of_seeds in values.items()
        }
    return spreads


def why_no_interval(protocol: Mapping[str, Any], n_queries: int, n_classes: int) -> str | None:
    """Why there is neither interval nor verdict, in words; None where there are.

    Args:
        protocol: see `StateResults.protocol`.
        n_queries: queries that are scored.
        n_classes: their classes.
    """
    if protocol["bootstrap"] == 0:
        return "they are switched off (metrics.bootstrap: 0)"
    if protocol["bootstrap_unit"] == "class":
        count, units = n_classes, "class" if n_classes == 1 else "classes"
    else:
        count, units = n_queries, "query" if n_queries == 1 else "queries"
    if count >= FEWEST_UNITS:
        return None
    few = "is too few" if count == 1 else "are too few"
    return f"{count} scored {units} {few}; it takes at least {FEWEST_UNITS}"


def recipes_in_words(
    runs: Sequence[Results], rows: ComparisonRows, key: str, interval: bool
) -> list[str]:
    """Of what the differences tell, networks or recipes; a sentence or two for each item.

    `interval`: whether the differences have intervals.
    """
    recipes, leading = recipes_of(runs), leading_recipes(runs, rows, key)
    groups = [recipes[recipe] for recipe in leading]
    sentences = [
        f"In {group[0].recipe} nothing is trained: every seed gives this network."
        for group in groups
        if not group[0].depends_on_seed
    ]
    by_chance = [group for group in groups if group[0].depends_on_seed]
    if by_chance:
        sentences.append(_one_or_many_seeds(by_chance))
    several = [group[0].recipe for group in by_chance if len(group) > 1]
    if several:
        spreads = seed_spreads(runs, rows, [key])
        ranges = [
            f"{recipe} {number(key, spreads[recipe][key].low)} to "
            f"{number(key, spreads[recipe][key].high)}"
            for recipe in several
        ]
        sentences.append(
            (
                "The intervals hold the noise of the queries, not that of the seeds: they"
                if interval
                else "The differences"
            )
            + " speak of these trained networks, and other seeds may turn them round. "
            f"{key} over the seeds: {', '.join(ranges)}."
        )
    if len(recipes) > 2:
        sentences.append(
            f"Of {len(recipes)} recipes the two with the highest {key} are compared. They were "
            "chosen by these very queries, so their numbers are too good, the first's most."
        )
    return sentences


def _one_or_many_seeds(groups: Sequence[Sequence[Results]]) -> str:
    names = [group[0].recipe for group in groups]
    single = [group[0].name for group in groups if len(group) == 1]
    if len(groups) == 1:
        if single:
            return (
                f"{single[0]} is one trained network. One seed tells nothing about the recipe "
                f"{names[0]}: another may end elsewhere."
            )
        return f"{names[0]} stands by the mean of its {len(groups[0])} seeds, query by query."
    if len(single) == 2:
        return (
            f"{single[0]} and {single[1]}: the difference is one between these two trained "
            f"networks. One seed tells nothing about the recipes {names[0]} and {names[1]}: "
            "another may turn the order round."
        )
    if single:
        (many,) = (group for group in groups if len(group) > 1)
        (alone,) = (group for group in groups if len(group) == 1)
        return (
            f"{many[0].recipe} stands by the mean of its {len(many)} seeds, query by query, "
            f"{alone[0].recipe} by one trained network, {single[0]}: one seed tells nothing about "
            "a recipe."
        )
    counts = [len(group) for group in groups]
    return (
        f"{names[0]} and {names[1]} are compared by means over their seeds ({counts[0]} and "
        f"{counts[1]}), query by query, never by their best."
    )


def _side(recipe: str, group: Sequence[Results]) -> str:
    """What stands for a recipe: its only network, or the mean over its seeds."""
    return group[0].name if len(group) == 1 else f"{recipe} (mean of {len(group)} seeds)"


def _verdict(key: str, difference: Difference) -> str | None:
    if difference.low is None or difference.high is None:
        return None
    if difference.low <= 0 <= difference.high:
        return "no difference shown"
    return "better" if (difference.high < 0) == less_is_better(key) else "worse"
