"""How runs stand to one another: paired differences, and the spread between seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lookalike.comparison import TRAINED
from lookalike.errors import LookalikeError
from lookalike.metrics import RANK_KEYS
from lookalike.results import Results, Rows, Scores
from lookalike.statistics import Difference, paired_differences

RESAMPLES, SEED = 1000, 0


@dataclass(frozen=True)
class Judged:
    """A difference, and in a word what it says: better, worse or no difference shown."""

    difference: Difference
    verdict: str


@dataclass(frozen=True)
class Spread:
    """A metric over the seeds of one recipe: its mean, least and greatest value."""

    mean: float
    low: float
    high: float


Comparisons = Mapping[str, Mapping[str, Judged]]
"""What is compared, then the metric."""


def best_run(runs: Sequence[Results], rows: Rows, key: str) -> Results:
    """The trained run with the highest `key`; the first of equals.

    Raises:
        LookalikeError: a run was scored without it.
    """
    for run in runs:
        if rows[run.name, TRAINED].get(key) is None:
            raise LookalikeError(
                f"{run.name} was scored by other settings (`metrics`): it has no {key}. Score all "
                "runs alike: --forcerun metrics"
            )
    return max(runs, key=lambda run: rows[run.name, TRAINED][key])


def gain_of(run: Results) -> str:
    """What `differences` calls the comparison of `run` with its untrained twin."""
    return f"{run.name}: trained − untrained"


def differences(runs: Sequence[Results], rows: Rows, key: str, keys: Sequence[str]) -> Comparisons:
    """Paired differences of each metric in `keys`.

    Each run trained minus untrained, then the best run of the best recipe minus that of the second
    best, by `key`.
    """
    pairs = {gain_of(run): (run.trained, run.untrained) for run in runs}
    leaders = [
        best_run([run for run in runs if run.recipe == recipe], rows, key)
        for recipe in dict.fromkeys(run.recipe for run in runs)
    ]
    leaders.sort(key=lambda run: rows[run.name, TRAINED][key], reverse=True)
    if len(leaders) > 1:
        first, second = leaders[:2]
        pairs[f"{first.name} − {second.name}"] = (first.trained, second.trained)
    return {what: judge(one, other, keys) for what, (one, other) in pairs.items()}


def judge(one: Scores, other: Scores, keys: Sequence[str]) -> dict[str, Judged]:
    """Mean of each metric in `one` minus that in `other`, over the queries that both scored.

    The bootstrap draws what that of the intervals of `one` drew, queries or whole classes.
    """
    first, second = (
        side.per_query.loc[side.per_query["scored"], ["query_id", "label", *keys]]
        for side in (one, other)
    )
    both = first.merge(second, on="query_id").sort_values("query_id")
    by_class = one.summary["settings"]["bootstrap_unit"] == "class"
    found = paired_differences(
        {key: both[f"{key}_x"].to_numpy(float) for key in keys},
        {key: both[f"{key}_y"].to_numpy(float) for key in keys},
        resamples=RESAMPLES,
        seed=SEED,
        units=both["label_x"].tolist() if by_class else None,
    )
    return {key: Judged(found[key], _verdict(key, found[key])) for key in keys}


def seed_spreads(
    runs: Sequence[Results], rows: Rows, keys: Sequence[str]
) -> dict[str, dict[str, Spread]]:
    """Mean and range of each metric over the seeds, for recipes with more than one."""
    spreads = {}
    for recipe in dict.fromkeys(run.recipe for run in runs):
        names = [run.name for run in runs if run.recipe == recipe]
        if len(names) > 1:
            values = {key: [rows[name, TRAINED][key] for name in names] for key in keys}
            spreads[recipe] = {
                key: Spread(sum(some) / len(some), min(some), max(some))
                for key, some in values.items()
            }
    return spreads


def _verdict(key: str, difference: Difference) -> str:
    if difference.low <= 0 <= difference.high:
        return "no difference shown"
    return "better" if (difference.high < 0) == (key in RANK_KEYS) else "worse"
