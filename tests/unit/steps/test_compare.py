"""The comparison table against the metrics.json files it is made from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lookalike.report.numbers import number, signed
from lookalike.report.runs import MAIN, Run, run_name
from lookalike.steps.compare import compare, headline_table, write_comparison

KEYS = ["mAP@1", "mAP@10", "mAP@50", "mean_rank", "mAP", "mAP@10/R"]
RUNS = [("default", 0), ("default", 1), ("seed", 0)]


def write_metrics(folder: Path, rng: np.random.Generator, keys: list[str] = KEYS) -> dict[str, Any]:
    metrics = {key: float(rng.random()) for key in keys}
    content = {
        "metrics": metrics,
        "chance": {key: float(rng.random()) for key in keys},
        "ci95": {key: [value * 0.9, value * 1.1] for key, value in metrics.items()},
        "n_queries": 20,
    }
    folder.mkdir(parents=True)
    (folder / "metrics.json").write_text(json.dumps(content))
    return content


@pytest.fixture
def written(tmp_path: Path) -> tuple[list[Run], list[dict[str, Any]]]:
    """Three runs, and their metrics.json in the order of the table's rows."""
    rng = np.random.default_rng(7)
    runs, contents = [], []
    for recipe, seed in RUNS:
        folder = tmp_path / run_name(recipe, seed)
        contents += [write_metrics(folder, rng), write_metrics(folder / "untrained", rng)]
        runs.append(Run(recipe, seed, folder))
    return runs, contents


def test_each_run_is_followed_by_its_untrained_twin_with_the_values_of_its_metrics(
    written: tuple[list[Run], list[dict[str, Any]]],
) -> None:
    runs, contents = written
    rows = compare(runs).to_pylist()
    assert [(row["run"], row["recipe"], row["seed"], row["state"]) for row in rows] == [
        (f"{recipe}.{seed}", recipe, seed, state)
        for recipe, seed in RUNS
        for state in ("trained", "untrained")
    ]
    for row, content in zip(rows, contents, strict=True):
        for key in KEYS:
            assert row[key] == content["metrics"][key]
            assert [row[f"{key}_low"], row[f"{key}_high"]] == content["ci95"][key]
            assert row[f"{key}_chance"] == content["chance"][key]


def test_columns_stand_in_the_stated_order(
    written: tuple[list[Run], list[dict[str, Any]]],
) -> None:
    ends = [f"{key}_{end}" for key in KEYS for end in ("low", "high")]
    chances = [f"{key}_chance" for key in KEYS]
    assert compare(written[0]).column_names == [
        *("run", "recipe", "seed", "state"),
        *KEYS,
        *ends,
        *chances,
    ]


def test_csv_reads_back_as_the_parquet_table_and_both_repeat_byte_for_byte(
    written: tuple[list[Run], list[dict[str, Any]]], tmp_path: Path
) -> None:
    csv, parquet = tmp_path / "out" / "comparison.csv", tmp_path / "out" / "comparison.parquet"
    table = write_comparison(written[0], csv, parquet)
    assert pq.read_table(parquet).equals(table)
    pd.testing.assert_frame_equal(pd.read_csv(csv), pd.read_parquet(parquet), check_exact=True)
    before = csv.read_bytes(), parquet.read_bytes()
    write_comparison(written[0], csv, parquet)
    assert (csv.read_bytes(), parquet.read_bytes()) == before


def test_a_metric_or_an_interval_that_is_missing_is_null(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name, keys in (("a", ["mAP@1", "mAP@5"]), ("b", ["mAP@1"])):
        write_metrics(tmp_path / name, rng, keys)
        content = write_metrics(tmp_path / name / "untrained", rng, keys)
        content["ci95"] = {}
        (tmp_path / name / "untrained" / "metrics.json").write_text(json.dumps(content))
    table = compare([Run("a", 0, tmp_path / "a"), Run("b", 0, tmp_path / "b")])
    assert [value is None for value in table["mAP@5"].to_pylist()] == [False, False, True, True]
    lows = table["mAP@1_low"].to_pylist()
    assert [low is None for low in lows] == [False, True, False, True]
    assert "–" in headline_table(table)
    csv = tmp_path / "comparison.csv"
    write_comparison(
        [Run("a", 0, tmp_path / "a"), Run("b", 0, tmp_path / "b")], csv, tmp_path / "c.pq"
    )
    assert pd.read_csv(csv)["mAP@5"].isna().tolist() == [False, False, True, True]


@pytest.mark.parametrize("recipe", ["=1+1", "+a", "-a", "@SUM(A1)", "\tx"])
def test_no_csv_cell_of_text_begins_like_a_formula(recipe: str, tmp_path: Path) -> None:
    write_metrics(tmp_path / "run", np.random.default_rng(0))
    write_metrics(tmp_path / "run" / "untrained", np.random.default_rng(1))
    csv = tmp_path / "comparison.csv"
    table = write_comparison(
        [Run(recipe, 0, tmp_path / "run")], csv, tmp_path / "comparison.parquet"
    )
    assert table["recipe"].to_pylist() == [recipe, recipe]
    read = pd.read_csv(csv)
    assert read["recipe"].tolist() == [f"'{recipe}"] * 2
    assert read["run"].tolist() == [f"'{recipe}.0"] * 2


def test_headline_table_is_aligned_and_shows_chance_untrained_trained(
    written: tuple[list[Run], list[dict[str, Any]]],
) -> None:
    runs, contents = written
    lines = headline_table(compare(runs)).splitlines()
    assert lines[0].split() == ["run", "state", "mAP@1", "mAP@10", "mAP@50", "mean_rank"]
    assert [line.split()[:2] for line in lines[1:]] == [
        [f"{recipe}.{seed}", state]
        for recipe, seed in RUNS
        for state in ("chance", "untrained", "trained")
    ]
    start = lines[0].index("mAP@10")
    for place, content in enumerate(contents[::2]):
        chance, trained = lines[1 + 3 * place], lines[3 + 3 * place]
        assert chance[start:].split()[0] == f"{content['chance']['mAP@10']:.3f}"
        low, high = content["ci95"]["mAP@10"]
        shown = f"{content['metrics']['mAP@10']:.3f} [{low:.3f}, {high:.3f}]"
        assert trained[start:].startswith(shown)
    assert all(line[start - 1] == " " for line in lines)


def test_a_run_has_rows_for_the_states_that_it_is_scored_in_alone(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    write_metrics(tmp_path / "a", rng)
    write_metrics(tmp_path / "a" / "untrained", rng)
    write_metrics(tmp_path / "b", rng)
    table = compare([Run("a", 0, tmp_path / "a"), Run("b", 0, tmp_path / "b", (MAIN,))])
    named = zip(table["run"].to_pylist(), table["state"].to_pylist(), strict=True)
    assert list(named) == [("a.0", "trained"), ("a.0", "untrained"), ("b.0", "trained")]
    assert [line.split()[:2] for line in headline_table(table).splitlines()[-2:]] == [
        ["b.0", "chance"],
        ["b.0", "trained"],
    ]


def test_a_run_of_no_rows_is_an_empty_table_with_its_four_columns() -> None:
    table = compare([])
    assert table.num_rows == 0
    assert table.schema.field("seed").type == pa.int64()


@settings(derandomize=True, max_examples=200)
@given(st.floats(-5000, 5000))
def test_a_difference_shows_its_sign_unless_it_rounds_to_nothing(value: float) -> None:
    shown = signed("mAP@10", value)
    back = float(shown.replace("−", "-").replace(",", ""))
    assert back == pytest.approx(value, abs=0.000501)
    assert shown[0] in ("+", "−") if back else shown == "0.000"


def test_ranks_have_one_decimal_and_shares_three() -> None:
    assert number("mean_rank", 1234.56) == "1,234.6"
    assert number("mAP@10", 0.98765) == "0.988"
    assert number("mAP@10", None) == "–"
