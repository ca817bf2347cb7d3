"""What a search leaves out for an image, and from which score on it accepts an answer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lookalike.errors import LookalikeError
from lookalike.report.runs import THRESHOLD
from lookalike.retrieval.relevance import Texts, as_texts
from lookalike.retrieval.scored_tables import GALLERY_COLUMNS, gallery_digest
from lookalike.searching.chosen_run import (
    AGAIN,
    SearchedRun,
    is_there,
    read_gallery_names,
    read_made,
)
from lookalike.text import shown, shown_path

USUAL_EXCLUDE = "same_file"
"""What is left out where nothing was measured: the default of the setting `metrics.exclude`."""

_WORDS = {
    "model_digest": "model",
    "gallery_digest": "the gallery with digest",
    "n_gallery": "a gallery of size",
    "score": "the score",
}


@dataclass(frozen=True)
class AnswerRule:
    """How a run's gallery answers.

    Attributes:
        exclude: which gallery images are left out for a query, see
            `lookalike.retrieval.settings.MetricsSettings`.
        threshold: the score from which on an answer is accepted; None where there is none.
        promise: what holds of accepted answers, or why nothing can be promised; empty where no
            threshold was asked for.
    """

    exclude: str
    threshold: float | None
    promise: str = ""


def answer_rule(run: SearchedRun, names: Mapping[str, Texts]) -> AnswerRule:
    """The rule of a run: that of its metrics, and its threshold.

    Of another table than its gallery only an image's own file is left out, and the threshold, which
    was chosen for the gallery, promises nothing.

    Where labels say nothing (`data.labelled: false`) there are no metrics. Nor need there be where
    a run was handed on alone. Then it is the usual rule.

    Args:
        run: the run.
        names: the columns of what is searched, see `read_gallery_names`.

    Raises:
        LookalikeError: a file is missing or damaged, or of another model or gallery; the message
            names it and what to do.
    """
    if run.table is not None:
        own = replace(run, table=None)
        of_gallery = read_gallery_names(own, own.results)
        rule = answer_rule(own, of_gallery)
        if rule.threshold is None:
            return replace(rule, exclude=USUAL_EXCLUDE)
        promise = (
            f"nothing here: it was chosen for the {len(of_gallery['image_id']):,} images of the "
            f"run's gallery, and these are {len(names['image_id']):,} others. The more images, the "
            "more wrong ones reach it"
        )
        return AnswerRule(USUAL_EXCLUDE, rule.threshold, promise)
    labelled = _labelled(run.results)
    if labelled is False:
        # What is left of a time with labels is nothing that a run would bring up to date.
        return AnswerRule(USUAL_EXCLUDE, None)
    scored = {
        "model_digest": run.digest,
        "gallery_digest": gallery_digest({name: as_texts(names[name]) for name in GALLERY_COLUMNS}),
        "n_gallery": len(names["image_id"]),
        "score": run.score,
    }
    within: Sequence[str] = ()
    exclude, metrics = USUAL_EXCLUDE, run.folder / "metrics.json"
    if labelled or is_there(metrics):
        content = read_made(metrics, {"settings": dict})
        _require_of(metrics, content, scored, run)
        exclude = str(content["settings"].get("exclude", "none"))
        within = content["settings"].get("within", ())
    threshold, promise, path = None, "", run.folder / THRESHOLD
    if is_there(path):
        content = read_made(path, {"promise": dict, "on": dict})
        _require_of(path, content["on"], scored, run)
        threshold = _score_in(path, content)
        promise = _in_words(content) if threshold is not None else str(content.get("reason") or "")
        if threshold is not None and within:
            promise = (
                "nothing here: it was chosen where an image is ranked among those of its own "
                f"{' and '.join(map(str, within))} (metrics.within), and all are searched"
            )
    return AnswerRule(exclude, threshold, promise)


def _in_words(content: Mapping[str, Any]) -> str:
    """What a threshold promises of the answers that it accepts; empty of a kind not known."""
    promises = {
        "precision": "of the accepted answers about {:g} % are of the image's class",
        "false_positive": "of images whose class is not in the gallery about {:g} % are accepted",
    }
    for kind, rate in content["promise"].items():
        if kind in promises and isinstance(rate, int | float):
            return promises[kind].format(100 * rate)
    return ""


def _labelled(results: Path) -> bool | None:
    """Whether the images of results have labels that say what is alike; None where no file says."""
    report = results / "data_report.json"
    if not is_there(report):
        return None
    return read_made(report, {"splits": dict}).get("labelled") is not False


def _require_of(
    path: Path, content: Mapping[str, Any], scored: Mapping[str, Any], run: SearchedRun
) -> None:
    """See that a file is of the model and the gallery that are there now."""
    for key, now in scored.items():
        told = content.get(key)
        if told != now or isinstance(told, bool):
            raise LookalikeError(
                f"{shown_path(path)}: is stale: it is of "
                + (f"{_WORDS[key]} {shown(str(told))}" if told is not None else "nobody knows what")
                + f", and what is searched has {_WORDS[key]} {shown(str(now))}. {AGAIN}; "
                f"{run.name} must be among its runs"
            )


def _score_in(path: Path, content: Mapping[str, Any]) -> float | None:
    """The score from which on answers are accepted; None where nothing could be promised."""
    score = content.get("score")
    if score is None:
        return None
    if isinstance(score, bool) or not isinstance(score, int | float) or not math.isfinite(score):
        raise LookalikeError(
            f"{shown_path(path)}: is damaged: `score` should be a number or null. Delete it. "
            f"{AGAIN}"
        )
    return float(score)
