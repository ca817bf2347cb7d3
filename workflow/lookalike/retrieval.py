"""Score a retrieval: metrics beside their chance values, intervals and bounds from ties."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from operator import ne
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lookalike.chance import chance
from lookalike.errors import LookalikeError
from lookalike.metrics import RANK_KEYS, headline_keys, metric_keys, per_query_metrics
from lookalike.ranking import SCORES, Block, RankedQuery, rank
from lookalike.statistics import bootstrap_intervals

_FEWEST_RESAMPLES = 1000


@dataclass(frozen=True)
class Protocol:
    """How a ranking is turned into numbers; the settings that metrics.json repeats.

    Attributes:
        k: cut-offs, from 1; kept ascending and without repeats.
        no_relevant: what a query without a relevant item does: `skip` leaves it out of every mean,
            `zero` gives it 0 (and G + 1 for ranks), `error` stops.
        exclude: which gallery items a query leaves out: `none`, `same_file`, `same_content` or
            `same_id`.
        bootstrap: resamples for the intervals, at least 1,000; 0 for no intervals.
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
        if not self.k or self.k[0] < 1:
            raise LookalikeError(f"k: {self.k} must be a list of whole numbers from 1")
        if self.bootstrap != 0 and self.bootstrap < _FEWEST_RESAMPLES:
            raise LookalikeError(
                f"bootstrap: {self.bootstrap} resamples are too few for a 95 % interval; take "
                f"{_FEWEST_RESAMPLES} or more, or 0 for no intervals"
            )
        if self.seed < 0:
            raise LookalikeError(f"seed: {self.seed} must be a whole number from 0")
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
    queries: Iterable[Block],
    gallery: Callable[[], Iterable[Block]],
    *,
    score: str,
    protocol: Protocol,
) -> Evaluation:
    """Evaluate embeddings in memory or in blocks, see `lookalike.ranking.rank`.

    Raises:
        LookalikeError: no query can be scored, or `no_relevant` is "error" and one cannot; an
            embedding is not finite; `score` is unknown.

    """
    if score not in SCORES:
        raise LookalikeError(f"score: '{score}' is not one of {', '.join(SCORES)}")
    ranked = rank(queries, gallery, score=score, depth=max(protocol.k))
    results = [_measure(query, protocol) for query in ranked]
    _require_scored(results, protocol)
    gallery_ids = np.array([name for block in gallery() for name in block.ids], dtype=object)
    return Evaluation(
        summary=_summary(results, len(gallery_ids), score, protocol),
        per_query=_per_query_table(results, protocol),
        rankings=_rankings_table(results, gallery_ids),
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
    ties = summary["ties"]
    if ties["share"] > 0:
        bounds = [
            f"{key} {_shown(key, ties['pessimistic'][key])} to {_shown(key, best)}"
            for key, best in ties["optimistic"].items()
        ]
        lines.append(f"equal scores decide {ties['share']:.1%} of the queries:")
        lines.append(f"  from worst to best order: {', '.join(bounds)}")
    return "\n".join(lines)


@dataclass(frozen=True)
class _Result:
    """What is kept of one ranked query; `measured` is None where it is not scored."""

    id: str
    label: str
    n_relevant: int
    n_gallery: int
    first_rank: int | None
    places: NDArray[np.int64]
    scores: NDArray[np.float32]
    relevant: NDArray[np.bool_]
    measured: _Measured | None


@dataclass(frozen=True)
class _Measured:
    """Every metric of a scored query; the headline where relevant items win, or lose, all ties."""

    values: dict[str, float]
    optimistic: dict[str, float]
    pessimistic: dict[str, float]


def _measure(query: RankedQuery, protocol: Protocol) -> _Result:
    measured = None
    if len(query.ranks) or protocol.no_relevant == "zero":
        headline = headline_keys(protocol.k)
        values = per_query_metrics(query.ranks, query.n_gallery, protocol.k)
        best, worst = (
            # Mostly there is no tie, and the bounds are the ranks themselves.
            values
            if np.array_equal(ranks, query.ranks)
            else per_query_metrics(ranks, query.n_gallery, protocol.k)
            for ranks in (query.optimistic, query.pessimistic)
        )
        measured = _Measured(
            values, {key: best[key] for key in headline}, {key: worst[key] for key in headline}
        )
    return _Result(
        id=query.id,
        label=query.label,
        n_relevant=len(query.ranks),
        n_gallery=query.n_gallery,
        first_rank=int(query.ranks[0]) if len(query.ranks) else None,
        places=query.places,
        scores=query.scores,
        relevant=np.isin(np.arange(1, len(query.places) + 1), query.ranks),
        measured=measured,
    )


def _require_scored(results: Sequence[_Result], protocol: Protocol) -> None:
    without = [f"{result.id} ({result.label})" for result in results if result.n_relevant == 0]
    if without and protocol.no_relevant == "error":
        raise LookalikeError(
            f"no_relevant: error, and {len(without)} of {len(results)} queries have no gallery "
            f"item of their label: {', '.join(without[:5])}{', ...' if len(without) > 5 else ''}"
        )
    if not any(result.measured for result in results):
        raise LookalikeError(
            f"none of the {len(results)} queries can be scored: for none does the gallery hold an "
            f"item of its label (exclude: {protocol.exclude}). Do query and gallery write their "
            "labels in the same way?"
        )


def _summary(
    results: Sequence[_Result], n_gallery: int, score: str, protocol: Protocol
) -> dict[str, Any]:
    """Build the content of metrics.json."""
    headline, keys = headline_keys(protocol.k), metric_keys(protocol.k)
    scored = [result for result in results if result.measured]
    measured = [result.measured for result in scored if result.measured]
    values = [query.values for query in measured]
    optimistic = [query.optimistic for query in measured]
    pessimistic = [query.pessimistic for query in measured]
    return {
        "metrics": {key: _over_queries(key, values) for key in keys},
        "chance": chance(
            np.array([result.n_gallery for result in scored]),
            np.array([result.n_relevant for result in scored]),
            protocol.k,
        ),
        "ci95": _intervals(scored, values, protocol),
        "n_queries": len(scored),
        "n_gallery": n_gallery,
        "n_skipped_queries": len(results) - len(scored),
        "n_queries_without_relevant": sum(result.n_relevant == 0 for result in results),
        "ties": {
            "share": sum(map(ne, optimistic, pessimistic)) / len(scored),
            "optimistic": {key: _over_queries(key, optimistic) for key in headline},
            "pessimistic": {key: _over_queries(key, pessimistic) for key in headline},
        },
        "score": score,
        "settings": asdict(protocol),
    }


def _over_queries(key: str, values: Sequence[dict[str, float]]) -> float:
    """The mean over queries, or the median. An exact sum: the order of queries cannot matter."""
    column = [value[key] for value in values]
    if key == "median_rank":
        return float(np.median(column))
    return math.fsum(column) / len(column)


def _intervals(
    scored: Sequence[_Result], values: Sequence[dict[str, float]], protocol: Protocol
) -> dict[str, list[float]]:
    """Bootstrap over the scored queries, sorted by id: their order in the table cannot matter."""
    if protocol.bootstrap == 0:
        return {}
    order = sorted(range(len(scored)), key=lambda row: scored[row].id)
    intervals = bootstrap_intervals(
        {key: np.array([values[row][key] for row in order]) for key in metric_keys(protocol.k)},
        resamples=protocol.bootstrap,
        seed=protocol.seed,
        units=[scored[row].label for row in order] if protocol.bootstrap_unit == "class" else None,
        medians=("median_rank",),
    )
    return {key: list(interval) for key, interval in intervals.items()}


def _per_query_table(results: Sequence[_Result], protocol: Protocol) -> pa.Table:
    """One row per query in the order of the query table; metrics are null where it is skipped."""
    columns = {
        "query_id": pa.array([result.id for result in results], pa.string()),
        "label": pa.array([result.label for result in results], pa.string()),
        "n_relevant": pa.array([result.n_relevant for result in results], pa.int64()),
        "n_gallery": pa.array([result.n_gallery for result in results], pa.int64()),
        "scored": pa.array([result.measured is not None for result in results], pa.bool_()),
        "first_rank": pa.array([result.first_rank for result in results], pa.int64()),
    }
    for key in metric_keys(protocol.k):
        if key != "median_rank":
            columns[key] = pa.array(
                [result.measured and result.measured.values[key] for result in results],
                pa.float64(),
            )
    return pa.table(columns)


def _rankings_table(results: Sequence[_Result], gallery_ids: NDArray[np.object_]) -> pa.Table:
    """The first max(k) places of every query, also of those that are skipped."""
    query_ids = np.array([result.id for result in results], dtype=object)
    lengths = [len(result.places) for result in results]
    places = np.concatenate([result.places for result in results])
    ranks = np.concatenate([np.arange(1, length + 1) for length in lengths])
    scores = np.concatenate([result.scores for result in results])
    relevant = np.concatenate([result.relevant for result in results])
    return pa.table(
        {
            "query_id": pa.array(np.repeat(query_ids, lengths), pa.string()),
            "rank": pa.array(ranks, pa.int64()),
            "gallery_id": pa.array(gallery_ids[places], pa.string()),
            "score": pa.array(scores, pa.float32()),
            "relevant": pa.array(relevant, pa.bool_()),
        }
    )


def _shown(key: str, value: float) -> str:
    """Four decimals for shares, one for ranks."""
    return f"{value:.1f}" if key in RANK_KEYS else f"{value:.4f}"
