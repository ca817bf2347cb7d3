"""Score a retrieval: metrics beside their chance values, intervals and bounds from ties."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from numpy.typing import NDArray

from lookalike.errors import LookalikeError
from lookalike.retrieval.chance import chance
from lookalike.retrieval.counting_gpu import accelerator_of
from lookalike.retrieval.metrics import RANK_KEYS, headline_keys, metric_keys, per_query_metrics
from lookalike.retrieval.ranking import Ranked, rank
from lookalike.retrieval.relevance import as_texts
from lookalike.retrieval.scores import SCORES
from lookalike.retrieval.statistics import FEWEST_UNITS, bootstrap_intervals
from lookalike.retrieval.streams import Items
from lookalike.text import quoted, shown

_FEWEST_RESAMPLES, _MOST_RESAMPLES = 1000, 1_000_000
# What every reader of JSON, and numpy, takes for the same whole number.
_LARGEST = 2**53
# Names of the rankings table that are gathered at once: Arrow's limit is 2 GiB of text.
_QUERIES_AT_ONCE = 10_000


@dataclass(frozen=True)
class Protocol:
    """How a ranking is turned into numbers; the settings that metrics.json repeats.

    Attributes:
        k: cut-offs, from 1; kept ascending and without repeats.
        no_relevant: what a query without a relevant item does: `skip` leaves it out of every mean,
            `zero` gives it 0 (and G + 1 for ranks), `error` stops.
        exclude: which gallery items a query leaves out: `none`, `same_file`, `same_content` or
            `same_id`.
        bootstrap: resamples for the intervals, 1,000 to 1,000,000; 0 for no intervals.
        bootstrap_unit: what is resampled, `query` or `class`.
        seed: seed of the resampling.

    Raises:
        LookalikeError: a value is not one of these.

    """

    k: Sequence[int] = (1, 10, 50)
    no_relevant: str = "skip"
    exclude: str = "none"
    bootstrap: int = 1000
    bootstrap_unit: str = "query"
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "k", sorted(set(self.k)))
        if not self.k or self.k[0] < 1 or self.k[-1] > _LARGEST:
            raise LookalikeError(
                f"k: {self.k} must be a list of whole numbers from 1 to {_LARGEST}"
            )
        if self.bootstrap != 0 and self.bootstrap < _FEWEST_RESAMPLES:
            raise LookalikeError(
                f"bootstrap: {self.bootstrap} resamples are too few for a 95 % interval; take "
                f"{_FEWEST_RESAMPLES} or more, or 0 for no intervals"
            )
        if self.bootstrap > _MOST_RESAMPLES:
            raise LookalikeError(
                f"bootstrap: {self.bootstrap} resamples would take for ever and change nothing; "
                f"take {_MOST_RESAMPLES} at most"
            )
        if not 0 <= self.seed <= _LARGEST:
            raise LookalikeError(f"seed: {self.seed} must be a whole number from 0 to {_LARGEST}")
        for name, value, allowed in (
            ("no_relevant", self.no_relevant, ("skip", "zero", "error")),
            ("exclude", self.exclude, ("none", "same_file", "same_content", "same_id")),
            ("bootstrap_unit", self.bootstrap_unit, ("query", "class")),
        ):
            if value not in allowed:
                raise LookalikeError(f"{name}: '{value}' is not one of {', '.join(allowed)}")


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` found: `summary` is metrics.json, the tables are the files of their names."""

    summary: dict[str, Any]
    per_query: pa.Table
    rankings: pa.Table


def evaluate(
    queries: Items,
    gallery: Items,
    *,
    score: str,
    protocol: Protocol,
    seen: Callable[[int], object] = lambda scores: None,
    device: torch.device | str = "cpu",
) -> Evaluation:
    """Evaluate embeddings in memory or as a stream, see `lookalike.retrieval.ranking.rank`.

    Args:
        queries: the Q queries.
        gallery: the N items that are searched.
        score: "cosine" or "euclidean".
        protocol: how rankings are turned into numbers.
        seen: told now and then how many more of the Q x N scores have been counted.
        device: where scores are made and counted.

    Raises:
        LookalikeError: no query can be scored, or `no_relevant` is "error" and one cannot; an
            embedding is not finite; `score` is unknown, or the device cannot make it.

    """
    if score not in SCORES:
        raise LookalikeError(f"score: '{score}' is not one of {', '.join(SCORES)}")
    results = _Results(queries, gallery, protocol)
    depth = results.places.shape[1]
    accelerator = accelerator_of(torch.device(device))
    for ranked in rank(
        queries, gallery, score=score, depth=depth, seen=seen, accelerator=accelerator
    ):
        results.add(ranked)
    results.require_scored()
    return Evaluation(
        summary=_summary(results, score),
        per_query=_per_query_table(results),
        rankings=_rankings_table(results),
    )


def table_of(summary: dict[str, Any]) -> str:
    """Return the headline of metrics.json as a small table to read: value, chance, interval."""
    lines = [
        f"{summary['n_queries']} queries scored, {summary['n_skipped_queries']} skipped; "
        f"{summary['n_gallery']} gallery images; score {summary['score']}",
        f"{'':<12}{'value':>10}{'chance':>10}   95 % interval",
    ]
    for key in [*headline_keys(summary["settings"]["k"]), "mAP", "MRR"]:
        interval = summary["ci95"].get(key)
        value, by_chance = (_shown(key, summary[part][key]) for part in ("metrics", "chance"))
        shown = " to ".join(_shown(key, bound) for bound in interval) if interval else "-"
        lines.append(f"{key:<12}{value:>10}{by_chance:>10}   {shown}")
    if not summary["ci95"] and summary["settings"]["bootstrap"]:
        units = "classes" if summary["settings"]["bootstrap_unit"] == "class" else "queries"
        lines.append(f"no intervals: fewer than {FEWEST_UNITS} {units}")
    ties = summary["ties"]
    if ties["share"] > 0:
        bounds = [
            f"{key} {_shown(key, ties['pessimistic'][key])} to {_shown(key, best)}"
            for key, best in ties["optimistic"].items()
        ]
        lines.append(f"equal scores decide {ties['share']:.1%} of the queries:")
        lines.append(f"  from worst to best order: {', '.join(bounds)}")
    return "\n".join(lines)


class _Results:
    """What is kept of the rankings: a row a query, in the order of the query table.

    Attributes:
        n_relevant, n_gallery, first_rank: int64 [Q]; R, G and r_1 (0 where R is 0).
        scored: bool [Q], whether the query counts.
        values: every metric of each query, float64 [Q].
        optimistic, pessimistic: the headline metrics where relevant items win, or lose, all ties.
        places: int32 [Q, depth], -1 beyond the gallery's end; scores float32, relevant bool.
    """

    def __init__(self, queries: Items, gallery: Items, protocol: Protocol) -> None:
        self.queries, self.gallery, self.protocol = queries, gallery, protocol
        n, depth = len(queries.ids), min(max(protocol.k), len(gallery.ids))
        headline = headline_keys(protocol.k)
        self.n_relevant, self.n_gallery, self.first_rank = np.zeros((3, n), np.int64)
        self.values = {key: np.empty(n) for key in metric_keys(protocol.k)}
        self.optimistic = {key: np.empty(n) for key in headline}
        self.pessimistic = {key: np.empty(n) for key in headline}
        self.places = np.empty((n, depth), np.int32)
        self.scores = np.empty((n, depth), np.float32)
        self.relevant = np.empty((n, depth), np.bool_)

    def add(self, ranked: Ranked) -> None:
        """Measure and keep some queries' rankings."""
        at, ranks = ranked.queries, ranked.ranks
        self.n_gallery[at], self.n_relevant[at] = ranked.n_gallery, ranks.counts
        self.first_rank[at[ranks.counts > 0]] = ranks.values[ranks.starts[:-1][ranks.counts > 0]]
        # Mostly there is no tie, and the bounds are the ranks themselves.
        best, worst = (
            ranks if np.array_equal(bound.values, ranks.values) else bound
            for bound in (ranked.optimistic, ranked.pessimistic)
        )
        for kept, measured in (
            (self.values, ranks),
            (self.optimistic, best),
            (self.pessimistic, worst),
        ):
            found = per_query_metrics(measured, ranked.n_gallery, self.protocol.k, list(kept))
            for key, column in found.items():
                kept[key][at] = column
        self.places[at], self.scores[at] = ranked.places, ranked.scores
        self.relevant[at] = ranked.relevant

    @property
    def scored(self) -> NDArray[np.bool_]:
        if self.protocol.no_relevant == "zero":
            return np.ones(len(self.n_relevant), np.bool_)
        return self.n_relevant > 0

    def require_scored(self) -> None:
        """Raise LookalikeError where a query must not be left out, or none is left."""
        n, without = len(self.n_relevant), np.flatnonzero(self.n_relevant == 0)
        if len(without) and self.protocol.no_relevant == "error":
            names = [
                f"{shown(str(self.queries.ids[i]))} ({quoted(str(self.queries.labels[i]))})"
                for i in without[:5].tolist()
            ]
            raise LookalikeError(
                f"no_relevant: error, and {len(without)} of {n} queries have no gallery "
                f"item of their label: {', '.join(names)}{', ...' if len(without) > 5 else ''}"
            )
        if not self.scored.any():
            raise LookalikeError(
                f"none of the {n} queries can be scored: for none does the gallery hold an item of "
                f"its label (exclude: {self.protocol.exclude}). Do query and gallery write their "
                "labels in the same way?"
            )


def _summary(results: _Results, score: str) -> dict[str, Any]:
    """Build the content of metrics.json."""
    protocol, scored = results.protocol, results.scored
    values, optimistic, pessimistic = (
        {key: column[scored] for key, column in columns.items()}
        for columns in (results.values, results.optimistic, results.pessimistic)
    )
    undecided = np.any([optimistic[key] != pessimistic[key] for key in optimistic], axis=0)
    n_scored = int(scored.sum())
    return {
        "metrics": {key: _over_queries(key, column) for key, column in values.items()},
        "chance": chance(results.n_gallery[scored], results.n_relevant[scored], protocol.k),
        "ci95": _intervals(results, values),
        "n_queries": n_scored,
        "n_gallery": len(results.gallery.ids),
        "n_skipped_queries": len(scored) - n_scored,
        "n_queries_without_relevant": int((results.n_relevant == 0).sum()),
        "ties": {
            "share": int(undecided.sum()) / n_scored,
            "optimistic": {key: _over_queries(key, some) for key, some in optimistic.items()},
            "pessimistic": {key: _over_queries(key, some) for key, some in pessimistic.items()},
        },
        "score": score,
        "settings": asdict(protocol),
    }


def _over_queries(key: str, column: NDArray[np.float64]) -> float:
    """The mean over queries, or the median. An exact sum: the order of queries cannot matter."""
    if key == "median_rank":
        return float(np.median(column))
    return math.fsum(column) / len(column)


def _intervals(results: _Results, values: dict[str, NDArray[np.float64]]) -> dict[str, list[float]]:
    """Bootstrap over the scored queries, sorted by id: their order in the table cannot matter."""
    protocol = results.protocol
    if protocol.bootstrap == 0:
        return {}
    scored = np.flatnonzero(results.scored)
    queries = results.queries
    ids, labels = (as_texts(names).take(scored) for names in (queries.ids, queries.labels))
    order = pc.array_sort_indices(ids).to_numpy()
    intervals = bootstrap_intervals(
        {key: column[order] for key, column in values.items()},
        resamples=protocol.bootstrap,
        seed=protocol.seed,
        units=labels.take(order).to_pylist() if protocol.bootstrap_unit == "class" else None,
        medians=("median_rank",),
    )
    return {key: list(interval) for key, interval in intervals.items()}


def _per_query_table(results: _Results) -> pa.Table:
    """One row per query in the order of the query table; metrics are null where it is skipped."""
    columns = {
        "query_id": results.queries.ids,
        "label": results.queries.labels,
        "n_relevant": pa.array(results.n_relevant),
        "n_gallery": pa.array(results.n_gallery),
        "scored": pa.array(results.scored),
        "first_rank": pa.array(results.first_rank, mask=results.n_relevant == 0),
    }
    for key, values in results.values.items():
        if key != "median_rank":
            columns[key] = pa.array(values, mask=~results.scored)
    return pa.table(columns)


def _rankings_table(results: _Results) -> pa.Table:
    """The first max(k) places of every query, also of those that are skipped."""
    query_ids, gallery_ids = as_texts(results.queries.ids), as_texts(results.gallery.ids)
    tables = []
    for start in range(0, len(results.places), _QUERIES_AT_ONCE):
        rows = slice(start, start + _QUERIES_AT_ONCE)
        query, place = np.nonzero(results.places[rows] >= 0)
        at = query + start, place
        columns = {
            "query_id": query_ids.take(at[0]),
            "rank": pa.array(place + 1),
            "gallery_id": gallery_ids.take(results.places[at]),
            "score": pa.array(results.scores[at]),
            "relevant": pa.array(results.relevant[at]),
        }
        tables.append(pa.table(columns))
    return pa.concat_tables(tables)


def _shown(key: str, value: float) -> str:
    """Four decimals for shares, one for ranks."""
    return f"{value:.1f}" if key in RANK_KEYS else f"{value:.4f}"
