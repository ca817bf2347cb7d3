"""Evaluations that leave out by attributes and rank within them, of any tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lookalike.cli import main
from lookalike.errors import LookalikeError
from lookalike.retrieval.evaluation import evaluate
from lookalike.retrieval.settings import MetricsSettings
from lookalike.storage.files import read_json
from support import brute_force

K = [1, 3]


def frame_of(n: int, name: str, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "image_id": [f"{name}{i}" for i in range(n)],
            "label": rng.integers(4, size=n).astype(str),
            "camera": rng.integers(3, size=n),
            "category": rng.choice(["shoes", "hats"], n),
            "embedding": list(rng.normal(size=(n, 3)).astype(np.float32)),
        }
    )


QUERIES, GALLERY = frame_of(20, "q", 1), frame_of(60, "g", 2)


def by_hand(same: list[str], within: list[str]) -> dict[str, dict[str, float]]:
    """Every metric of each query that has something to find, by a loop."""
    found = {}
    for query in QUERIES.to_dict("records"):
        left = [
            item
            for item in GALLERY.to_dict("records")
            if all(item[column] == query[column] for column in within)
            and not (
                same
                and item["label"] == query["label"]
                and all(item[column] == query[column] for column in same)
            )
        ]
        asked = query["embedding"].astype(float)
        scores = [
            float(asked @ item["embedding"])
            / (float(np.linalg.norm(item["embedding"])) * float(np.linalg.norm(asked)))
            for item in left
        ]
        order = brute_force.ordered(scores, [item["image_id"] for item in left])
        hits = [left[place]["label"] == query["label"] for place in order]
        if any(hits):
            found[query["image_id"]] = brute_force.metrics(hits, K)
    return found


PROTOCOLS = [
    (["camera"], []),
    ([], ["category"]),
    (["camera"], ["category"]),
    (["camera", "category"], []),
    ([], ["category", "camera"]),
]


@pytest.mark.parametrize(("same", "within"), PROTOCOLS)
def test_numbers_are_those_of_a_loop(same: list[str], within: list[str]) -> None:
    result = evaluate(QUERIES, GALLERY, k=K, same=same, within=within, score="cosine", bootstrap=0)
    expected = by_hand(same, within)
    rows = {row["query_id"]: row for row in result.per_query.to_pylist() if row["scored"]}
    assert rows.keys() == expected.keys()
    for name, metrics in expected.items():
        for key in ("mAP", "mAP@3", "CMC@1", "mean_rank", "mean_rank_all"):
            assert rows[name][key] == pytest.approx(metrics[key], abs=1e-12), (name, key)
    assert result.summary["n_queries"] == len(expected)
    settings = result.summary["settings"]
    assert settings.get("same", []) == same
    assert settings.get("within", []) == within


def test_the_command_takes_columns_of_the_tables(tmp_path: Path) -> None:
    for name, frame in (("q", QUERIES), ("g", GALLERY)):
        pq.write_table(pa.Table.from_pandas(frame), tmp_path / f"{name}.parquet")
    tables = [str(tmp_path / "q.parquet"), str(tmp_path / "g.parquet")]
    arguments = [*tables, "--out", str(tmp_path / "out"), "--k", "1,3", "--score", "cosine"]
    columns = ["--exclude-same", "camera", "--within", "category"]
    assert main(["evaluate", *arguments, *columns]) == 0
    summary = read_json(tmp_path / "out/metrics.json")
    result = evaluate(QUERIES, GALLERY, k=K, same=["camera"], within=["category"], score="cosine")
    assert summary["metrics"] == result.summary["metrics"]
    assert summary["growth"] == result.summary["growth"]
    assert summary["chance"] == result.summary["chance"]


def test_chance_is_that_of_the_part() -> None:
    found = evaluate(QUERIES, GALLERY, k=[1], within=["category"], score="cosine", bootstrap=0)
    shares = []
    for query in QUERIES.to_dict("records"):
        part = GALLERY[GALLERY["category"] == query["category"]]
        relevant = (part["label"] == query["label"]).sum()
        if relevant:
            shares.append(relevant / len(part))
    assert found.summary["chance"]["mAP@1"] == pytest.approx(np.mean(shares), rel=1e-12)


def test_what_no_table_has_is_an_error() -> None:
    with pytest.raises(LookalikeError, match="there is no column 'colour'"):
        evaluate(QUERIES, GALLERY, within=["colour"], score="cosine")
    alone = GALLERY.assign(camera=0)
    with pytest.raises(LookalikeError, match=r"exclude: none; and same camera"):
        evaluate(QUERIES.assign(camera=0), alone, same=["camera"], score="cosine")


CONFIGS: list[tuple[Any, str, tuple[str, ...]]] = [
    ("same_file", "same_file", ()),
    ({"same": ["camera"], "also": "none"}, "none", ("camera",)),
]


@pytest.mark.parametrize(("exclude", "word", "same"), CONFIGS)
def test_settings_are_read_as_config_yaml_has_them(
    exclude: Any, word: str, same: tuple[str, ...]
) -> None:
    settings = MetricsSettings.of_config(
        {"k": [1], "exclude": exclude, "within": [], "no_relevant": "skip"}
    )
    assert (settings.exclude, settings.same, settings.within) == (word, same, ())
    assert ("same" in settings.to_dict()) == bool(same)
    assert "within" not in settings.to_dict()
