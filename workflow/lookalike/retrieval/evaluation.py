"""Score a retrieval: metrics beside their chance values, intervals and bounds from ties."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from numpy.typing import NDArray

from lookalike.errors import LookalikeError
from lookalike.jobs.torch_devices import choose_device
from lookalike.retrieval.arrays import Float32s
from lookalike.retrieval.chance import chance
from lookalike.retrieval.counting_gpu import accelerator_of
from lookalike.retrieval.growth_record import Growth
from lookalike.retrieval.identification import Answers, identification_summary
from lookalike.retrieval.metric_record import Metric
from lookalike.retrieval.metrics import headline_keys, in_ranks, metrics_at, per_query_metrics
from lookalike.retrieval.pair_counts import PairCounts
from lookalike.retrieval.ranking import Ranked, rank
from lookalike.retrieval.rankings_table import rankings_table
from lookalike.retrieval.relevance import as_texts
from lookalike.retrieval.reranking import RERANKED_SCORE, Reranking, reranked
from lookalike.retrieval.score_choice import choose_score
from lookalike.retrieval.scored_tables import scored_tables
from lookalike.retrieval.scores import SCORES
from lookalike.retrieval.settings import MetricsSettings
from lookalike.retrieval.statistics import FEWEST_UNITS, bootstrap_intervals
from lookalike.retrieval.streams import Items
from lookalike.retrieval.tables import TableSource, two_tables
from lookalike.retrieval.units import AUTO, Units, units_of
from lookalike.retrieval.verification import verification_summary
from lookalike.text import quoted, shown


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` found: `summary` is metrics.json, the tables are the files of their names."""

    summary: dict[str, Any]
    per_query: pa.Table
    rankings: pa.Table


def evaluate(
    queries: TableSource,
    gallery: TableSource,
    *,
    k: Sequence[int] = (1, 10, 50),
    no_relevant: str = "skip",
    exclude: str = "none",
    bootstrap: int = 1000,
    bootstrap_unit: str = AUTO,
    seed: int = 0,
    score: str | None = None,
    device: torch.device | str = "cpu",
    same: Sequence[str] = (),
    within: Sequence[str] = (),
) -> Evaluation:
    """Rank the gallery for every query, and measure how well items of its label come first.

    What `lookalike evaluate` does, but for the files that it writes: the same numbers.

    Args:
        queries: a parquet table by its path, a folder of such, or the columns themselves in a
            mapping or a data frame: `image_id` (unique), `label` (text or whole numbers) and
            `embedding` (n lists of d numbers, or an array [n, d]); see `tables.TableSource`.
        gallery: what is searched, likewise. A file may be larger than memory.
        k: cut-offs, see `MetricsSettings`.
        no_relevant: `skip`, `zero` or `error`, see `MetricsSettings`.
        exclude: `none`, `same_id`, or `same_content` by a column `sha256`.
        bootstrap: resamples for the intervals, see `MetricsSettings`.
        bootstrap_unit: `query`, `class`, or `auto`: class where classes have several queries.
        seed: seed of the resampling.
        score: "cosine" or "euclidean"; None takes what both tables state in their metadata, else
            cosine where all embeddings have length 1.
        device: where scores are made and counted: "cpu", "cuda", "mps" or "auto".
        same: columns of both tables: a query also leaves out the items of its label that have its
            values in all of these, such as its camera.
        within: columns of both tables: a query is ranked among the items of its values alone.

    Raises:
        LookalikeError: a table or setting cannot be used; the message says which and why.

    """
    settings = MetricsSettings(
        k=k,
        no_relevant=no_relevant,
        exclude=exclude,
        bootstrap=bootstrap,
        bootstrap_unit=bootstrap_unit,
        seed=seed,
        same=same,
        within=within,
    )
    where = choose_device(device) if isinstance(device, str) else device
    sides = two_tables(queries, gallery, exclude, same=same, within=within)
    found = evaluate_items(
        *sides, score=choose_score(*sides, score), settings=settings, device=where
    )
    return replace(found, summary=found.summary | scored_tables(*sides))


def evaluate_items(
    queries: Items,
    gallery: Items,
    *,
    score: str,
    settings: MetricsSettings,
    of_training_classes: bool | None = None,
    on_progress: Callable[[int], object] = lambda scores: None,
    device: torch.device | str = "cpu",
    reranking: Reranking | None = None,
) -> Evaluation:
    """Evaluate embeddings in memory or as a stream, see `lookalike.retrieval.ranking.rank`.

    Args:
        queries: the Q queries.
        gallery: the N items that are searched.
        score: "cosine" or "euclidean".
        settings: how rankings are turned into numbers.
        of_training_classes: whether any query is of a class that is trained on; None where that
            is not known.
        on_progress: called now and then with how many more of the Q x N scores have been counted.
        device: where scores are made and counted.
        reranking: how to re-rank each query's first items before anything is measured; None leaves
            them. `verification` stays that of the scores of pairs.

    Raises:
        LookalikeError: no query can be scored, or `no_relevant` is "error" and one cannot; an
            embedding is not finite; `score` is unknown, or the device cannot make it.

    """
    if score not in SCORES:
        raise LookalikeError(f"score: '{score}' is not one of {', '.join(SCORES)}")
    results = _Results(queries, gallery, settings, of_training_classes)
    depth = results.places.shape[1]
    pairs = PairCounts(score)
    rankings = rank(
        queries,
        gallery,
        score=score,
        depth=max(depth, reranking.first) if reranking else depth,
        on_progress=on_progress,
        accelerator=accelerator_of(torch.device(device)),
        pairs=pairs,
    )
    if reranking:
        rankings = reranked(rankings, queries, gallery, score, reranking)
    for ranked in rankings:
        results.add(ranked)
    results.require_scored()
    return Evaluation(
        summary=_summary(results, RERANKED_SCORE if reranking else score)
        | {"verification": verification_summary(pairs)},
        per_query=_per_query_table(results),
        rankings=rankings_table(
            queries.ids, gallery.ids, results.places, results.scores, results.relevant
        ),
    )


def summary_text(summary: dict[str, Any]) -> str:
    """Return the headline of metrics.json as a small table to read: value, chance, interval."""
    units, asked = summary["units"], summary["settings"]["bootstrap_unit"]
    drawn = "classes" if units["unit"] == "class" else "queries"
    over = f" over {units['n']:,} {drawn}" if summary["ci95"] else ""
    lines = [
        f"{summary['n_queries']} queries scored, {summary['n_skipped_queries']} skipped; "
        f"{summary['n_gallery']} gallery images; score {summary['score']}",
        f"{'':<12}{'value':>10}{'chance':>10}   95 % interval{over}",
    ]
    for key in [*headline_keys(summary["settings"]["k"]), "mAP", "MRR"]:
        interval = summary["ci95"].get(key)
        value, by_chance = (_shown(key, summary[part][key]) for part in ("metrics", "chance"))
        shown = " to ".join(_shown(key, bound) for bound in interval) if interval else "-"
        lines.append(f"{key:<12}{value:>10}{by_chance:>10}   {shown}")
    if not summary["ci95"] and summary["settings"]["bootstrap"]:
        why = f" ({units['why']}; bootstrap_unit: query draws queries)"
        taken = asked == AUTO and units["unit"] == "class"
        lines.append(f"no intervals: fewer than {FEWEST_UNITS} {drawn}{why if taken else ''}")
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
        of_training_classes: as in `evaluate_items`.
        n_relevant, n_gallery, first_rank: int64 [Q]; R, G and r_1 (0 where R is 0).
        scored: bool [Q], whether the query counts.
        metrics: the metric of every key, and its cut-off.
        values: every metric of each query, float64 [Q].
        optimistic, pessimistic: the headline metrics where relevant items win, or lose, all ties.
        best_relevant, best_other: float32 [Q], the best scores of either kind, NaN for none.
        places: int32 [Q, depth], -1 beyond the gallery's end; scores float32, relevant bool.
    """

    def __init__(
        self,
        queries: Items,
        gallery: Items,
        settings: MetricsSettings,
        of_training_classes: bool | None,
    ) -> None:
        self.queries, self.gallery, self.settings = queries, gallery, settings
        self.of_training_classes = of_training_classes
        n, depth = len(queries.ids), min(max(settings.k), len(gallery.ids))
        headline = headline_keys(settings.k)
        self.n_relevant, self.n_gallery, self.first_rank = np.zeros((3, n), np.int64)
        self.best_relevant, self.best_other = np.empty((2, n), np.float32)
        self.metrics = metrics_at(settings.k)
        self.values = {key: np.empty(n) for key in self.metrics}
        self.growth = Growth(n, settings.k)
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
        self.best_relevant[at], self.best_other[at] = ranked.best_relevant, ranked.best_other
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
            found = per_query_metrics(measured, ranked.n_gallery, self.settings.k, list(kept))
            for key, column in found.items():
                kept[key][at] = column
        self.growth.add(at, ranks, ranked.n_gallery)
        depth = self.places.shape[1]
        self.places[at], self.scores[at] = ranked.places[:, :depth], ranked.scores[:, :depth]
        self.relevant[at] = ranked.relevant[:, :depth]

    @property
    def answers(self) -> Answers:
        columns: dict[str, NDArray[Any]] = {
            "best_relevant_score": self.best_relevant,
            "best_other_score": self.best_other,
            "first_rank": self.first_rank,
            "n_relevant": self.n_relevant,
        }
        return Answers.of(columns)

    @property
    def medians(self) -> list[str]:
        """The metrics that are medians over queries: of one query they are another metric."""
        return [key for key, (metric, _) in self.metrics.items() if metric.over_queries == "median"]

    @property
    def scored(self) -> NDArray[np.bool_]:
        if self.settings.no_relevant == "zero":
            return np.ones(len(self.n_relevant), np.bool_)
        return self.n_relevant > 0

    def require_scored(self) -> None:
        """Raise LookalikeError where a query must not be left out, or none is left."""
        n, without = len(self.n_relevant), np.flatnonzero(self.n_relevant == 0)
        if len(without) and self.settings.no_relevant == "error":
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
                f"its label ({self.settings.protocol}). Do query and gallery write their "
                "labels in the same way?"
            )


def _summary(results: _Results, score: str) -> dict[str, Any]:
    """Build the content of metrics.json."""
    settings, scored = results.settings, results.scored
    values, optimistic, pessimistic = (
        {key: column[scored] for key, column in columns.items()}
        for columns in (results.values, results.optimistic, results.pessimistic)
    )

    def over_queries(columns: dict[str, NDArray[np.float64]]) -> dict[str, float]:
        return {key: _over_queries(results.metrics[key][0], some) for key, some in columns.items()}

    undecided = np.any([optimistic[key] != pessimistic[key] for key in optimistic], axis=0)
    n_scored = int(scored.sum())
    labels = as_texts(results.queries.labels).take(np.flatnonzero(scored))
    units = units_of(
        settings.bootstrap_unit, n_scored, len(labels.unique()), results.of_training_classes
    )
    by_chance = chance(results.n_gallery[scored], results.n_relevant[scored], settings.k)
    return {
        "metrics": over_queries(values),
        "chance": by_chance.values,
        **({"chance_error": by_chance.errors} if by_chance.errors else {}),
        "ci95": _intervals(results, units),
        "units": units.to_dict(),
        "n_queries": n_scored,
        "n_gallery": len(results.gallery.ids),
        "n_skipped_queries": len(scored) - n_scored,
        "n_queries_without_relevant": int((results.n_relevant == 0).sum()),
        "ties": {
            "share": int(undecided.sum()) / n_scored,
            "optimistic": over_queries(optimistic),
            "pessimistic": over_queries(pessimistic),
        },
        "score": score,
        "settings": settings.to_dict(),
        "identification": identification_summary(results.answers),
        "growth": _growth(results, units),
    }


def _growth(results: _Results, units: Units) -> dict[str, Any]:
    """How the metrics change with the gallery, over the scored queries sorted by id."""
    order, classes = _drawn(results, units)
    return results.growth.summary(
        order,
        results.values,
        results.n_gallery,
        results.n_relevant,
        results.first_rank,
        resamples=results.settings.bootstrap,
        seed=results.settings.seed,
        units=classes,
    )


def _over_queries(metric: Metric, column: NDArray[np.float64]) -> float:
    """The mean over queries, or the median. An exact sum: the order of queries cannot matter."""
    if metric.over_queries == "median":
        return float(np.median(column))
    return math.fsum(column) / len(column)


def _drawn(results: _Results, units: Units) -> tuple[NDArray[np.int64], list[str] | None]:
    """The scored queries, sorted by id so that their order in the table cannot matter; the classes.

    The classes are None where queries are drawn, not classes.
    """
    scored = np.flatnonzero(results.scored)
    ids, labels = (
        as_texts(names).take(scored) for names in (results.queries.ids, results.queries.labels)
    )
    order = pc.array_sort_indices(ids).to_numpy()
    by_class = units.unit == "class"
    return scored[order], labels.take(order).to_pylist() if by_class else None


def _intervals(results: _Results, units: Units) -> dict[str, list[float]]:
    """Bootstrap over the scored queries, see `_drawn`."""
    settings = results.settings
    if settings.bootstrap == 0:
        return {}
    order, classes = _drawn(results, units)
    intervals = bootstrap_intervals(
        {key: column[order] for key, column in results.values.items()},
        resamples=settings.bootstrap,
        seed=settings.seed,
        units=classes,
        medians=results.medians,
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
        "best_relevant_score": _known(results.best_relevant),
        "best_other_score": _known(results.best_other),
    }
    for key, values in results.values.items():
        if key not in results.medians:
            columns[key] = pa.array(values, mask=~results.scored)
    return pa.table(columns)


def _known(scores: Float32s) -> pa.Array:
    """A column of scores that is null where there is none."""
    return pa.array(scores, mask=np.isnan(scores))


def _shown(key: str, value: float) -> str:
    """Four decimals for shares, one for ranks."""
    return f"{value:.1f}" if in_ranks(key) else f"{value:.4f}"
