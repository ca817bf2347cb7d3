"""A run's results as its files tell them, for whoever wants to show them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from lookalike.comparison import UNTRAINED, Run, run_name
from lookalike.files import read_json

Rows = Mapping[tuple[str, str], Mapping[str, Any]]
"""Rows of the comparison by run and state."""


@dataclass(frozen=True)
class Scores:
    """One state of a run, trained or not: its metrics.json and its per_query table."""

    summary: dict[str, Any]
    per_query: pd.DataFrame


@dataclass(frozen=True)
class Results:
    """What one run left: `place` counts the runs from 0, `model` is its model.json."""

    recipe: str
    seed: int
    place: int
    trained: Scores
    untrained: Scores
    model: dict[str, Any]
    history: pd.DataFrame

    @property
    def name(self) -> str:
        """The run's name, `<recipe>.<seed>`."""
        return run_name(self.recipe, self.seed)

    @property
    def settings(self) -> dict[str, Any]:
        """The recipe's settings, with the image settings that were used."""
        return {**self.model["settings"], "image": self.model["image"]}


def read_results(run: Run, place: int) -> Results:
    """Read the files of `run`, all but its rankings, which only the run shown needs."""
    recipe, seed, folder = run
    return Results(
        recipe,
        seed,
        place,
        _read_scores(folder),
        _read_scores(folder / UNTRAINED),
        read_json(folder / "model.json"),
        pd.read_parquet(folder / "history.parquet"),
    )


def flat(settings: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Nested settings as dotted names: `{"model": {"name": "cnn4"}}` gives `model.name`."""
    named: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, Mapping) and value:
            named |= flat(value, f"{above}{key}.")
        else:
            named[f"{above}{key}"] = value
    return named


def _read_scores(folder: Path) -> Scores:
    return Scores(read_json(folder / "metrics.json"), pd.read_parquet(folder / "per_query.parquet"))
