"""Runs by name, and the states in which each is scored.

A state is declared once, in `STATES`; rules, comparison and report go through those that a run is
scored in. Imports nothing heavy: every job parses the rules again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

METRICS_KEYS = {"metrics": dict, "chance": dict, "ci95": dict}
"""What of metrics.json a comparison needs."""

SCORE_FILES = ("metrics.json", "per_query.parquet", "rankings.parquet")
"""What every state has: what its rankings are worth."""
THRESHOLD = "threshold.json"
"""What a run has in the state that it stands for: from which score on an answer is believed."""
MODEL = ("model.safetensors", "model.json")
EMBEDDINGS = ("embeddings/query.parquet", "embeddings/gallery.parquet")
COST = "search.json"
"""What a state without a model of its own notes of how its embeddings were made."""
HUBNESS = "hubness.json"
"""Where it is asked for, what a state has of how often each gallery image is found."""

RUN_PATTERN = r"[A-Za-z0-9_-][A-Za-z0-9_.-]*\.\d+"
"""What the name of a run looks like, as a regular expression; that of a swept recipe holds dots."""


@dataclass(frozen=True)
class State:
    """A state in which runs are scored: every run, or each where the settings ask for it.

    Attributes:
        name: as the column `state` and the report call it; letters, digits and underscores.
        gives: what its numbers are, as the report says it: "what the same network gives ...".
        folder: where its files lie, inside the run's folder; empty for that folder itself.
        against: name of the state that it is measured against; None where there is none.
        files: what it has of its own, as paths inside its folder. A state that only orders anew
            what another one found has neither a model nor embeddings; what embeddings it lacks are
            those of the state that it is measured against.
        of_pretrained: what the report calls it, and what its numbers are, in a run whose backbone
            had learned something before; None where that makes no difference.
        on_demand: whether `search` in the settings must ask for it, by its name.
        of_training_images: whether it is learnt from the training images' embeddings.
    """

    name: str
    gives: str
    folder: str
    against: str | None
    files: tuple[str, ...] = (*MODEL, *EMBEDDINGS, *SCORE_FILES)
    of_pretrained: tuple[str, str] | None = None
    on_demand: bool = False
    of_training_images: bool = False


def _searched(name: str, gives: str, files: tuple[str, ...], *, learnt: bool = False) -> State:
    """A state that the search side makes of the trained one, where the settings ask for it."""
    files = (*files, *SCORE_FILES)
    return State(
        name,
        gives,
        folder=name,
        against="trained",
        files=files,
        on_demand=True,
        of_training_images=learnt,
    )


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
    _searched("whitened", "what its embeddings give whitened", (*EMBEDDINGS, COST), learnt=True),
    _searched(
        "truncated",
        "what their first principal dimensions give",
        (*EMBEDDINGS, COST),
        learnt=True,
    ),
    _searched("quantized", "what they give in a byte a number", (*EMBEDDINGS, COST)),
    _searched("expanded", "what queries joined by what they find give", (EMBEDDINGS[0], COST)),
    _searched("augmented", "what gallery images joined by alike ones give", (EMBEDDINGS[1], COST)),
    _searched(
        "scaled", "what distances scaled by each image's neighbours give", (*EMBEDDINGS, COST)
    ),
    _searched("reranked", "what re-ranking by shared neighbours gives", ()),
)
"""All states, in the order in which they come to be.

The one whose folder is the run's own is what a run stands for: it ranks runs, classes and queries.
"""


SHOWN = tuple(sorted(STATES, key=lambda state: state.folder != ""))
"""The states as tables show them: the run's own, then the others in the order of `STATES`."""

ALWAYS = tuple(state for state in SHOWN if not state.on_demand)
"""Those of every run."""

MAIN, *OTHERS = SHOWN
(BASELINE,) = (state for state in STATES if state.name == MAIN.against)
"""What a run must surpass for its training to have helped."""


class Run(NamedTuple):
    """A run: its recipe, its seed, its results folder and the states in which it is scored."""

    recipe: str
    seed: int
    folder: Path
    states: tuple[State, ...] = ALWAYS
    """In the order of `SHOWN`."""
    given: Mapping[str, Any] | None = None
    """The recipe's settings where its embeddings come from elsewhere: it has no model then."""

    @classmethod
    def of(cls, recipe: str, seed: int, states: Collection[str], folder: Path) -> Self:
        """The run whose `states` have these names."""
        return cls(recipe, seed, folder, tuple(state for state in SHOWN if state.name in states))


def run_name(recipe: str, seed: int) -> str:
    """Name of a run, `<recipe>.<seed>`, as its folder is called."""
    return f"{recipe}.{seed}"


def shown_names(runs: Collection[str]) -> dict[str, str]:
    """What each run is called where a person reads of it: by its recipe, if it is the only one.

    Args:
        runs: names of all runs that are told of, as from `run_name`.

    >>> shown_names(["ms.0", "ntx.0", "ntx.1"])
    {'ms.0': 'ms', 'ntx.0': 'ntx.0', 'ntx.1': 'ntx.1'}
    """
    recipes = Counter(run.rpartition(".")[0] for run in runs)
    shown = {}
    for run in runs:
        recipe = run.rpartition(".")[0]
        # A swept recipe's name may read as that of a run.
        shown[run] = recipe if recipes[recipe] == 1 and recipe not in runs else run
    return shown


def model_name(run: str, state: State) -> str:
    """Name of a run in a state, as its folder is called: `default.0/untrained`."""
    return f"{run}/{state.folder}" if state.folder else run


def model_pattern(*files: str) -> str:
    """What the name of a run in any state looks like, as a regular expression.

    files: only in a state that has one of these of its own, if any are given.
    """
    names = [state.folder for state in SHOWN if not files or {*files} & {*state.files}]
    others = "|".join(f"/{name}" for name in names if name)
    return f"{RUN_PATTERN}({others}){'?' if '' in names else ''}"


def states_asked_for(search: Mapping[str, Any], *, given: bool = False) -> tuple[State, ...]:
    """The states that a run is scored in, in the order of `SHOWN`.

    Args:
        search: the settings of that name; what is not false there is asked for.
        given: whether its embeddings come from elsewhere: without a network there is none before
            training, and no embeddings of training images.
    """

    def is_asked_for(state: State) -> bool:
        if state.on_demand:
            return search[state.name] is not False and not (given and state.of_training_images)
        return state is MAIN or not given

    return tuple(filter(is_asked_for, SHOWN))


def learnt_states(search: Mapping[str, Any], given: Iterable[bool]) -> list[str]:
    """What the search side learns from the embedded training images: names of states, sorted.

    Args:
        search: the settings of that name.
        given: of each run, whether its embeddings come from elsewhere.
    """
    return sorted(
        {
            state.name
            for is_given in {*given}
            for state in states_asked_for(search, given=is_given)
            if state.of_training_images
        }
    )


def state_in(model: str) -> State:
    """The state that the name of a model ends in: `untrained` of default.0/untrained."""
    folder = model.partition("/")[2]
    (state,) = (state for state in SHOWN if state.folder == folder)
    return state


def source_of(run: str, state: State, file: str) -> str:
    """Name of the model whose `file` a run has in a state: its own, or of what it is made of."""
    while file not in state.files:
        (state,) = (other for other in SHOWN if other.name == state.against)
    return model_name(run, state)
