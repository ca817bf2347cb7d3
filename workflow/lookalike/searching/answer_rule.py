"""What a search leaves out for an image, and from which score on it accepts an answer."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from lookalike.errors import LookalikeError
from lookalike.report.runs import THRESHOLD
from lookalike.searching.chosen_run import AGAIN, SearchedRun, is_there, read_made
from lookalike.text import shown_path

USUAL_EXCLUDE = "same_file"
"""What is left out where nothing was measured: the default of the setting `metrics.exclude`."""


@dataclass(frozen=True)
class AnswerRule:
    """How a run's gallery answers.

    Attributes:
        exclude: which gallery images are left out for a query, see
            `lookalike.retrieval.settings.MetricsSettings`.
        threshold: the score from which on an answer is accepted; None where there is none.
    """

    exclude: str
    threshold: float | None


def answer_rule(run: SearchedRun) -> AnswerRule:
    """The rule of a run: that of its metrics, and its threshold.

    Where labels say nothing (`data.labelled: false`) there are no metrics. Nor need there be where
    a run was handed on alone. Then it is the usual rule.

    Raises:
        LookalikeError: a file is missing or damaged; the message names it and what to do.
    """
    labelled = _labelled(run.results)
    metrics = run.folder / "metrics.json"
    if labelled is False:
        # What is left of a time with labels is nothing that a run would bring up to date.
        return AnswerRule(USUAL_EXCLUDE, None)
    if labelled is None and not is_there(metrics):
        return AnswerRule(USUAL_EXCLUDE, _threshold(run.folder / THRESHOLD))
    settings = read_made(metrics, {"settings": dict})["settings"]
    return AnswerRule(str(settings.get("exclude", "none")), _threshold(run.folder / THRESHOLD))


def _labelled(results: Path) -> bool | None:
    """Whether the images of results have labels that say what is alike; None where no file says."""
    report = results / "data_report.json"
    return bool(read_made(report, {}).get("labelled", True)) if is_there(report) else None


def _threshold(path: Path) -> float | None:
    """`score` in threshold.json; None where there is no such file, or nothing could be promised."""
    if not is_there(path):
        return None
    score = read_made(path, {}).get("score")
    if score is None:
        return None
    if isinstance(score, bool) or not isinstance(score, int | float) or not math.isfinite(score):
        raise LookalikeError(
            f"{shown_path(path)}: is damaged: `score` should be a number or null. Delete it. "
            f"{AGAIN}"
        )
    return float(score)
