"""What a table of attributes decides, and what a change of it makes anew, by the real Snakemake."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from lookalike.config import merge
from support.drawings import write_data
from support.snakemake_runs import QUICK, Run, snakemake, write_settings

pytestmark = pytest.mark.workflow


def test_a_change_of_the_table_makes_anew_what_uses_the_column(tmp_path: Path) -> None:
    folder, root = tmp_path / "project", tmp_path / "project" / "data"
    write_data(root, train_classes=12, test_classes=4)
    rows: list[dict[str, str | int]] = [
        {"split": split, "image_id": path.name, "camera": i % 2 + 1, "source": "web", "note": "-"}
        for split, inside in (("query", "query_images"), ("gallery", "gallery"))
        for i, path in enumerate(sorted((root / inside).iterdir()))
    ]
    (root / "known").mkdir()

    def run(*arguments: str, **asked: object) -> Run:
        settings = {
            "data": {"attributes": "known/images.csv"},
            "metrics": {"exclude": {"same": ["camera"]}},
            "report": {"slices": ["source"]},
            "recipes": {"default": {"epochs": 1}},
        }
        write_settings(folder, merge(merge(QUICK, settings), asked))
        return snakemake(folder, *arguments)

    def after(column: str, row: int, value: str | int) -> dict[str, int]:
        rows[row][column] = value
        table = pd.DataFrame(rows)
        table.to_csv(root / "known/images.csv", index=False)
        done = run()
        assert done.status == 0, done.output
        return done.jobs

    first = after("note", 0, "first")
    assert first["train"] == 1
    summary = json.loads((folder / "results/default.0/metrics.json").read_text())
    assert summary["settings"]["exclude"] == "same_file"
    assert summary["settings"]["same"] == ["camera"]
    scored = pd.read_parquet(folder / "results/default.0/per_query.parquet")
    table = pd.DataFrame(rows)
    gallery = table[table["split"] == "gallery"]
    labels = json.loads((root / "test_image_info.json").read_text())
    for query in scored.to_dict("records"):
        own = table[(table["split"] == "query") & (table["image_id"] == query["query_id"])]
        others = gallery[gallery["camera"] != own["camera"].item()]["image_id"]
        same_label = [name for name in others if str(labels[name]) == query["label"]]
        assert query["n_relevant"] == len(same_label)
    page = (folder / "results/report.html").read_text()
    assert "By source." in page

    # What nothing uses; what slices the queries; what decides the rankings.
    assert after("note", 1, "second") == {"manifest": 1, "report": 1}
    assert after("source", 0, "camera roll") == {"manifest": 1, "report": 1}
    assert "camera roll" in (folder / "results/report.html").read_text()
    camera = after("camera", 0, 3 - int(rows[0]["camera"]))
    assert camera == {"manifest": 1, "metrics": 2, "threshold": 1, "compare": 1, "report": 1}

    # A column that is not there is told before any work, and so is a table.
    wrong = run(metrics={"within": ["sourc"]})
    assert wrong.status != 0
    assert "metrics.within" in wrong.output
    assert "has no column \"sourc\"; did you mean 'source'?" in wrong.output
    assert wrong.jobs == {}
    none = run(data={"attributes": ""})
    assert "metrics.exclude: names 'camera'" in none.output
    assert "Traceback" not in wrong.output + none.output
