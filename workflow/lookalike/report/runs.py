"""Runs by name, and the states in which each is scored.

A state is declared once, in `STATES`; rules, comparison and report go through those that a run is
scored in. Imports nothing heavy: every job parses the rules again.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self

METRICS_KEYS = {"metrics": dict, "chance": dict, "ci95": dict}
"""What of metrics.json a comparison needs."""

SCORE_FILES = ("metrics.json", "per_query.parquet", "rankings.parquet")
"""What every state has: what its rankings are worth."""
THRESHOLD = "threshold.json"
"""What a run has in the state that it stands for: from which score on an answer is believed."""
MODEL = ("model.safetensors", "model.json")
EMBEDDINGS = ("embeddings/query.parquet", "embeddings/gallery.parquet")

RUN_PATTERN = r"[A-Za-z0-9_-]+\.\d+"
"""What the name of a run looks like, as a regular expression."""


@dataclass(frozen=True)
class State:
    """A state in which every run is scored.

    Attributes:
        name: as the column `state` and the report call it; letters, digits and underscores.
        gives: what its numbers are, as the report says it: "what the same network gives ...".
        folder: where its files lie, inside the run's folder; empty for that folder itself.
        against: name of the state that it is measured against; None where there is none.
        files: what it has of its own, as paths inside its folder. A state that only orders anew
            what another one found has neither a model nor embeddings.
        of_pretrained: what the report calls it, and what its numbers are, in a run whose backbone
            had learned something before; None where that makes no difference.
    """

    name: str
    gives: str
    folder: str
    against: str | None
    files: tuple[str, ...] = (*MODEL, *EMBEDDINGS, *SCORE_FILES)
    of_pretrained: tuple[str, str] | None = None


STATES = (
    State(
        "untrained",
        "what the same network gives before its first training step",
        folder="untrained",
        against=None,
        of_pretrained=(
            "before training",
            "what the pretrained backbone's own features give before training, without the head",
        ),
    ),
    State(
        "trained",
        "what the trained network gives",
        folder="",
        against="untrained",
        files=(*MODEL, *EMBEDDINGS, *SCORE_FILES, THRESHOLD),
    ),
)
"""All states, in the order in which they come to be.

The one whose folder is the run's own is what a run stands for: it ranks runs, classes and queries.
"""


SHOWN = tuple(sorted(STATES, key=lambda state: state.folder != ""))
"""The states as tables show them: the run's own, then the others in the order of `STATES`."""

MAIN, *OTHERS = SHOWN
(BASELINE,) = (state for state in STATES if state.name == MAIN.against)
"""What a run must surpass for its training to have helped."""


class Run(NamedTuple):
    """A run: its recipe, its seed, its results folder and the states in which it is scored."""

    recipe: str
    seed: int
    folder: Path
    states: tuple[State, ...] = SHOWN
    """In the order of `SHOWN`."""

    @classmethod
    def of(cls, recipe: str, seed: int, states: Collection[str], folder: Path) -> Self:
        """The run whose `states` have these names."""
        return cls(recipe, seed, folder, tuple(state for state in SHOWN if state.name in states))


def run_name(recipe: str, seed: int) -> str:
    """Name of a run, `<recipe>.<seed>`, as its folder is called."""
    return f"{recipe}.{seed}"


def model_name(run: str, state: State) -> str:
    """Name of a run in a state, as its folder is called: `default.0/untrained`."""
    return f"{run}/{state.folder}" if state.folder else run


def model_pattern() -> str:
    """What the name of a run in any state looks like, as a regular expression."""
    return f"{RUN_PATTERN}({'|'.join(f'/{state.folder}' for state in OTHERS)})?"
