"""The select step: from histories of a sweep's candidates to those that go on, or win."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from lookalike.storage.files import read_json, write_json
from lookalike.storage.parquet import read_frame
from lookalike.sweeps.plan import Selection
from lookalike.sweeps.selection import Decision, decide

log = logging.getLogger(__name__)


def score_of_run(history: Path, by: str) -> float | None:
    """The score of held-out images that the weights a run ended with have.

    That is the score of the epoch that is kept; where it was not scored, the last one before it.

    Args:
        history: history.parquet.
        by: the metric, as `mAP@R`.

    Returns:
        None where no epoch up to that one was scored.
    """
    column = f"validation_{by}"
    rows = read_frame(history, ("epoch", "kept", column))
    kept = rows.loc[rows["kept"].astype(bool), "epoch"].max()
    scores = rows.loc[rows["epoch"] <= kept, column].dropna()
    return float(scores.iloc[-1]) if len(scores) else None


def write_decision(
    selection: Selection,
    rung: int,
    seeds: Sequence[int],
    histories: Mapping[str, Path],
    before: Path | None,
    output: Path,
) -> None:
    """Decide a rung of a sweep, once all of its runs are there.

    Args:
        selection: of the sweep.
        rung: which, from 0.
        seeds: of all runs.
        histories: history.parquet of each run in this rung.
        before: what was decided in the rung before; None of the first one.
        output: see `decide`.

    Raises:
        LookalikeError: a file cannot be read, or see `decide`.
    """
    survivors = [] if before is None else read_json(before, {"survivors": list})["survivors"]
    scores = {run: score_of_run(path, selection.by) for run, path in histories.items()}
    decision = decide(selection, rung, survivors, seeds, scores)
    write_json(output, decision)
    for line in _in_words(decision):
        log.info("%s", line)


def _in_words(decision: Decision) -> list[str]:
    values = {known["recipe"]: known["value"] for known in decision["candidates"]}
    if decision["winners"]:
        return [
            f"{final}: the settings of {winner}, {decision['by']} {values[winner]:.3f}, "
            f"of {len(values)} candidates in the last rung"
            for final, winner in decision["winners"].items()
        ]
    best = max(values.values())
    return [
        f"rung {decision['rung'] + 1} of {decision['rungs']}: {len(decision['survivors'])} of "
        f"{len(values)} candidates go on; the best has {decision['by']} {best:.3f}"
    ]
