"""The table of a few rows that tells of all recipes: what they give, beside untrained and chance.

A row a recipe, by the mean over its seeds; below it one for each state that the search side adds;
then one for each distinct network before training, whichever recipes begin with it; then chance.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from lookalike.report.differences import Comparisons, gain_of_recipe, side_name
from lookalike.report.results import ComparisonRows, Results
from lookalike.report.runs import BASELINE, MAIN, State

_NAMED = 6
"""Recipes that are named in one row; of more, the first of them."""
_IDENTITY = ("run", "recipe", "seed", "state")


@dataclass(frozen=True)
class Cell:
    """A number, with the ends of its 95 % interval where there is one."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class SummaryRow:
    """A row.

    Attributes:
        name: whose numbers these are.
        cells: by metric.
        gain: of the ranking metric over the network before training; None where there is none.
    """

    name: str
    cells: Mapping[str, Cell]
    gain: Cell | None = None


@dataclass(frozen=True)
class SummaryTable:
    """The table.

    Attributes:
        keys: its metrics.
        gain_key: the metric of the gains.
        recipes: the rows of recipes, each followed by those of what the search side adds to it.
        before: those of distinct networks before training.
        chance: one, unless runs were scored against different galleries.
        several_seeds: whether a row is a mean over seeds.
    """

    keys: tuple[str, ...]
    gain_key: str
    recipes: tuple[SummaryRow, ...]
    before: tuple[SummaryRow, ...]
    chance: tuple[SummaryRow, ...]
    several_seeds: bool

    @property
    def groups(self) -> list[tuple[SummaryRow, ...]]:
        """Its rows, in the groups between which a line is drawn."""
        return [group for group in (self.recipes, self.before, self.chance) if group]


def summary_table(
    recipes: Mapping[str, Sequence[Results]],
    rows: ComparisonRows,
    keys: Sequence[str],
    gain_key: str,
    compared: Comparisons,
) -> SummaryTable:
    """Gather the table.

    A mean over several seeds has no interval here: it describes these networks. Its gain has.

    Args:
        recipes: the runs of each, one a seed.
        rows: of the comparison.
        keys: the metrics that are shown.
        gain_key: the metric whose gain is shown.
        compared: the paired differences of these runs and recipes, with `gain_key` among them.
    """
    of_recipes: list[SummaryRow] = []
    before: dict[Hashable, tuple[str, list[str], list[Mapping[str, Any]]]] = {}
    chances: dict[Hashable, tuple[str, list[str], list[Mapping[str, Any]]]] = {}
    for recipe, group in recipes.items():
        of_recipes += _of_recipe(recipe, group, rows, keys, gain_key, compared)
        if BASELINE.name in group[0].states:
            called = group[0].called(BASELINE)
            networks = _distinct([rows[run.name, BASELINE.name] for run in group])
            _add(before, called, recipe, networks)
        for row in _distinct([_chance_of(rows[run.name, MAIN.name]) for run in group]):
            _add(chances, "chance", recipe, [row])
    return SummaryTable(
        tuple(keys),
        gain_key,
        tuple(of_recipes),
        tuple(
            SummaryRow(_of_several(f"{called}: {_listed(names)}", networks), _cells(networks, keys))
            for called, names, networks in before.values()
        ),
        tuple(
            SummaryRow(
                "chance" if len(chances) == 1 else f"chance: {_listed(names)}", _cells(row, keys)
            )
            for _, names, row in chances.values()
        ),
        any(len(group) > 1 for group in recipes.values()),
    )


def _of_recipe(
    recipe: str,
    group: Sequence[Results],
    rows: ComparisonRows,
    keys: Sequence[str],
    gain_key: str,
    compared: Comparisons,
) -> list[SummaryRow]:
    name = side_name(recipe, group)
    found = []
    for state in (MAIN, *(state for state in group[0].others if state is not BASELINE)):
        of_state = [rows[run.name, state.name] for run in group]
        gain = None
        judged = compared.get(gain_of_recipe(recipe, group))
        if judged and state is MAIN:
            difference = judged[gain_key].difference
            gain = Cell(difference.value, difference.low, difference.high)
        elif judged:
            # Its own interval is that of what it adds to the trained network.
            gain = Cell(
                fmean(
                    rows[run.name, state.name][gain_key] - rows[run.name, BASELINE.name][gain_key]
                    for run in group
                )
            )
        found.append(SummaryRow(_row_name(name, group, state), _cells(of_state, keys), gain))
    return found


def _row_name(name: str, group: Sequence[Results], state: State) -> str:
    called = group[0].called(state)
    if all(run.loss_always_zero for run in group) and state is MAIN:
        return f"{name}, loss 0 throughout"
    return name if called == MAIN.name else f"{name}, {called}"


def _cells(networks: Sequence[Mapping[str, Any]], keys: Sequence[str]) -> dict[str, Cell]:
    """Of the rows of one network, or of the mean over several."""
    if len(networks) == 1:
        (row,) = networks
        return {key: Cell(row[key], row.get(f"{key}_low"), row.get(f"{key}_high")) for key in keys}
    return {key: Cell(fmean(row[key] for row in networks)) for key in keys}


def _distinct(networks: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Networks without those that scored like another one in everything that is known of them."""
    return list({_all_of(row): row for row in networks}.values())


def _all_of(row: Mapping[str, Any]) -> Hashable:
    return tuple(value for name, value in row.items() if name not in _IDENTITY)


def _chance_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """The metrics of a row by chance."""
    end = "_chance"
    return {name.removesuffix(end): row[name] for name in row if name.endswith(end)}


def _add(
    groups: dict[Hashable, tuple[str, list[str], list[Mapping[str, Any]]]],
    called: str,
    recipe: str,
    networks: list[Mapping[str, Any]],
) -> None:
    """Add a recipe to those with the same rows, or make a group of it."""
    key = (called, *map(_all_of, networks))
    groups.setdefault(key, (called, [], networks))[1].append(recipe)


def _of_several(name: str, networks: Sequence[Mapping[str, Any]]) -> str:
    return name if len(networks) == 1 else f"{name} (mean of {len(networks)} seeds)"


def _listed(names: Sequence[str]) -> str:
    if len(names) <= _NAMED:
        return ", ".join(names)
    return f"{', '.join(names[: _NAMED - 1])} and {len(names) - _NAMED + 1:,} more"
