"""One table of all: recipes and the peer's losses by data sets, with intervals."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lookalike.errors import LookalikeError
from lookalike.storage.files import read_json, write_text
from suite.datasets import DATA_SETS
from suite.intervals import Estimate, mean_of, over_seeds_and_units
from suite.runs import Plan

CHOSEN_BY = "mAP@10"
METRICS = ("mAP@1", CHOSEN_BY, "mAP@50")
OVERALL = "mean of all"
UNTRAINED = "untrained"
PEER = "peer: "
CHOSEN = f"{PEER}chosen"

Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Cell:
    """The runs of one recipe, or of the peer's loss, on one data set.

    Attributes:
        scores: per metric float64 [seeds, units].
        steps: batches that each was trained for, on average.
        seconds: that a training took, on average.
        loss: of the peer's chosen loss, its name.
    """

    scores: dict[str, Scores]
    steps: float
    seconds: float
    loss: str = ""


Cells = dict[str, dict[str, Cell]]
"""By row, then by data set."""


def read_cells(plan: Plan) -> Cells:
    """What there is of a plan's runs; a row's data set is missing where a seed is."""
    cells: Cells = {}
    for name in plan.data:
        for recipe in plan.recipes:
            runs = [plan.folder / plan.results(name) / f"{recipe}.{seed}" for seed in plan.seeds]
            _put(cells, recipe, name, runs, runs, _training_of)
            if recipe == "default":
                untrained = [run / "untrained" for run in runs]
                _put(cells, UNTRAINED, name, untrained, runs, lambda run: (0.0, 0.0))
        for loss in plan.peers[name]:
            runs = [plan.folder / plan.peer_results(name, loss, seed) for seed in plan.seeds]
            _put(cells, f"{PEER}{loss}", name, runs, runs, _training_of_peer)
    _choose(cells, plan.data)
    return cells


def choose_losses(cells: Cells, data: Iterable[str]) -> dict[str, str]:
    """The peer's best loss on each data set: by the mean over seeds of CHOSEN_BY."""
    best: dict[str, str] = {}
    for name in data:
        there = {row: of[name] for row, of in cells.items() if row.startswith(PEER) and name in of}
        there.pop(CHOSEN, None)
        if there:
            row = max(there, key=lambda row: float(there[row].scores[CHOSEN_BY].mean()))
            best[name] = row.removeprefix(PEER)
    return best


def rows_of(cells: Cells, data: Sequence[str]) -> list[dict[str, object]]:
    """The table as rows, one for a recipe, a data set and a metric; `over_peer` is the difference
    to the peer's chosen loss, of the same queries and seeds.
    """
    rows: list[dict[str, object]] = []
    for recipe, of in cells.items():
        for metric in METRICS:
            estimates: list[Estimate] = []
            differences: list[Estimate] = []
            for name in data:
                if name not in of:
                    continue
                cell, peer = of[name], cells.get(CHOSEN, {}).get(name)
                values = cell.scores[metric]
                estimates.append(over_seeds_and_units(values))
                beyond = None
                if peer is not None:
                    beyond = over_seeds_and_units(values - peer.scores[metric])
                    differences.append(beyond)
                rows.append(
                    {
                        "recipe": recipe,
                        "data": name,
                        "metric": metric,
                        **_interval("", estimates[-1]),
                        **_interval("over_peer", beyond),
                        "seeds": values.shape[0],
                        "units": values.shape[1],
                        "unit": DATA_SETS[name].unit,
                        "steps": round(cell.steps),
                        "seconds": round(cell.seconds, 1),
                        "loss": cell.loss,
                    }
                )
            if len(estimates) == len(data):
                whole = mean_of(differences) if len(differences) == len(data) else None
                rows.append(
                    {
                        "recipe": recipe,
                        "data": OVERALL,
                        "metric": metric,
                        **_interval("", mean_of(estimates)),
                        **_interval("over_peer", whole),
                        "seeds": min(of[name].scores[metric].shape[0] for name in data),
                        "seconds": round(float(np.mean([of[name].seconds for name in data])), 1),
                    }
                )
    return rows


def markdown(rows: Sequence[dict[str, object]], data: Sequence[str], split: str) -> str:
    """The rows of CHOSEN_BY as a page: means with half of their intervals, then the differences."""
    shown = [row for row in rows if row["metric"] == CHOSEN_BY]
    by_place = {(row["recipe"], row["data"]): row for row in shown}
    recipes = list(dict.fromkeys(str(row["recipe"]) for row in shown))
    columns = [*data, OVERALL]

    def table(value: str, seconds: bool) -> list[str]:
        names = [*columns, *(["seconds"] * seconds)]
        lines = [f"| | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
        for recipe in recipes:
            cells = [_cell(by_place.get((recipe, column)), value) for column in columns]
            if not any(cells) or (recipe == CHOSEN and value == "over_peer"):
                continue
            took = by_place.get((recipe, OVERALL), {}).get("seconds", "")
            lines.append(f"| {recipe} | {' | '.join([*cells, *([str(took)] * seconds)])} |")
        return lines

    seeds = max((int(str(row["seeds"])) for row in shown), default=0)
    notes = [f"- {name}: {DATA_SETS[name].note}" for name in data if DATA_SETS[name].note]
    alone = "" if seeds > 1 else " With one seed the noise of seeds is not in it."
    return "\n".join(
        [
            f"# Suite: {split}",
            "",
            f"{CHOSEN_BY}, the mean over {seeds} seed{'s' * (seeds > 1)}, and half its 95 % "
            "interval over seeds and classes (or queries) together; seconds of a training's steps, "
            "the mean over data sets: what goes once through a backbone that stays as it came "
            f"is not in them.{alone}",
            "",
            *table("mean", seconds=True),
            "",
            "What each has over the peer's chosen loss on the same queries:",
            "",
            *table("over_peer", seconds=False),
            "",
            *notes,
            "",
        ]
    )


def write_table(path: Path, rows: Sequence[dict[str, object]], page: str) -> None:
    """Write path.csv and path.md."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    write_text(path.with_suffix(".md"), page)


def _put(
    cells: Cells,
    row: str,
    name: str,
    scored: Sequence[Path],
    trained: Sequence[Path],
    training_of: Callable[[Path], tuple[float, float]],
) -> None:
    """Read a cell, if all of its runs are there."""
    if not all((folder / "metrics.json").exists() for folder in scored):
        return
    frames = [read_queries(folder / "per_query.parquet") for folder in scored]
    if any(not frame.index.equals(frames[0].index) for frame in frames):
        raise LookalikeError(f"{scored[0].parent}: the seeds were not asked the same queries")
    unit = DATA_SETS[name].unit
    scores = {metric: np.stack([by_unit(f, metric, unit) for f in frames]) for metric in METRICS}
    steps, seconds = np.mean([training_of(folder) for folder in trained], axis=0)
    cells.setdefault(row, {})[name] = Cell(scores, float(steps), float(seconds))


def read_queries(path: Path) -> pd.DataFrame:
    """The scored queries of a per_query.parquet, by their names, in the order of names."""
    table = pd.read_parquet(path).set_index("query_id").sort_index()
    return table[table["scored"]]


def by_unit(queries: pd.DataFrame, metric: str, unit: str) -> Scores:
    """A metric of each query, or of each class: float64 [units].

    Classes with more queries weigh more, so that the mean is that of the queries either way.
    """
    if unit == "query":
        return queries[metric].to_numpy(dtype=np.float64)
    sums = queries.groupby("label")[metric].sum().to_numpy(dtype=np.float64)
    return sums * len(sums) / len(queries)


def _choose(cells: Cells, data: Sequence[str]) -> None:
    """Put in a row of the peer's best loss on each data set."""
    for name, loss in choose_losses(cells, data).items():
        cell = cells[f"{PEER}{loss}"][name]
        cells.setdefault(CHOSEN, {})[name] = replace(cell, loss=loss)


def _training_of(run: Path) -> tuple[float, float]:
    history = pd.read_parquet(run / "history.parquet")
    return float(history["steps"].sum()), float(history["seconds"].sum())


def _training_of_peer(run: Path) -> tuple[float, float]:
    told = read_json(run / "peer.json")
    return float(told["steps"]), float(told["seconds"])


def _interval(prefix: str, estimate: Estimate | None) -> dict[str, object]:
    names = [f"{prefix}_{end}" if prefix else end for end in ("low", "high")]
    if estimate is None:
        return dict.fromkeys([prefix or "mean", *names], "")
    ends = zip(names, estimate.interval, strict=True)
    return {
        prefix or "mean": round(estimate.mean, 6),
        **{name: round(end, 6) for name, end in ends},
    }


def _cell(row: dict[str, object] | None, value: str) -> str:
    if row is None or row[value] == "":
        return ""
    low, high = (f"{value}_low", f"{value}_high") if value != "mean" else ("low", "high")
    half = (float(str(row[high])) - float(str(row[low]))) / 2
    sign = "+" if value != "mean" else ""
    loss = f" ({row['loss']})" if value == "mean" and row.get("loss") else ""
    return f"{float(str(row[value])):{sign}.3f} ± {half:.3f}{loss}"
