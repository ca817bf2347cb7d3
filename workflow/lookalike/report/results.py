"""A run's results as its files tell them, for whoever wants to show them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from lookalike.errors import LookalikeError
from lookalike.models.backbones.sources import is_pretrained
from lookalike.report.runs import (
    MAIN,
    METRICS_KEYS,
    SHOWN,
    THRESHOLD,
    Run,
    State,
    run_name,
    shown_names,
)
from lookalike.storage.files import read_json
from lookalike.storage.parquet import opened, read_frame, reading
from lookalike.text import shown_path
from lookalike.training.class_subsets import SETTING
from lookalike.training.lessons import SHARES
from lookalike.training.recipe import TrainedParts, network_in_words

ComparisonRows = Mapping[tuple[str, str], Mapping[str, Any]]
"""Rows of the comparison by the names of run, as the page shows it, and state."""

AS_IT_CAME = "as it came"
"""What the report calls the state that a run stands for where nothing is trained."""

AS_GIVEN = "as given"
"""What it calls that state where embeddings come from elsewhere."""

# All that a run in which nothing is trained takes of its recipe, and what of a model it leaves.
_USED_UNTRAINED = ("model", "train", "image")
_OF_HEAD = ("head", "embedding_dim")

_ROWS_AT_ONCE = 2**16


@dataclass(frozen=True)
class StateResults:
    """A run in one state: its metrics.json, and the folder of its tables.

    The tables are as long as the queries are many, so they are read where they are used and not
    kept: of many runs they would not fit into memory.
    """

    summary: dict[str, Any]
    folder: Path

    @property
    def protocol(self) -> dict[str, Any]:
        """The settings of its metrics, with the unit of intervals that was taken."""
        return {**self.summary["settings"], "bootstrap_unit": self.summary["units"]["unit"]}

    def per_query(self, columns: Sequence[str]) -> pd.DataFrame:
        """Read these columns of per_query.parquet."""
        return read_frame(self.folder / "per_query.parquet", columns)

    def rankings(self, places: int, queries: Sequence[str] | None = None) -> pd.DataFrame:
        """Read the first `places` places of each query from rankings.parquet; of some alone."""
        path = self.folder / "rankings.parquet"
        with opened(path) as file, reading(path):
            ids = file.schema_arrow.field("query_id").type
            wanted = None if queries is None else pa.array(queries, ids)

            def kept(piece: pa.RecordBatch) -> pa.RecordBatch:
                mask = pc.less_equal(piece["rank"], places)
                if wanted is not None:
                    mask = pc.and_(mask, pc.is_in(piece["query_id"], value_set=wanted))
                return piece.filter(mask)

            # A piece at a time: the file holds max(k) places of every query.
            pieces = [kept(piece) for piece in file.iter_batches(_ROWS_AT_ONCE)]
            table: pd.DataFrame = pa.Table.from_batches(pieces, file.schema_arrow).to_pandas()
            return table


@dataclass(frozen=True)
class Results:
    """What one run left: `place` counts the runs from 0, `model` is its model.json,
    `threshold` its threshold.json.

    `states` has what it left in each state, by the state's name. Of embeddings from elsewhere there
    is no model and no history: `model` has the recipe's settings alone, and `history` no row.
    """

    recipe: str
    seed: int
    place: int
    states: Mapping[str, StateResults]
    model: dict[str, Any]
    history: pd.DataFrame
    threshold: dict[str, Any]
    is_given: bool = False
    embedded: dict[str, Any] | None = None
    """How its gallery was embedded, as embeddings/gallery.json says; None where no file does."""
    shown_name: str = ""
    """What the page calls it, where that is not its folder's name."""

    @property
    def folder_name(self) -> str:
        """The run's name as its folder has it, `<recipe>.<seed>`."""
        return run_name(self.recipe, self.seed)

    @property
    def name(self) -> str:
        """The run's name as the page shows it; no two runs of a page share one."""
        return self.shown_name or self.folder_name

    @property
    def main(self) -> StateResults:
        """The state that the run stands for."""
        return self.states[MAIN.name]

    @property
    def shown(self) -> list[State]:
        """The states that it was scored in, as tables show them: the main one first."""
        return [state for state in SHOWN if state.name in self.states]

    @property
    def others(self) -> list[State]:
        """The same without the main one."""
        return [state for state in self.shown if state is not MAIN]

    @property
    def is_pretrained(self) -> bool:
        """Whether its network's backbone had learned something before this training."""
        return is_pretrained(self.model["settings"].get("model", {}))

    @property
    def trained_parts(self) -> TrainedParts:
        """What of its network was trained; of results of before there was a choice, all."""
        return TrainedParts.from_setting(self.model["settings"].get("train", "all"))

    @property
    def is_trained(self) -> bool:
        """Whether anything was."""
        return not self.is_given and self.trained_parts.head

    @property
    def depends_on_seed(self) -> bool:
        """Whether another seed would give another network."""
        return not self.is_given and (self.is_trained or not self.is_pretrained)

    @property
    def network(self) -> str:
        """Its network by name, with that of its backbone; that of embeddings is not known."""
        if self.is_given:
            return "embeddings from elsewhere"
        return network_in_words(self.model["settings"]["model"])

    def called(self, state: State) -> str:
        """What the report calls this run in a state."""
        if state.name == MAIN.name and self.is_given:
            return AS_GIVEN
        if state.name == MAIN.name and not self.is_trained:
            return AS_IT_CAME
        if self.is_pretrained and state.of_pretrained:
            return state.of_pretrained[0]
        return state.name

    def heading(self, state: State) -> str:
        """The same as the heading of a column."""
        return self.called(state).replace("_", " ").capitalize()

    def gives(self, state: State) -> str:
        """What its numbers in a state are, as the report says it."""
        if self.is_pretrained and state.of_pretrained:
            return state.of_pretrained[1]
        return state.gives

    @property
    def settings(self) -> dict[str, Any]:
        """The recipe's settings that were used, with the image settings that were."""
        if self.is_given:
            return dict(self.model["settings"])
        settings = {**self.model["settings"], "image": self.model["image"]}
        if self.is_trained:
            # Where nothing is said of it, on all classes.
            return {**settings, SETTING: settings.get(SETTING, 1.0)}
        used = {key: settings[key] for key in _USED_UNTRAINED if key in settings}
        model = {key: value for key, value in used["model"].items() if key not in _OF_HEAD}
        return used | {"model": model}

    @property
    def epochs_of_loss_zero(self) -> list[int]:
        """The epochs in whose every step the loss was exactly 0, which teaches nothing."""
        epochs: list[int] = self.history.loc[self.history["zero_loss"] == 1, "epoch"].tolist()
        return epochs

    @property
    def loss_always_zero(self) -> bool:
        """Whether that holds for the whole training."""
        return 0 < len(self.epochs_of_loss_zero) == len(self.history)


THRESHOLD_KEYS: dict[str, type | tuple[type, ...]] = {
    "score": (int, float, type(None)),
    "promise": dict,
    "outcome": (dict, type(None)),
    "reason": (str, type(None)),
    "at_score": (dict, type(None)),
    "on": dict,
}
"""What the page needs of threshold.json."""


def read_results(run: Run, place: int) -> Results:
    """Read the files of `run`, all but its long tables."""
    folder = run.folder
    if run.given is None:
        history = _read_history(folder)
        model = read_json(folder / "model.json", {"settings": dict, "image": dict})
    else:
        history = pd.DataFrame({column: [] for column in ("epoch", *SHARES)})
        model = {"settings": dict(run.given), "image": {}}
    return Results(
        run.recipe,
        run.seed,
        place,
        {state.name: _read_state(folder / state.folder) for state in run.states},
        model,
        history,
        read_json(folder / THRESHOLD, THRESHOLD_KEYS),
        is_given=run.given is not None,
        embedded=_read_embedded(folder / "embeddings" / "gallery.json", run),
    )


def with_shown_names(runs: Sequence[Results]) -> list[Results]:
    """The same runs under the names that a page of all of them shows: see `shown_names`."""
    names = shown_names([run.folder_name for run in runs])
    return [replace(run, shown_name=names[run.folder_name]) for run in runs]


def _read_embedded(path: Path, run: Run) -> dict[str, Any] | None:
    # Whoever hands on scores alone has no such file.
    if run.given is not None or not path.exists():
        return None
    done: dict[str, Any] = read_json(
        path, {"images": int, "embedded": int, "seconds": (int, float)}
    )
    return done


def _read_history(folder: Path) -> pd.DataFrame:
    history = read_frame(folder / "history.parquet")
    for column in SHARES:
        if column not in history:
            raise LookalikeError(
                f"{shown_path(folder / 'history.parquet')}: there is no column {column!r}: an "
                f"earlier version wrote it; delete the folder {shown_path(folder)} and run again"
            )
    return history


def states_of(runs: Sequence[Results]) -> list[State]:
    """The states in which any of `runs` was scored, as tables show them."""
    there = {name for run in runs for name in run.states}
    return [state for state in SHOWN if state.name in there]


def flat(settings: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Nested settings as dotted names: `{"model": {"name": "cnn4"}}` gives `model.name`."""
    named: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, Mapping) and value:
            named |= flat(value, f"{above}{key}.")
        else:
            named[f"{above}{key}"] = value
    return named


def _read_state(folder: Path) -> StateResults:
    named = ("ties", "settings", "units", "verification", "growth")
    keys = METRICS_KEYS | dict.fromkeys(named, dict)
    return StateResults(read_json(folder / "metrics.json", keys), folder)
