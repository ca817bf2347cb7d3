"""Runs as their files tell them, with values that a test makes up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lookalike.report.results import Results, StateResults

QUERY = {"bootstrap": 1000, "bootstrap_unit": "query", "seed": 0}
CLASS = QUERY | {"bootstrap_unit": "class"}


def state(
    folder: Path,
    columns: Mapping[str, Any],
    protocol: Mapping[str, Any] = QUERY,
    shuffle: int | None = None,
) -> StateResults:
    """A state of a run as its files tell it; `shuffle` seeds the order of its rows."""
    frame = pd.DataFrame(columns)
    if "query_id" not in frame:
        frame.insert(0, "query_id", [f"q{number:03}" for number in range(len(frame))])
    frame = pd.DataFrame({"label": "a", "scored": True}, index=frame.index).assign(**frame)
    if shuffle is not None:
        frame = frame.sample(frac=1, random_state=shuffle)
    folder.mkdir(parents=True, exist_ok=True)
    frame.to_parquet(folder / "per_query.parquet")
    units = {"unit": protocol["bootstrap_unit"]}
    return StateResults({"settings": dict(protocol), "units": units}, folder)


def make_runs(
    folder: Path,
    values: Mapping[tuple[str, int], tuple[Any, Any]],
    labels: Sequence[str],
    protocol: Mapping[str, Any] = QUERY,
    key: str = "mAP@10",
) -> tuple[list[Results], dict[tuple[str, str], dict[str, float]]]:
    """Runs with these (trained, untrained) values of `key` a query; and rows of the comparison."""
    runs: list[Results] = []
    rows: dict[tuple[str, str], dict[str, float]] = {}
    for place, ((recipe, seed), both) in enumerate(values.items()):
        states = {
            name: state(
                folder / f"{recipe}.{seed}" / name,
                {"label": list(labels), key: np.asarray(column)},
                protocol,
                shuffle=2 * place + number,
            )
            for number, (name, column) in enumerate(
                zip(("trained", "untrained"), both, strict=True)
            )
        }
        run = Results(recipe, seed, place, states, {"settings": {}}, pd.DataFrame(), {})
        runs.append(run)
        rows |= {
            (run.name, name): {key: float(np.mean(column))}
            for name, column in zip(("trained", "untrained"), both, strict=True)
        }
    return runs, rows
