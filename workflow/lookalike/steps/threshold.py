"""Choose the threshold of a run, and write what it promises and what came of it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lookalike.retrieval.identification import Answers
from lookalike.retrieval.threshold_choice import Promise, choose_threshold
from lookalike.storage.files import read_json, write_json
from lookalike.storage.parquet import read_frame

log = logging.getLogger(__name__)

COLUMNS = ("label", "n_relevant", "first_rank", "best_relevant_score", "best_other_score")
"""Of per_query.parquet."""


def write_threshold(
    per_query: Path, metrics: Path, output: Path, promise: Mapping[str, float]
) -> dict[str, Any]:
    """Choose a threshold from a run's queries, and write threshold.json.

    Args:
        per_query: per_query.parquet of the run.
        metrics: its metrics.json.
        output: the file to write.
        promise: the setting `threshold`.

    Returns:
        What was written.

    Raises:
        LookalikeError: a file cannot be read.

    """
    summary = read_json(metrics, {"n_gallery": int, "score": str})
    table = read_frame(per_query, COLUMNS)
    answers = Answers.of({name: table[name] for name in COLUMNS if name != "label"})
    labels = table["label"].tolist()
    found = choose_threshold(answers, labels, Promise.from_setting(dict(promise)))
    found["on"] = {
        "n_queries": len(answers),
        "n_queries_without_relevant": int((~answers.findable).sum()),
        "n_classes": len(set(labels)),
        "n_gallery": summary["n_gallery"],
        "score": summary["score"],
    }
    write_json(output, found)
    log.info("%s", threshold_in_words(found))
    return found


def threshold_in_words(found: Mapping[str, Any]) -> str:
    """What threshold.json says, in a sentence."""
    ((kind, rate),) = found["promise"].items()
    promise = f"{kind.replace('_', ' ')} {rate:g}"
    if found["score"] is None:
        return f"no threshold for {promise}: {found['reason']}"
    outcome = found["outcome"]
    interval = outcome["ci95"]
    shown = f" ({interval[0]:.3f} to {interval[1]:.3f})" if interval else ""
    return (
        f"threshold {found['score']:.4f} for {promise}; cross-fitted over classes it came to "
        f"{outcome[kind]:.3f}{shown}; {found['at_score']['coverage']:.1%} of the queries answered"
    )
