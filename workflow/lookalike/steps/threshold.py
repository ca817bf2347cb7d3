"""Choose the threshold of a run, and write what it promises and what came of it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lookalike.retrieval.identification import Answers
from lookalike.retrieval.threshold_choice import Promise, choose_threshold, confirm_threshold
from lookalike.storage.files import read_json, write_json
from lookalike.storage.parquet import read_frame

log = logging.getLogger(__name__)

CHOICE_COLUMNS = ("label", "n_relevant", "first_rank", "best_relevant_score", "best_other_score")
"""Of per_query.parquet."""

_MEASURED = {
    "queries": "cross-fitted over classes",
    "held_out": "chosen by held-out images and measured on all queries",
}


def write_threshold(
    per_query: Path,
    metrics: Path,
    output: Path,
    setting: Mapping[str, Any],
    held_out: Path | None = None,
) -> dict[str, Any]:
    """Choose a threshold by a run's queries, or by held-out images, and write threshold.json.

    Args:
        per_query: per_query.parquet of the run.
        metrics: its metrics.json.
        output: the file to write.
        setting: `threshold`.
        held_out: held_out/answers.parquet, where these choose.

    Returns:
        What was written.

    Raises:
        LookalikeError: a file cannot be read.

    """
    summary = read_json(metrics, {"n_gallery": int, "score": str})
    table = read_frame(per_query, CHOICE_COLUMNS)
    answers = Answers.of(table)
    labels = table["label"].tolist()
    promise = Promise.from_setting(setting)
    of_held_out: dict[str, int] = {}
    if held_out is None:
        found = choose_threshold(answers, labels, promise)
    else:
        drawn = read_frame(held_out, ("image_id", *CHOICE_COLUMNS))
        carried = Answers.of(drawn)
        n_images = drawn["image_id"].nunique()
        found = confirm_threshold(answers, labels, promise, carried, n_images)
        of_held_out = {
            "n_held_out": n_images,
            "n_held_out_classes": drawn["label"].nunique(),
        }
    found["on"] = {
        "n_queries": len(answers),
        "n_queries_without_relevant": int((~answers.findable).sum()),
        "n_classes": len(set(labels)),
        "n_gallery": summary["n_gallery"],
        "score": summary["score"],
        "model_digest": summary.get("model_digest"),
        "gallery_digest": summary.get("gallery_digest"),
        **of_held_out,
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
        f"threshold {found['score']:.4f} for {promise}; {_MEASURED[found['from']]} it came to "
        f"{outcome[kind]:.3f}{shown}; {found['at_score']['coverage']:.1%} of the queries answered"
    )
