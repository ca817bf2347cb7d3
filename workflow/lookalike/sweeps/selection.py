"""Which candidates of a sweep go on, and which win. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import fsum
from typing import Any

from lookalike.errors import LookalikeError
from lookalike.sweeps.plan import Selection

Decision = dict[str, Any]
"""What is decided in a rung, as its file has it."""


def decide(
    selection: Selection,
    rung: int,
    survivors: Sequence[str],
    seeds: Sequence[int],
    scores: Mapping[str, float | None],
) -> Decision:
    """Decide which candidates go on to the next rung, or in the last one, which win.

    A candidate counts by the mean of its runs' scores, over folds and seeds. Of equal ones the
    first by name is the better. So the decision does not depend on the order in which runs end.

    Args:
        selection: of the sweep.
        rung: which, from 0.
        survivors: candidates that the last rung let go on; of the first rung, none.
        seeds: of all runs.
        scores: of each run in this rung, None where it has none.

    Returns:
        `sweep`, `rung` (from 0), `rungs`, `share` (of the full length one in so many is trained),
        `by`, `per`; `candidates`, a mapping each with `recipe`, `group`, `settings` by dotted path,
        `value` (the mean) and `runs` (the score of each); `survivors`, names of those that go on,
        none in the last rung; `winners`, in the last rung the candidate whose settings each final
        recipe has.

    Raises:
        LookalikeError: a run has no score; the message names it.
    """
    entrants = {*selection.entrants(rung, survivors)}
    candidates = []
    for one in selection.candidates:
        if one.name in entrants:
            runs = {run: scores[run] for run in selection.runs(one.name, rung, seeds)}
            _require_scored(selection, runs)
            mean = fsum(score for score in runs.values() if score is not None) / len(runs)
            known: dict[str, Any] = {
                "recipe": one.name,
                "group": one.group,
                "settings": dict(one.point),
            }
            candidates.append({**known, "value": mean, "runs": runs})
    best = sorted(candidates, key=lambda known: (-known["value"], known["recipe"]))
    is_last = rung == selection.rungs - 1
    further, winners = set[str](), dict[str, str]()
    for group in selection.sizes:
        names = [known["recipe"] for known in best if known["group"] == group]
        if is_last:
            winners[selection.finals[group]] = names[0]
        else:
            further |= {*names[: selection.places(group, rung + 1)]}
    return {
        "sweep": selection.sweep,
        "rung": rung,
        "rungs": selection.rungs,
        "share": selection.share(rung),
        "by": f"validation {selection.by}",
        "per": selection.per,
        "candidates": candidates,
        "survivors": [one.name for one in selection.candidates if one.name in further],
        "winners": winners,
    }


def _require_scored(selection: Selection, runs: Mapping[str, float | None]) -> None:
    for run, score in runs.items():
        if score is None:
            raise LookalikeError(
                f"recipes.{selection.sweep}.select: {run} has no score of held-out images, so it "
                "cannot be compared with the others: there are too few classes to hold some out, "
                "or validation.every is more than its epochs; see its train.log"
            )


def table_of_selection(decisions: Sequence[Decision]) -> dict[str, Any]:
    """What results/selection.json says: of each sweep its candidates and winners.

    Args:
        decisions: of all rungs of all sweeps, the rungs of one in order.

    Returns:
        By the sweep's name: `by`, `per`; `candidates`, a mapping each with `recipe`, `group`,
        `settings`, and of the last rung that it was in `rung`, `share`, `value` and `runs`;
        `winners`, by the final recipe that has a candidate's settings, that candidate.
    """
    tables: dict[str, Any] = {}
    for decision in decisions:
        table = tables.setdefault(
            decision["sweep"], {"by": decision["by"], "per": decision["per"], "candidates": {}}
        )
        for known in decision["candidates"]:
            last = {key: decision[key] for key in ("rung", "share")}
            table["candidates"][known["recipe"]] = {**known, **last}
        table["winners"] = decision["winners"]
    for table in tables.values():
        table["candidates"] = [*table["candidates"].values()]
    return tables
