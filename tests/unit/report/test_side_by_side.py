"""Charts of many recipes, read back: each recipe is a point where its numbers say."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from lookalike.report.charts_of_many import NAMED_ROWS
from lookalike.report.recipe_points import RecipePoint
from lookalike.report.side_by_side import FEWEST, side_by_side
from support.chart_reader import read_chart

KEY = "mAP@10"


def make_points(count: int, seed: int = 0) -> list[RecipePoint]:
    rng = np.random.default_rng(seed)
    values = np.sort(rng.uniform(0.2, 0.9, count))[::-1].tolist()
    return [
        RecipePoint(
            f"<r{place}>",
            place,
            1,
            value,
            (value - 0.05, value + 0.03),
            {"lr": float(10 ** rng.uniform(-4, -1)), "loss.name": "abc"[place % 3]},
            float(rng.uniform(10, 1000)),
            int(rng.integers(10**5, 10**6)),
            float(rng.uniform(1, 99)),
        )
        for place, value in enumerate(values)
    ]


def subpaths(svg: str) -> list[np.ndarray[tuple[int, int], np.dtype[np.float64]]]:
    """The longest path of a chart: the corners of each of its pieces."""
    longest = max(re.findall(r'<path d="([^"]*)"', svg), key=len)
    return [
        np.array([list(map(float, corner.split())) for corner in re.split(r"[ML]", piece)[1:]])
        for piece in re.findall(r"M[^M]*", longest)
    ]


def assert_linear(values: list[float], drawn: list[float]) -> None:
    """That a chart's coordinates are the values on a linear scale, each by itself."""
    assert len(values) == len(drawn)
    slope, start = np.polyfit(values, drawn, 1)
    assert np.abs(start + slope * np.array(values) - np.array(drawn)).max() < 1e-3


@pytest.mark.parametrize("count", [NAMED_ROWS, NAMED_ROWS + 1, 1000])
def test_every_recipe_has_its_estimate_and_its_interval(count: int) -> None:
    points = make_points(count)
    shown = side_by_side(points, KEY)
    assert shown is not None
    assert shown.estimates is not None
    svg = str(shown.estimates.svg)
    named = count <= NAMED_ROWS
    for point in points:
        assert (f"&lt;r{point.place}&gt;" in re.sub(r'aria-label="[^"]*"', "", svg)) == named
    assert ("comparison.csv names each" in shown.estimates.sentence) != named
    pieces = [piece for piece in subpaths(svg) if len(piece) == 2]
    if not named:
        # Dots are lines without length; whichever of both paths is the longest one.
        assert len(pieces) == count
    lengths = {round(float(np.abs(piece[1] - piece[0]).max()), 2) for piece in pieces}
    axis = 0 if named else 1
    middle = [float(piece[:, axis].mean()) for piece in pieces]
    shift = 0.0 if lengths == {0.0} else -0.01  # of the middle of an interval
    assert_linear([point.value + shift for point in points], middle)
    assert_linear(list(range(count)), [float(piece[0, 1 - axis]) for piece in pieces])


def test_every_recipe_is_a_point_by_each_setting_and_each_cost() -> None:
    points = make_points(300)
    shown = side_by_side(points, KEY)
    assert shown is not None
    by_rate = next(figure for figure in shown.settings if figure.heading == "lr")
    dots = subpaths(str(by_rate.svg))
    assert_linear([point.value for point in points], [float(dot[0, 1]) for dot in dots])
    rates = [np.log10(point.settings["lr"]) for point in points]
    assert_linear(rates, [float(dot[0, 0]) for dot in dots])
    assert [figure.heading for figure in shown.costs] == [
        "mAP@10 by training, seconds",
        "mAP@10 by parameters of the network",
        "mAP@10 by images embedded a second",
    ]
    for figure in shown.costs:
        label = str(figure.svg)
        on_front = re.findall(r"r(\d+)&gt;", label.partition("On the front")[2].partition('"')[0])
        assert "0" in on_front  # the best of all
        rest = subpaths(str(figure.svg))
        assert len(points) - len(rest) >= len(on_front)


def test_what_is_not_known_or_the_same_in_all_is_no_cost() -> None:
    points = [
        RecipePoint(f"r{place}", place, 1, 1 - place / 10, None, {}, 5.0, None, None)
        for place in range(5)
    ]
    shown = side_by_side(points, KEY)
    assert shown is not None
    assert (shown.costs, shown.settings, shown.front) == ([], [], [])
    assert side_by_side(points[: FEWEST - 1], KEY) is None


def test_recipes_of_one_run_each_are_not_drawn_again_where_every_run_is() -> None:
    points = make_points(5)
    shown = side_by_side(points, KEY, runs_are_drawn=True)
    assert shown is not None and shown.estimates is None
    # A mean over seeds is drawn nowhere else.
    points[2] = replace(points[2], n_seeds=2)
    shown = side_by_side(points, KEY, runs_are_drawn=True)
    assert shown is not None and shown.estimates is not None


def test_an_interval_that_its_dot_would_hide_has_ends_beside_it() -> None:
    narrow = [replace(point, interval=(point.value, point.value)) for point in make_points(60)]
    for points, count in ((narrow, 120), (make_points(60), 0), (narrow[:30], 60)):
        shown = side_by_side(points, KEY)
        assert shown is not None and shown.estimates is not None
        (panel,) = read_chart(str(shown.estimates.svg))
        ends = [mark for mark in panel.marks if min(mark.half_width, mark.half_height) == 0]
        assert len(ends) == count
        assert all(max(mark.half_width, mark.half_height) > 2 for mark in ends)
