"""Fronts against their definition; the runs that lead; what a recipe costs."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.report.recipe_points import highest_runs, on_front, recipe_points
from lookalike.report.results import Results, StateResults

COORDINATE = st.integers(0, 6).map(float)


@given(st.lists(st.tuples(COORDINATE, COORDINATE), max_size=12))
def test_a_point_is_on_the_front_unless_another_dominates_it(
    points: list[tuple[float, float]],
) -> None:
    def dominates(one: tuple[float, float], other: tuple[float, float]) -> bool:
        return one[0] <= other[0] and one[1] >= other[1] and one != other

    expected = [not any(dominates(one, point) for one in points) for point in points]
    assert on_front([cost for cost, _ in points], [value for _, value in points]) == expected


def result(
    recipe: str, seed: int, place: int, seconds: float = 1.0, train: str = "all", **more: object
) -> Results:
    settings = {"train": train, "optimizer": {"lr": 0.1}, "model": {"name": "cnn4"}}
    model = {"settings": settings, "image": {"size": 32}, "parameters": 10 * (place + 1)}
    history = pd.DataFrame({"epoch": [1, 2], "seconds": [seconds, 2 * seconds]})
    states = {"trained": StateResults({}, Path())}
    embedded = more.get("embedded")
    assert embedded is None or isinstance(embedded, dict)
    is_given = bool(more.get("is_given"))
    return Results(recipe, seed, place, states, model, history, {}, is_given, embedded)


def row(value: float) -> dict[str, float]:
    return {"mAP@10": value, "mAP@10_low": value - 0.1, "mAP@10_high": value + 0.1}


def test_a_recipe_is_the_mean_of_its_seeds_and_costs_what_they_do() -> None:
    fast = {"images": 100, "embedded": 80, "seconds": 2}
    stored = {"images": 100, "embedded": 3, "seconds": 2}
    runs = [
        result("one", 0, 0, 1.0, embedded=fast),
        result("many", 0, 1, 1.0, embedded=stored),
        result("many", 1, 2, 3.0, embedded=fast),
        result("dino", 0, 3, is_given=True),
        result("frozen", 0, 4, train="none", embedded=stored),
    ]
    values = [0.5, 0.6, 0.8, 0.3, 0.65]
    rows = {(run.name, "trained"): row(value) for run, value in zip(runs, values, strict=True)}
    points = recipe_points(runs, rows, "mAP@10", {"many": (0.2, 0.9)})
    assert [point.recipe for point in points] == ["many", "frozen", "one", "dino"]
    many, _, one, dino = points
    assert many.value == pytest.approx(0.7)
    assert (many.n_seeds, many.interval) == (2, (0.2, 0.9))
    assert one.interval == (0.4, 0.6)
    # Two epochs, of one and of two times so many seconds; the mean over seeds.
    assert [point.seconds for point in points] == [pytest.approx(6.0), 0.0, 3.0, None]
    # Only what was embedded anew tells of a speed.
    assert [point.images_per_second for point in points] == [40.0, None, 40.0, None]
    assert many.settings["optimizer.lr"] == 0.1
    assert "image.size" in many.settings
    assert dino.settings.keys() == {"train", "optimizer.lr", "model.name"}
    assert recipe_points(runs, rows, "mAP@10", {})[0].interval is None


def test_the_highest_runs_are_the_highest_with_the_first_among_them_in_their_order() -> None:
    runs = [result(f"r{place}", 0, place) for place in range(6)]
    values = [0.1, 0.9, 0.5, 0.7, 0.2, 0.6]
    rows = {(run.name, "trained"): row(value) for run, value in zip(runs, values, strict=True)}

    def names(count: int, first: int) -> list[str]:
        return [run.recipe for run in highest_runs(runs, rows, "mAP@10", count, runs[first])]

    assert names(3, 1) == ["r1", "r3", "r5"]
    assert names(3, 4) == ["r1", "r3", "r4"]
    assert names(9, 0) == [run.recipe for run in runs]
