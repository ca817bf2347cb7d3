"""What the report says of winners that were chosen from sweeps, by held-out images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lookalike.errors import LookalikeError
from lookalike.storage.files import read_json
from lookalike.text import shown_path

MOST_WINNERS = 30
"""Winners shown."""
NEXT = 3
"""Candidates shown beside each."""


@dataclass(frozen=True)
class TriedRecipe:
    """A point of a sweep, as it was last trained.

    Attributes:
        recipe: its name.
        value: of held-out images, the mean over its runs.
        n_runs: how many these are.
        share: of the full length one in so many was trained.
    """

    recipe: str
    value: float
    n_runs: int
    share: int


@dataclass(frozen=True)
class Winner:
    """A winner, and whom it surpassed.

    Attributes:
        recipe: by which it was trained again, as the page calls it.
        by: the score of held-out images.
        candidates: the winner first, then the next ones; those that fell out in an earlier rung
            come after all that went further.
        n_candidates: how many there were.
        rungs: in how many rounds of training.
    """

    recipe: str
    by: str
    candidates: Sequence[TriedRecipe]
    n_candidates: int
    rungs: int


def read_selections(path: Path) -> list[Winner]:
    """The winners that results/selection.json tells of, in its order.

    Raises:
        LookalikeError: it cannot be read, or is not what was written.
    """
    tables: Any = read_json(path)
    try:
        return [
            _chosen(final, winner, table)
            for table in tables.values()
            for final, winner in table["winners"].items()
        ]
    except (AttributeError, KeyError, TypeError, StopIteration):
        raise LookalikeError(
            f"{shown_path(path)} is not what was written there. Delete it, and the same command "
            "makes it anew"
        ) from None


def _chosen(final: str, winner: str, table: Mapping[str, Any]) -> Winner:
    group = next(one["group"] for one in table["candidates"] if one["recipe"] == winner)
    rivals = [one for one in table["candidates"] if one["group"] == group]
    rungs = [one["rung"] for one in rivals]
    rivals.sort(key=lambda one: (-one["rung"], -one["value"], one["recipe"]))
    first = [one for one in rivals if one["recipe"] == winner]
    others = [one for one in rivals if one["recipe"] != winner]
    return Winner(
        final,
        table["by"],
        [
            TriedRecipe(one["recipe"], one["value"], len(one["runs"]), one["share"])
            for one in [*first, *others[:NEXT]]
        ],
        len(rivals),
        max(rungs) - min(rungs) + 1,
    )
