"""The select step, from files to files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from lookalike.errors import LookalikeError
from lookalike.steps.select import score_of_run, write_decision
from lookalike.steps.selection import write_selection
from lookalike.steps.train import HISTORY
from lookalike.storage.files import write_parquet
from lookalike.sweeps.plan import Contender, Selection


def history(path: Path, scores: list[float | None], kept: int) -> Path:
    """A history with these scores; the seconds differ from file to file."""
    rows: list[dict[str, Any]] = [
        {
            "epoch": epoch,
            "kept": epoch == kept,
            "validation_mAP@R": score,
            "validation_mAP@10": None if score is None else score / 2,
            "seconds": float(len(str(path)) + epoch),
        }
        for epoch, score in enumerate(scores, 1)
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_parquet(path, pa.Table.from_pylist(rows, schema=HISTORY))
    return path


@pytest.mark.parametrize(
    ("scores", "kept", "expected"),
    [
        ([0.1, 0.2, 0.3], 3, 0.3),
        # The weights are the best epoch's.
        ([0.1, 0.4, 0.3], 2, 0.4),
        # The last epoch was not scored.
        ([0.1, 0.4, None], 3, 0.4),
        ([None, None, None], 3, None),
        ([None, 0.9], 1, None),
        ([], 0, None),
    ],
)
def test_a_run_counts_by_the_score_of_the_weights_it_ended_with(
    tmp_path: Path, scores: list[float | None], kept: int, expected: float | None
) -> None:
    path = history(tmp_path / "h.parquet", scores, kept)
    assert score_of_run(path, "mAP@R") == expected
    assert score_of_run(path, "mAP@10") == (None if expected is None else expected / 2)


def test_a_decision_has_the_same_bytes_in_any_order_of_arrival(tmp_path: Path) -> None:
    candidates = tuple(Contender(name, {"lr": i}) for i, name in enumerate("abcd"))
    made = Selection("s", "mAP@R", None, candidates, 0, 2, 100, {"all": "s"})
    found = []
    for order in ("abcd", "dcab"):
        folder = tmp_path / order
        files = {
            f"{name}-1of4.0": history(
                folder / name / "h.parquet", [0.1, {"a": 0.3, "b": 0.5}.get(name, 0.2)], 2
            )
            for name in order
        }
        write_decision(made, 0, [0], files, None, folder / "0.json")
        files = {f"{name}-1of2.0": history(folder / name / "2.parquet", [0.4], 1) for name in "ba"}
        write_decision(made, 1, [0], files, folder / "0.json", folder / "1.json")
        files = {"a.0": history(folder / "last.parquet", [0.6], 1)}
        write_decision(made, 2, [0], files, folder / "1.json", folder / "2.json")
        write_selection([folder / f"{rung}.json" for rung in range(3)], folder / "selection.json")
        found.append(
            [
                (folder / name).read_bytes()
                for name in ("0.json", "1.json", "2.json", "selection.json")
            ]
        )
    assert found[0] == found[1]
    assert json.loads(found[0][0])["survivors"] == ["a", "b"]
    assert json.loads(found[0][3])["s"]["winners"] == {"s": "a"}


def test_a_damaged_decision_is_named(tmp_path: Path) -> None:
    (tmp_path / "0.json").write_text("{}")
    with pytest.raises(LookalikeError, match=r"0\.json"):
        write_selection([tmp_path / "0.json"], tmp_path / "selection.json")
