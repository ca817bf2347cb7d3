"""What a page is about: all runs, how they compare, and which of them are shown one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from lookalike.report.answers import ANSWER_COLUMNS
from lookalike.report.cards import table_keys
from lookalike.report.differences import (
    Comparisons,
    differences,
    recipes_of,
    require_scored_alike,
    side_name,
    why_no_interval,
)
from lookalike.report.leading import First, HeldOutRun, shown_first
from lookalike.report.outcome import telling_cut_off
from lookalike.report.recipe_points import highest_runs
from lookalike.report.results import ComparisonRows, Results, read_results, with_shown_names
from lookalike.report.runs import Run
from lookalike.report.verdicts import Verdicts, compare_recipes
from lookalike.storage.parquet import read_table

PLACES = 10
"""Gallery images shown of each ranking."""
MOST_SHOWN = 30
"""Runs shown one by one: of more, the leading ones."""

# Of per_query.parquet, beside the metric by which classes and queries are ranked.
_QUERY_COLUMNS = (
    "query_id",
    "label",
    "n_relevant",
    "n_gallery",
    "scored",
    "first_rank",
    "mean_rank",
)


@dataclass(frozen=True)
class Subject:
    """The runs of a page, and what follows from them for more than one section.

    Attributes:
        results: of all runs, under the names that the page shows.
        rows: those of comparison.parquet.
        k: cut-offs of the metrics.
        named_baseline: name of the recipe that the others are compared with; empty for the first.
    """

    results: Sequence[Results]
    rows: ComparisonRows
    k: Sequence[int]
    named_baseline: str = ""

    @classmethod
    def read(
        cls, runs: Sequence[Run], comparison: Path, k: Sequence[int], baseline: str
    ) -> Subject:
        """From the results folders of `runs` and comparison.parquet.

        Raises:
            LookalikeError: a file is damaged or of another version, or the runs were not all scored
                by `k`.
        """
        results = with_shown_names([read_results(run, place) for place, run in enumerate(runs)])
        shown = {run.folder_name: run.name for run in results}
        rows = {
            (shown[row["run"]], row["state"]): row for row in read_table(comparison).to_pylist()
        }
        require_scored_alike(results, rows, table_keys(k))
        return cls(results, rows, k, baseline)

    @property
    def key(self) -> str:
        """The metric that ranks recipes, classes and queries."""
        return f"mAP@{telling_cut_off(self.k)}"

    @property
    def headline(self) -> list[str]:
        """The metrics that are told of every run."""
        return table_keys(self.k)

    @cached_property
    def first(self) -> First:
        """Which run is shown first, and why."""
        return shown_first(
            [HeldOutRun.of(run.recipe, run.model["settings"], run.history) for run in self.results]
        )

    @property
    def leading(self) -> Results:
        """The run that is shown first."""
        return self.results[self.first.place]

    @property
    def by_rank(self) -> list[Results]:
        """All runs, that one before the others."""
        leading = self.leading
        return [leading, *(run for run in self.results if run.name != leading.name)]

    @cached_property
    def recipes(self) -> dict[str, list[Results]]:
        """The runs of each recipe."""
        return recipes_of(self.results)

    @property
    def protocol(self) -> dict[str, Any]:
        """By which all runs were scored."""
        return self.leading.main.protocol

    @property
    def by_class(self) -> bool:
        """Whether intervals are of resampled classes, and not of queries."""
        return bool(self.protocol["bootstrap_unit"] == "class")

    @cached_property
    def per_query(self) -> pd.DataFrame:
        """What each query of the run shown first came to."""
        return self.leading.main.per_query([*_QUERY_COLUMNS, self.key])

    @cached_property
    def answered(self) -> pd.DataFrame:
        """What the threshold is laid to, of each query of that run."""
        return self.leading.main.per_query(ANSWER_COLUMNS)

    @property
    def places(self) -> int:
        """Gallery images shown of each ranking; rankings are kept up to the last of `k`."""
        return min(PLACES, max(self.k))

    @cached_property
    def rankings(self) -> pd.DataFrame:
        """The first `places` of the rankings of that run."""
        return self.leading.main.rankings(self.places)

    @property
    def n_classes(self) -> int:
        """Classes of scored queries."""
        scored = self.per_query["scored"]
        return int(self.per_query.loc[scored, "label"].nunique())

    @property
    def no_interval(self) -> str | None:
        """Why there are no intervals; None where there are some."""
        n_queries = self.leading.main.summary["n_queries"]
        return why_no_interval(self.protocol, n_queries, self.n_classes)

    @cached_property
    def compared(self) -> Comparisons:
        """Runs and recipes beside what they were before."""
        return differences(self.results, self.headline)

    @cached_property
    def verdicts(self) -> Verdicts:
        """Recipes beside the baseline."""
        return compare_recipes(
            self.recipes, self.named_baseline, self.key, self.headline, self.protocol
        )

    @cached_property
    def shown_runs(self) -> list[Results]:
        """Those that are shown one by one."""
        return highest_runs(self.results, self.rows, self.key, MOST_SHOWN, self.leading)

    @property
    def shown_recipes(self) -> dict[str, list[Results]]:
        """The recipes of these, with all of their runs."""
        return {recipe: self.recipes[recipe] for recipe in recipes_of(self.shown_runs)}

    @property
    def compared_of_shown(self) -> Comparisons:
        """`compared`, of runs that are shown, and of their recipes; what has two sides, all."""
        names = {run.name for run in self.shown_runs} | {
            side_name(recipe, group) for recipe, group in self.shown_recipes.items()
        }
        return {
            what: judged
            for what, judged in self.compared.items()
            if ": " not in what or what.partition(": ")[0] in names
        }
