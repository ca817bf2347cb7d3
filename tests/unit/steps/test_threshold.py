"""threshold.json, from the files of an evaluation."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lookalike.errors import LookalikeError
from lookalike.retrieval.evaluation import evaluate
from lookalike.retrieval.identification import Answers
from lookalike.steps.threshold import CHOICE_COLUMNS, threshold_in_words, write_threshold
from lookalike.storage.files import write_json, write_parquet
from lookalike.storage.parquet import read_frame
from support.ranked import normal


def evaluated(folder: Path, n_queries: int = 600) -> tuple[Path, Path]:
    """Tables of fifty classes, some of whose queries have nothing to find."""
    centres = normal(50, 8, seed=1)
    of_query, of_item = np.arange(n_queries) % 50, np.arange(450) % 45

    def table(name: str, of: np.ndarray, seed: int) -> dict[str, object]:
        vectors = centres[of] + 0.3 * normal(len(of), 8, seed=seed)
        ids = [f"{name}{i}" for i in range(len(of))]
        return {"image_id": ids, "label": [f"c{i}" for i in of], "embedding": vectors}

    found = evaluate(table("q", of_query, 2), table("g", of_item, 3), bootstrap=0, score="cosine")
    write_json(folder / "metrics.json", found.summary)
    write_parquet(folder / "per_query.parquet", found.per_query)
    return folder / "per_query.parquet", folder / "metrics.json"


def test_the_file_says_on_what_the_score_was_chosen(tmp_path: Path) -> None:
    files = evaluated(tmp_path)
    found = write_threshold(*files, tmp_path / "threshold.json", {"precision": 0.9})
    assert json.loads((tmp_path / "threshold.json").read_text()) == found
    assert list(found) == [
        *("score", "promise", "from", "outcome", "reason", "at_score", "halves", "on"),
    ]
    assert found["promise"] == {"precision": 0.9}
    assert found["on"] == {
        "n_queries": 600,
        "n_queries_without_relevant": 60,
        "n_classes": 50,
        "n_gallery": 450,
        "score": "cosine",
        "model_digest": None,  # tables in memory: nobody says of which model
        "gallery_digest": None,
    }
    assert float(np.float32(found["score"])) == found["score"]  # as scores are
    assert f"threshold {found['score']:.4f} for precision 0.9" in threshold_in_words(found)
    table = read_frame(files[0])
    answers = Answers.of({name: table[name] for name in CHOICE_COLUMNS[1:]})
    assert (answers.precision(found["score"]) or 0) >= 0.9
    before = (tmp_path / "threshold.json").read_bytes()
    write_threshold(*files, tmp_path / "threshold.json", {"precision": 0.9})
    assert (tmp_path / "threshold.json").read_bytes() == before


def test_where_nothing_can_be_promised_there_is_a_reason_and_no_score(tmp_path: Path) -> None:
    files = evaluated(tmp_path, 150)
    found = write_threshold(*files, tmp_path / "threshold.json", {"precision": 0.95})
    assert found["score"] is None
    assert threshold_in_words(found).startswith(
        "no threshold for precision 0.95: 150 answers are too few: a precision of 0.95 is judged "
        "by 200 or more; precision "
    )


def test_held_out_images_choose_where_they_are_given(tmp_path: Path) -> None:
    files = evaluated(tmp_path)
    rows = 2 * 300
    drawn = {
        "image_id": [f"{row // 2}.png" for row in range(rows)],
        "label": [f"c{row // 20}" for row in range(rows)],
        "best_relevant_score": np.linspace(0.5, 1, rows).astype(np.float32),
        "best_other_score": np.linspace(0.4, 0.9, rows).astype(np.float32),
        "first_rank": np.ones(rows),
        "n_relevant": np.ones(rows),
    }
    write_parquet(tmp_path / "answers.parquet", pa.table(drawn))
    setting = {"precision": 0.9, "from": "held_out"}
    output = tmp_path / "threshold.json"
    found = write_threshold(*files, output, setting, tmp_path / "answers.parquet")
    assert json.loads(output.read_text()) == found
    assert (found["score"], found["from"]) == (0.5, "held_out")
    assert found["promise"] == {"precision": 0.9}
    assert (found["on"]["n_held_out"], found["on"]["n_held_out_classes"]) == (300, 30)
    assert "chosen by held-out images and measured on all queries" in threshold_in_words(found)


def test_a_table_of_before_is_named(tmp_path: Path) -> None:
    table, metrics = evaluated(tmp_path)
    write_parquet(table, pq.read_table(table).drop_columns(["best_other_score"]))
    with pytest.raises(LookalikeError, match=r"per_query\.parquet: .*'best_other_score'"):
        write_threshold(table, metrics, tmp_path / "threshold.json", {"precision": 0.95})
