"""What a reader must know before believing a number: the warnings at the top of the page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from lookalike.report.differences import Comparisons, gain_of
from lookalike.report.results import Results
from lookalike.report.runs import BASELINE
from lookalike.training.lessons import never_taught
from lookalike.training.miners.table import OWN

ONE_BY_ONE = 10
"""Warnings of one kind that are told one by one."""


def page_warnings(
    runs: Sequence[Results],
    compared: Comparisons,
    key: str,
    data: Mapping[str, Any],
    no_interval: str | None,
) -> list[str]:
    """What a reader must know before believing a number."""
    warnings = [finding["text"] for finding in data["findings"] if finding["level"] == "warning"]
    if no_interval is not None:
        warnings.append(
            f"No intervals, and nothing is said to be better or worse: {no_interval}. Every number "
            "here is one of these very queries."
        )
    of_runs: list[tuple[str, str, str]] = []
    for run in runs:
        if not run.is_trained:
            continue  # nothing could have been gained
        of_runs += [("untaught", run.name, text) for text in _untaught(run)]
        if BASELINE.name not in run.states:
            continue
        gain = compared[gain_of(run)][key]
        if gain.verdict is None and gain.difference.value <= 0:
            text = (
                f"Training did not raise the {key} of {run.name} on these queries: it is no higher "
                f"than {_before(run)}."
            )
            of_runs.append(("not raised", run.name, text))
        elif gain.verdict not in ("better", None):
            text = (
                f"Training is not shown to have helped {run.name}: its {key} may be no higher than "
                f"{_before(run)}, by their difference on these queries."
            )
            of_runs.append(("not shown", run.name, text))
    return warnings + told_together(of_runs)


def findings_below(findings: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    """Findings of the data report as they stand on the page: what is in the report is below."""
    return [
        {**finding, "text": finding["text"].replace(" in the report", " below")}
        for finding in findings
    ]


def told_together(of_runs: Sequence[tuple[str, str, str]]) -> list[str]:
    """Warnings of runs; where many are of one kind, the first of them with the others' names.

    Args:
        of_runs: kind, name of the run, and text of each.
    """
    counts = Counter(kind for kind, _, _ in of_runs)
    texts, told = [], set()
    for kind, _, text in of_runs:
        if counts[kind] <= ONE_BY_ONE:
            texts.append(text)
        elif kind not in told:
            told.add(kind)
            others = [name for other, name, _ in of_runs if other == kind][1:]
            left = len(others) - ONE_BY_ONE + 1
            named = ", ".join(others[: ONE_BY_ONE - 1])
            texts.append(f"{text} The like holds of {named} and {left:,} more.")
    return texts


def _before(run: Results) -> str:
    """What a run must surpass, in the words of a warning."""
    return "before training" if run.is_pretrained else f"the {BASELINE.name} one"


def _untaught(run: Results) -> list[str]:
    """A warning of a training, or of epochs of it, that taught the network nothing, if any did."""
    settings = run.model["settings"]
    # Results of before there were miners and memories to choose tell of neither.
    miner, memory = settings.get("miner", {"name": OWN})["name"], settings.get("memory", 0)
    history = run.history.to_dict("records")
    if reason := never_taught(history, settings["loss"]["name"], miner, memory):
        return [f"The training of {run.name} did not do what it is for: {reason}."]
    if epochs := run.epochs_of_loss_zero:
        return [
            f"{run.name} learnt nothing in {len(epochs):,} of {len(run.history):,} epochs "
            f"({_ranges(epochs)}): the loss was exactly 0 in every step."
        ]
    return []


def of_unreadable(count: int) -> list[str]:
    """A warning of images that are not shown, if there are any."""
    if not count:
        return []
    images = "image" if count == 1 else "images"
    return [
        f"{count:,} {images} shown here could be read when scored, and are gone, "
        "damaged or replaced now; a blank stands instead."
    ]


def _ranges(numbers: Sequence[int]) -> str:
    """Ascending whole numbers in words: `2, 4 to 6`."""
    parts: list[list[int]] = []
    for value in numbers:
        if parts and value == parts[-1][-1] + 1:
            parts[-1].append(value)
        else:
            parts.append([value])
    return ", ".join(
        str(part[0]) if len(part) == 1 else f"{part[0]} to {part[-1]}" for part in parts
    )
