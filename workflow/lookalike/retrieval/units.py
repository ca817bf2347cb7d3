"""What an interval draws again: single queries, or classes with all their queries."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

UNITS = ("query", "class")
AUTO = "auto"


@dataclass(frozen=True)
class Units:
    """The units of an evaluation.

    Attributes:
        unit: `query` or `class`.
        n: how many there are among the scored queries.
        why: why these, in words.
    """

    unit: str
    n: int
    why: str

    def to_dict(self) -> dict[str, Any]:
        """As in metrics.json."""
        return asdict(self)


def units_of(asked: str, n_queries: int, n_classes: int, of_training_classes: bool | None) -> Units:
    """The units that were asked for, or that fit the data.

    Queries of one class succeed and fail together. Where the classes to come are others than these,
    as where none of these is trained on, a class is what is drawn from the world; where the queries
    to come are of these very classes, a query is.

    Args:
        asked: `query`, `class` or `auto`.
        n_queries: queries that are scored.
        n_classes: their classes.
        of_training_classes: whether any query is of a class that is trained on; None where that is
            not known.
    """
    if asked != AUTO:
        unit, why = asked, f"metrics.bootstrap_unit is {asked}"
    elif of_training_classes:
        unit, why = "query", "queries are of classes that are trained on"
    elif n_classes == n_queries:
        unit, why = "query", "no class has several queries"
    elif of_training_classes is None:
        unit, why = "class", "classes have several queries"
    else:
        unit, why = "class", "classes have several queries, and none of these is trained on"
    return Units(unit, n_classes if unit == "class" else n_queries, why)
