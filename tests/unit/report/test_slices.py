"""Metrics by slices of the queries, held against pandas and against the whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lookalike.report.results import Results, StateResults
from lookalike.report.slices import MOST_RUNS, MOST_VALUES, slices_of
from lookalike.retrieval.statistics import bootstrap_intervals, paired_differences

PROTOCOL = {"bootstrap": 1000, "bootstrap_unit": "query", "seed": 0}
KEYS = ["mAP@10", "mean_rank"]


def run_of(folder: Path, place: int, frame: pd.DataFrame) -> Results:
    folder = folder / f"r{place}.0"
    folder.mkdir()
    frame.sample(frac=1, random_state=place).to_parquet(folder / "per_query.parquet")
    state = StateResults({"settings": PROTOCOL}, folder)
    return Results(f"r{place}", 0, place, {"trained": state}, {}, pd.DataFrame(), {})


def frame_of(n: int, seed: int, scored: Any = True) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    values = {"mAP@10": rng.random(n), "mean_rank": rng.integers(1, 50, n).astype(float)}
    frame = pd.DataFrame({"query_id": [f"q{i:03}" for i in range(n)], "label": "a"} | values)
    return frame.assign(scored=scored)


def known_of(folder: Path, values: list[str | None], **more: list[str | None]) -> Path:
    path = folder / "attributes.parquet"
    ids = [f"q{i:03}" for i in range(len(values))]
    frame = pd.DataFrame({"image_id": ids, "camera": values} | more).astype(object)
    frame.to_parquet(path)
    return path


cameras = st.lists(st.sampled_from(["1", "2", "3", None]), min_size=3, max_size=40)


@settings(derandomize=True, deadline=None, max_examples=40)
@given(values=cameras, data=st.data())
def test_slices_add_up_to_the_whole(
    values: list[str | None], data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("slices")
    scored = [True, *data.draw(st.lists(st.booleans(), min_size=len(values), max_size=len(values)))]
    frames = [frame_of(len(values), seed, scored[: len(values)]) for seed in (1, 2)]
    runs = [run_of(folder, place, frame) for place, frame in enumerate(frames)]
    found = slices_of(runs, known_of(folder, values), ["camera"], KEYS, PROTOCOL)["camera"]

    n = sum(scored[: len(values)])
    assert sum(one.n_queries for one in found) == n
    for key in KEYS:
        for run, frame in zip(runs, frames, strict=True):
            total = sum(one.n_queries * one.means[run.name][key].value for one in found)
            assert total / n == pytest.approx(frame[frame["scored"]][key].mean(), rel=1e-12)
        gap = sum(one.n_queries * one.differences["r0.0 − r1.0"][key].value for one in found)
        whole = [frame[frame["scored"]][key].mean() for frame in frames]
        assert gap / n == pytest.approx(whole[0] - whole[1], abs=1e-9)
    assert all((one.means["r0.0"][KEYS[0]].low is None) == (one.n_queries < 10) for one in found)
    sizes = [one.n_queries for one in found if one.value is not None]
    assert sizes == sorted(sizes, reverse=True)


def test_a_slice_is_what_its_queries_give_alone(tmp_path: Path) -> None:
    values: list[str | None] = [["1", "2", None][i % 3] for i in range(120)]
    frames = [frame_of(120, seed) for seed in (1, 2)]
    runs = [run_of(tmp_path, place, frame) for place, frame in enumerate(frames)]
    found = slices_of(runs, known_of(tmp_path, values), ["camera"], KEYS, PROTOCOL)["camera"]
    assert [(one.value, one.n_values, one.n_queries) for one in found] == [
        ("1", 1, 40),
        ("2", 1, 40),
        (None, 0, 40),
    ]
    for place, one in enumerate(found):
        columns = [{key: frame[key].to_numpy()[place::3] for key in KEYS} for frame in frames]
        for run, alone in zip(runs, columns, strict=True):
            intervals = bootstrap_intervals(alone, resamples=1000, seed=0)
            for key in KEYS:
                mean = one.means[run.name][key]
                assert mean.value == pytest.approx(alone[key].mean(), rel=1e-12)
                assert (mean.low, mean.high) == pytest.approx(intervals[key], rel=1e-9)
        assert one.differences["r0.0 − r1.0"] == paired_differences(*columns)


def test_many_values_and_runs_are_cut_and_still_add_up(tmp_path: Path) -> None:
    n = 3 * (MOST_VALUES + 5)
    values: list[str | None] = [f"v{i // 3}" for i in range(n)]
    frame = frame_of(n, 1)
    runs = [run_of(tmp_path, place, frame) for place in range(MOST_RUNS + 2)]
    path = known_of(tmp_path, values, source=["x"] * n)
    found = slices_of(runs, path, ["camera", "source"], KEYS, PROTOCOL)
    assert len(found["camera"]) == MOST_VALUES
    last = found["camera"][-1]
    assert (last.value, last.n_values, last.n_queries) == (None, 6, 18)
    assert sum(one.n_queries for one in found["camera"]) == n
    assert list(last.means) == [f"r{place}.0" for place in range(MOST_RUNS)]
    assert [one.value for one in found["source"]] == ["x"]


def test_queries_without_a_row_are_a_slice_of_their_own(tmp_path: Path) -> None:
    runs = [run_of(tmp_path, 0, frame_of(30, 1))]
    found = slices_of(runs, known_of(tmp_path, ["1"] * 12), ["camera"], KEYS, PROTOCOL)["camera"]
    assert [(one.value, one.n_queries) for one in found] == [("1", 12), (None, 18)]
    assert found[0].differences == {}
