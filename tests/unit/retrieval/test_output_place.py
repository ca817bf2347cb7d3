"""An evaluation by hand replaces an earlier one, which is told, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lookalike.cli import main
from lookalike.retrieval.output_place import OUTPUTS


@pytest.fixture
def table(tmp_path: Path) -> str:
    frame = pd.DataFrame({"image_id": ["a", "b"], "label": ["x", "x"], "embedding": [*np.eye(2)]})
    frame.to_parquet(tmp_path / "t.parquet")
    return str(tmp_path / "t.parquet")


def evaluate_into(out: Path, table: str, k: str = "1") -> None:
    main(["evaluate", table, table, "--out", str(out), "--exclude", "same_id", "--k", k])


def test_earlier_results_are_told_and_replaced(
    tmp_path: Path, table: str, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate_into(tmp_path / "out", table)
    assert "are replaced" not in capsys.readouterr().err
    (tmp_path / "out" / "mine.txt").write_text("mine")
    before = (tmp_path / "out" / "metrics.json").read_bytes()
    evaluate_into(tmp_path / "out", table, "1,2")
    assert "2 queries among 2 images; they are replaced" in capsys.readouterr().err
    assert (tmp_path / "out" / "metrics.json").read_bytes() != before
    assert (tmp_path / "out" / "mine.txt").read_text() == "mine"


@pytest.mark.parametrize("name", OUTPUTS)
@pytest.mark.parametrize("content", ["", "{}", '{"metrics": {}}', "[1]", "accuracy: 1"])
def test_files_of_others_stay(
    tmp_path: Path, table: str, name: str, content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).write_text(content)
    with pytest.raises(SystemExit) as stopped:
        evaluate_into(tmp_path / "out", table)
    assert stopped.value.code == 1
    assert f"out: holds {name}, which no evaluation by Lookalike" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "out").iterdir()] == [name]
    assert (tmp_path / "out" / name).read_text() == content


@pytest.mark.parametrize("inside", [".", "default.0", "new/one", "default.0/untrained"])
@pytest.mark.parametrize("by", ["path", "link"])
def test_nothing_is_written_among_the_results_of_a_workflow(
    tmp_path: Path, table: str, inside: str, by: str, capsys: pytest.CaptureFixture[str]
) -> None:
    results = tmp_path / "results"
    (results / "manifest").mkdir(parents=True)
    (results / "data_report.json").write_text("{}")
    (results / "default.0").mkdir()
    ours = {"metrics": {}, "chance": {}, "n_queries": 1, "n_gallery": 1}
    (results / "default.0" / "metrics.json").write_text(json.dumps(ours))
    before = sorted(tmp_path.rglob("*"))
    out = results / inside
    if by == "link":
        (tmp_path / "link").symlink_to(results)
        out = tmp_path / "link" / inside
    with pytest.raises(SystemExit):
        evaluate_into(out, table)
    assert "a workflow's; name another --out" in capsys.readouterr().err
    assert sorted(path for path in tmp_path.rglob("*") if path.name != "link") == before
