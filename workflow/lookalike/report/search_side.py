"""What the search side adds to a run, as the page shows it: what each state costs, and its hubs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lookalike.report.examples import Images
from lookalike.report.results import ComparisonRows, Results
from lookalike.report.runs import COST, HUBNESS, MAIN, State
from lookalike.report.thumbnails import Thumbnail
from lookalike.storage.files import read_json

HUBS_SHOWN = 8
"""Hubs shown with their pictures."""


@dataclass(frozen=True)
class Searched:
    """A state beside the one that the run stands for.

    Attributes:
        state: which one.
        dim: numbers in an embedding; None where it has no embeddings of its own.
        bytes_per_image: that an embedding takes; likewise.
        value: of the metric that ranks runs.
        change: of it, from the run's own state.
        hubness: content of hubness.json; None where it was not asked for.

    """

    state: State
    dim: int | None
    bytes_per_image: int | None
    value: float
    change: float
    hubness: Mapping[str, Any] | None


@dataclass(frozen=True)
class Hub:
    """A gallery image that is found by many queries: `found` of them."""

    name: str
    label: str
    found: int
    thumbnail: Thumbnail | None


def searched_states(
    run: Results, rows: ComparisonRows, key: str, *, hubness: bool
) -> list[Searched]:
    """The run's states as the search side sees them; none where nothing was asked for.

    Args:
        run: the run.
        rows: of the comparison.
        key: the metric that ranks runs.
        hubness: whether hubness.json was made.

    """
    if not hubness and not any(state.on_demand for state in run.shown):
        return []
    main = rows[run.name, MAIN.name][key]
    return [_searched(run, state, rows, key, main, hubness) for state in run.shown]


def _searched(
    run: Results, state: State, rows: ComparisonRows, key: str, main: float, hubness: bool
) -> Searched:
    folder = run.states[state.name].folder
    cost = {"dim": None, "bytes_per_image": None}
    if COST in state.files:
        cost |= read_json(folder / COST, {"dim": int, "bytes_per_image": int})
    found = read_json(folder / HUBNESS, {"hubs": list}) if hubness else None
    value = rows[run.name, state.name][key]
    return Searched(state, cost["dim"], cost["bytes_per_image"], value, value - main, found)


def hubs_of(states: Sequence[Searched], gallery: Images) -> list[Hub]:
    """The gallery images that the run's own state finds most often."""
    found = states[0].hubness if states else None
    return [
        Hub(
            hub["gallery_id"],
            gallery.labels[hub["gallery_id"]],
            hub["found"],
            gallery.thumbnail(hub["gallery_id"]),
        )
        for hub in (found["hubs"][:HUBS_SHOWN] if found else [])
    ]
