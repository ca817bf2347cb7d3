"""What changed between two runs, or two states of one: the queries that gained and lost most."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from lookalike.report.examples import Images, Query, examples
from lookalike.report.results import StateResults

# Sums of the same terms in another order differ in the last digits: that is no change.
_DECIMALS = 9


@dataclass(frozen=True)
class MostChanged:
    """Which queries changed most, by their ids.

    Attributes:
        gained: those that gained most, the greatest gain first.
        lost: those that lost most, likewise.
        n_gained: how many gained, shown or not.
        n_lost: how many lost.
        n_equal: how many did neither.
    """

    gained: list[str]
    lost: list[str]
    n_gained: int
    n_lost: int
    n_equal: int


def most_changed(before: pd.DataFrame, after: pd.DataFrame, key: str, count: int) -> MostChanged:
    """The `count` queries that gained most in metric `key`, and as many that lost most.

    Of the queries that both scored and that have something to find. Among equal gains comes first
    the one whose first right image moved further, then the id. The first ones shown are each of
    another class, as far as there are classes, so that one does not fill the list.

    Args:
        before: per_query.parquet of the one.
        after: that of the other.
        key: a metric of which more is better.
        count: of each list, at most.
    """
    columns = ["query_id", "label", "first_rank", key]
    one, other = (
        table.loc[table["scored"] & (table["n_relevant"] > 0), columns] for table in (before, after)
    )
    both = one.merge(other[["query_id", "first_rank", key]], on="query_id", suffixes=("", "_after"))
    gain = (both[f"{key}_after"] - both[key]).round(_DECIMALS)
    changed = pd.DataFrame(
        {
            "query_id": both["query_id"],
            "label": both["label"],
            "gain": gain,
            "nearer": both["first_rank"] - both["first_rank_after"],
        }
    )
    gained, lost = changed[gain > 0], changed[gain < 0]
    return MostChanged(
        _first_of_classes(gained, count, 1),
        _first_of_classes(lost, count, -1),
        len(gained),
        len(lost),
        len(changed) - len(gained) - len(lost),
    )


def _first_of_classes(changed: pd.DataFrame, count: int, sign: int) -> list[str]:
    """Ids by `sign` times gain and nearness, the greatest first; one of each class, then others."""
    ordered = changed.assign(gain=-sign * changed["gain"], nearer=-sign * changed["nearer"])
    ordered = ordered.sort_values(["gain", "nearer", "query_id"])
    further = ordered["label"].duplicated()
    return [*ordered.loc[~further, "query_id"], *ordered.loc[further, "query_id"]][:count]


@dataclass(frozen=True)
class ComparedSide:
    """One of two that are laid beside each other.

    Attributes:
        name: as the page calls it.
        state: what it left.
        per_query: the columns of its per_query.parquet that a comparison needs.
    """

    name: str
    state: StateResults
    per_query: pd.DataFrame

    @classmethod
    def of(cls, name: str, state: StateResults, key: str) -> ComparedSide:
        """Read what a comparison by metric `key` needs."""
        columns = ("query_id", "label", "scored", "n_relevant", "n_gallery", "first_rank", key)
        return cls(name, state, state.per_query(columns))


@dataclass(frozen=True)
class Changed:
    """A query with what each side found for it."""

    before: Query
    after: Query


@dataclass(frozen=True)
class Changes:
    """What changed from one side to another, named `before` and `after`.

    Attributes:
        before: name of the one.
        after: name of the other.
        counts: how many queries changed at all.
        gained: those that gained most.
        lost: those that lost most.
    """

    before: str
    after: str
    counts: MostChanged
    gained: list[Changed]
    lost: list[Changed]


def changes_between(
    before: ComparedSide,
    after: ComparedSide,
    images: Mapping[str, Images],
    key: str,
    places: int,
    count: int,
    *,
    anchor: str = "change-",
) -> Changes:
    """The queries that gained and lost most in metric `key`, `count` of each, with their pictures.

    Args:
        before: the one.
        after: the other.
        images: of `query` and `gallery`.
        key: a metric of which more is better.
        places: gallery images shown of each ranking.
        count: queries shown that gained, and that lost, at most.
        anchor: what anchors begin with.
    """
    counts = most_changed(before.per_query, after.per_query, key, count)
    names = [*counts.gained, *counts.lost]
    shown_of = [
        examples(
            names,
            side.per_query,
            side.state.rankings(places, names),
            images["query"],
            images["gallery"],
            key,
            places,
            anchor=anchor,
        )
        for side in (before, after)
    ]
    pairs = [Changed(first, second) for first, second in zip(*shown_of, strict=True)]
    middle = len(counts.gained)
    return Changes(before.name, after.name, counts, pairs[:middle], pairs[middle:])


def thumbnails_in(changes: Changes) -> set[str]:
    """Ids of the thumbnails that are shown."""
    shown = [
        thumbnail
        for query in _queries(changes)
        for thumbnail in (query.thumbnail, *(hit.thumbnail for hit in query.hits))
    ]
    return {thumbnail.id for thumbnail in shown if thumbnail is not None}


def _queries(changes: Changes) -> Iterator[Query]:
    for changed in (*changes.gained, *changes.lost):
        yield from (changed.before, changed.after)


def shown_anchors(changes: Sequence[Changes]) -> list[tuple[str, str]]:
    """Anchor and class of every query, as they stand on the page."""
    return [
        (changed.after.anchor, changed.after.label)
        for each in changes
        for changed in (*each.gained, *each.lost)
    ]
