"""How runs stand to the states before: paired differences, query by query.

A run is one trained network. Of a recipe with several seeds the mean over these networks stands for
it, never its best seed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import pandas as pd

from lookalike.errors import LookalikeError
from lookalike.report.recipe_scores import NOTHING_IN_COMMON, Gathered, RecipeScores, scored_queries
from lookalike.report.results import ComparisonRows, Results
from lookalike.report.runs import MAIN, STATES, State, model_name
from lookalike.retrieval.metrics import in_ranks, less_is_better
from lookalike.retrieval.statistics import FEWEST_UNITS, Difference, paired_differences
from lookalike.retrieval.variance_components import Estimate, crossed_mean

NO_DIFFERENCE = "no difference shown"
RESAMPLES = 1000
"""At most so many for each difference: of many runs there are many."""


@dataclass(frozen=True)
class Judged:
    """A difference, and in a word what it says: better, worse or no difference shown.

    The word is None where there is no interval to judge by.
    """

    difference: Difference
    verdict: str | None


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
                f"{model_name(run.folder_name, state)} was scored by other settings (`metrics`): "
                f"it has no {key}. Score all runs alike: --forcerun metrics"
            )


def recipes_of(runs: Sequence[Results]) -> dict[str, list[Results]]:
    """The runs of each recipe, one a seed, in the order of `runs`."""
    recipes: dict[str, list[Results]] = {}
    for run in runs:
        recipes.setdefault(run.recipe, []).append(run)
    return recipes


def gain_of(run: Results) -> str:
    """What `differences` calls the comparison of `run`, if it is trained, with its baseline."""
    return _name_of(run.name, run, MAIN)


def gain_of_recipe(recipe: str, group: Sequence[Results]) -> str:
    """The same of a recipe: of its only run, or of the mean over its seeds."""
    return _name_of(side_name(recipe, group), group[0], MAIN)


def differences(runs: Sequence[Results], keys: Sequence[str]) -> Comparisons:
    """Paired differences of each metric in `keys`.

    Each run in each state minus the state that this is measured against, trained minus untrained
    (where something is trained); each recipe with several seeds likewise, by means over these. The
    tables of one run and the values of one recipe are in memory at a time.

    Raises:
        LookalikeError: two states have no scored query in common.
    """
    protocol = runs[0].main.protocol
    compared: dict[str, dict[str, Judged]] = {}
    for recipe, group in recipes_of(runs).items():
        changes: dict[str, Gathered] = {}
        for run in group:
            tables = {name: scored_queries(state, keys) for name, state in run.states.items()}
            for state, against in _measured(run):
                one, other = tables[state.name], tables[against]
                compared[_name_of(run.name, run, state)] = judge(one, other, keys, protocol)
                changes.setdefault(state.name, Gathered()).add(change(one, other))
        if len(group) > 1:
            name = side_name(recipe, group)
            compared |= {
                _name_of(name, group[0], state): judge_mean(
                    changes[state.name].scores(name, True), keys, protocol
                )
                for state, _ in _measured(group[0])
            }
    return compared


def _measured(run: Results) -> list[tuple[State, str]]:
    """The states of a run that are measured against another one of it, and the name of that."""
    return [
        (state, state.against)
        for state in run.shown
        if state.against is not None
        and state.against in run.states
        and (run.is_trained or state.name != MAIN.name)
    ]


def _name_of(side: str, run: Results, state: State) -> str:
    (against,) = (other for other in STATES if other.name == state.against)
    return f"{side}: {run.called(state)} − {run.called(against)}"


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
        raise LookalikeError(NOTHING_IN_COMMON)
    queries, reference = queries.loc[both], reference.loc[both]
    paired = paired_differences(
        {key: queries[key].to_numpy(float) for key in keys},
        {key: reference[key].to_numpy(float) for key in keys},
        resamples=min(protocol["bootstrap"], RESAMPLES),
        seed=protocol["seed"],
        units=queries["label"].tolist() if protocol["bootstrap_unit"] == "class" else None,
    )
    return {key: Judged(paired[key], verdict_of(key, paired[key])) for key in keys}


def judge_mean(
    side: RecipeScores, keys: Sequence[str], protocol: Mapping[str, Any]
) -> dict[str, Judged]:
    """Mean over queries and seeds of differences; intervals hold the noise of both.

    Args:
        side: a recipe's differences.
        keys: its metrics.
        protocol: see `StateResults.protocol`.
    """
    if not side.has_intervals(protocol):
        means = side.of_seeds.mean(axis=-1).tolist()
        return {
            key: Judged(Difference(mean, None, None), None)
            for key, mean in zip(keys, means, strict=True)
        }
    return {
        key: Judged(difference, verdict_of(key, difference))
        for key, difference in zip(
            keys, differences_of(crossed_mean(*side.totals(protocol)), keys), strict=True
        )
    }


def differences_of(estimate: Estimate, keys: Sequence[str]) -> list[Difference]:
    """An estimate [K] of differences of K metrics, with 95 % intervals.

    No wider than differences can be: of a few seeds the ends may be far apart.
    """
    values, half = estimate.value.tolist(), estimate.half_width().tolist()
    found = []
    for key, value, reach in zip(keys, values, half, strict=True):
        most = math.inf if in_ranks(key) else 1.0
        found.append(Difference(value, max(value - reach, -most), min(value + reach, most)))
    return found


def change(queries: pd.DataFrame, reference: pd.DataFrame) -> pd.DataFrame:
    """Each metric in `queries` minus that in `reference`, both from `scored_queries`.

    Of the queries that both hold, with their label.
    """
    both = queries.index.intersection(reference.index)
    changes = queries.drop(columns="label").loc[both] - reference.drop(columns="label").loc[both]
    changes.insert(0, "label", queries.loc[both, "label"])
    return changes


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


def side_name(recipe: str, group: Sequence[Results]) -> str:
    """What stands for a recipe: its only network, or the mean over its seeds."""
    return group[0].name if len(group) == 1 else f"{recipe} (mean of {len(group)} seeds)"


def verdict_of(key: str, difference: Difference) -> str | None:
    """In a word; None where there is no interval."""
    if difference.low is None or difference.high is None:
        return None
    if difference.low <= 0 <= difference.high:
        return NO_DIFFERENCE
    return "better" if (difference.high < 0) == less_is_better(key) else "worse"
