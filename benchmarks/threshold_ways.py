"""Which way of choosing a threshold keeps its promise better: the table in docs/metrics.md.

    python benchmarks/threshold_ways.py results/digits/default.0 results/emoji/default.0

Each folder is a run's, made with `threshold: {from: held_out}`. To have many queries, every image
of the query and the gallery split is asked for among all others. The classes are halved by chance,
again and again: the labelled queries of one half choose a threshold, the held-out training images
choose one, and the queries of the other half measure both.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lookalike.embedding.tables import read_metadata, read_names, read_vectors
from lookalike.retrieval.carried_answers import DRAWS, carried_answers, held_out_anchors
from lookalike.retrieval.identification import FEWEST_EVENTS, Answers
from lookalike.retrieval.threshold_choice import Promise

PROMISES = (
    Promise("precision", 0.95),
    Promise("false_positive", 0.01),
    Promise("false_positive", 0.1),
)
WAYS = ("queries", "held_out")


def main() -> None:
    """Read the arguments, and print a row for each results folder."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("runs", type=Path, nargs="+", help="folders of runs, <results>/<run>")
    parser.add_argument("--halves", type=int, default=100, help="times the classes are halved")
    parser.add_argument(
        "--events", type=float, default=FEWEST_EVENTS, help="as FEWEST_EVENTS; fewer for few images"
    )
    arguments = parser.parse_args()
    heads = [f"{one.kind} {one.rate:g}, {way}" for one in PROMISES for way in WAYS]
    print(f"| results | {' | '.join(heads)} |\n|---{'|---' * len(heads)}|")
    for results in dict.fromkeys(run.parent for run in arguments.runs):
        runs = [run for run in arguments.runs if run.parent == results]
        found = [np.array(list(outcomes(run, arguments.halves, arguments.events))) for run in runs]
        of_all = np.concatenate(found)  # [runs x halves, promises, ways]
        shown = [
            in_words(of_all[:, place, way], promise.rate)
            for place, promise in enumerate(PROMISES)
            for way in range(len(WAYS))
        ]
        print(f"| {results.as_posix()} | {' | '.join(shown)} |", flush=True)


def in_words(outcomes: NDArray[np.float64], rate: float) -> str:
    """How often there was a threshold, what came of it, and how far that is from the promise."""
    kept = outcomes[~np.isnan(outcomes)]
    if not len(kept):
        return "none"
    away = np.sqrt(np.mean((kept - rate) ** 2))
    return f"{len(kept) / len(outcomes):.0%}: {kept.mean():.3f} ({away:.3f})"


def outcomes(run: Path, n_halves: int, events: float) -> Iterator[list[list[float]]]:
    """The promised rate of each promise and way as it came out; NaN where nothing is promised."""
    tables = [run / "embeddings" / f"{split}.parquet" for split in ("query", "gallery")]
    names, vectors = zip(*map(read, tables), strict=True)
    labels = np.unique(np.concatenate(names), return_inverse=True)[1]
    score = str(read_metadata(tables[0])["score"])
    rows = list(held_out_anchors(np.concatenate(vectors), labels, score))
    best = np.array([[most(relevant), most(other)] for relevant, other in rows])
    sizes = np.array([[len(relevant), len(other)] for relevant, other in rows])
    answers = Answers.of(
        {
            "best_relevant_score": best[:, 0],
            "best_other_score": best[:, 1],
            "first_rank": np.where(best[:, 0] > best[:, 1], 1.0, np.nan),
            "n_relevant": sizes[:, 0],
        }
    )
    of_held_out, held_out = read(run / "held_out" / "embeddings.parquet")
    numbers = np.unique(of_held_out, return_inverse=True)[1]
    anchors = held_out_anchors(held_out, numbers, score) if len(held_out) else ()
    carried = carried_answers(anchors, sizes[:, 0], sizes[:, 1], score)
    drawn = Answers.of(carried)
    rng = np.random.default_rng(0)
    for _ in range(n_halves):
        classes = rng.permutation(labels.max() + 1)
        second = np.isin(labels, classes[: len(classes) // 2])
        first, other_half = answers.of_rows(~second), answers.of_rows(second)
        found = []
        for promise in PROMISES:
            fewest = int(promise.fewest * events / FEWEST_EVENTS)
            chosen = (
                promise.threshold(first, -(-fewest // 2)),
                promise.threshold(drawn, fewest * DRAWS) if len(drawn) else None,
            )
            found.append([came_to(promise, other_half, threshold) for threshold in chosen])
        yield found


def came_to(promise: Promise, answers: Answers, threshold: float | None) -> float:
    """The promised rate at a threshold; NaN where there is none, or no answer."""
    if threshold is None:
        return np.nan
    hits, trials = promise.trials(answers, promise.accepted(answers, threshold))
    return float(hits.sum() / trials.sum()) if trials.any() else np.nan


def most(scores: NDArray[np.float32]) -> float:
    """The highest score; NaN of none."""
    return float(scores.max()) if len(scores) else np.nan


def read(path: Path) -> tuple[list[str], NDArray[np.float32]]:
    """Labels and embeddings of a table."""
    vectors = list(read_vectors(path))
    labels = read_names(path, ["label"])["label"].to_pylist()
    return labels, np.concatenate(vectors) if vectors else np.empty((0, 1), np.float32)


if __name__ == "__main__":
    main()
