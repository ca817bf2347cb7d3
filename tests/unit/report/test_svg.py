"""Charts read back: values stand where the ticks say, and nothing hides or leaves the axes."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lookalike.report.small_multiples import small_multiples
from lookalike.report.svg import (
    MOST_LABELLED,
    Curve,
    Measured,
    Versus,
    by_size,
    colour_number,
    curves,
    dash_of,
    rates,
    versus,
)
from support.chart_reader import DrawnPanel, numbers_at, read_chart

LONG = "a_recipe_whose_name_goes_on_and_on_" + "x" * 200


@st.composite
def measured(draw: st.DrawFn, greatest: float) -> Measured:
    low, value, high = sorted(
        draw(st.floats(0, greatest).map(lambda x: round(x, 5))) for _ in range(3)
    )
    return Measured(value, low, high)


@st.composite
def rows(draw: st.DrawFn) -> list[Versus]:
    greatest = draw(st.sampled_from([0.02, 0.5, 1.0, 300.0]))
    return [
        Versus(f"run.{place}", place, [draw(measured(greatest)) for _ in range(2)], greatest / 50)
        for place in range(draw(st.integers(1, 4)))
    ]


@settings(max_examples=12, deadline=None)
@given(rows())
def test_values_and_intervals_stand_on_an_axis_that_ends_just_beyond_them(
    shown: list[Versus],
) -> None:
    (panel,) = read_chart(str(versus("c", "words", shown)))
    ticks = numbers_at(panel.x_ticks)
    ends = [end for row in shown for m in row.measured if m for end in (m.low, m.value, m.high)]
    greatest = max([*(end for end in ends if end is not None), *(row.chance for row in shown)])
    assert ticks[0] == 0
    assert ticks[-2] < greatest <= ticks[-1]
    expected = sorted(panel.x_of(end) for end in ends if end is not None)
    assert sorted(mark.x for mark in panel.marks) == pytest.approx(expected, abs=0.01)
    assert_inside(panel)
    # From the top down: a row a run, in their order, and in each its states.
    values = [panel.x_of(m.value) for row in shown for m in row.measured if m]
    found = sorted((m.y, m.x) for m in panel.marks if m.half_width > 1)
    assert [x for _, x in found] == pytest.approx(values, abs=0.01)


def assert_inside(panel: DrawnPanel) -> None:
    left, top, right, bottom = panel.box
    assert panel.marks
    for mark in panel.marks:
        assert left <= mark.x - mark.half_width and mark.x + mark.half_width <= right
        assert top <= mark.y - mark.half_height and mark.y + mark.half_height <= bottom


@pytest.mark.parametrize("width", [0.0, 0.0005, 0.002])
def test_an_interval_narrower_than_its_mark_shows_beside_it(width: float) -> None:
    value = Measured(0.5, 0.5 - width / 2, 0.5 + width / 2)
    row = Versus("run", 0, [value, value], 0.01)
    (panel,) = read_chart(str(versus("c", "words", [row])))
    discs = [mark for mark in panel.marks if mark.half_width > 1]
    caps = [mark for mark in panel.marks if mark.half_width == 0]
    assert (len(discs), len(caps)) == (2, 4)
    assert min(cap.half_height for cap in caps) > 1.4 * max(disc.half_height for disc in discs)
    # Those of the two states are apart from each other.
    first, second = sorted({round(cap.y, 2) for cap in caps})
    assert second - first > 2 * caps[0].half_height
    (panel,) = read_chart(str(by_size("c", "w", [line(0, [0.9, 0.5])], [(100.0, value)])))
    (diamond,) = (mark for mark in panel.marks if mark.half_width == mark.half_height > 2.4)
    ends = [mark for mark in panel.marks if mark.half_height == 0]
    assert [end.half_width > diamond.half_width for end in ends] == [True, True]


def line(place: int, heights: list[float], name: str = "") -> Curve:
    return Curve(name or f"run.{place}", place, list(enumerate(heights, 1)))


def test_lines_have_their_names_at_their_ends_in_their_order_and_apart() -> None:
    ends = [0.50, 0.501, 0.502, 0.2, 0.49, 0.9]
    lines = [line(place, [0.1, 0.3, end]) for place, end in enumerate(ends)]
    for svg in (curves("c", "words", lines), by_size("c", "words", lines, [])):
        (panel,) = read_chart(str(svg))
        names = {text: at for text, at in panel.texts if text.startswith("run.")}
        assert len(names) == len(lines)
        heights = sorted(ends, reverse=True)
        from_top = sorted(names, key=lambda name: names[name][1])
        assert from_top == [f"run.{ends.index(end)}" for end in heights]
        places = [names[name][1] for name in from_top]
        assert all(below - above > 8 for above, below in pairwise(places))
        assert all(x > panel.box[2] for x, _ in names.values())
        assert_inside(panel)
    (panel,) = read_chart(str(curves("c", "words", lines[:1])))
    assert panel.texts == []


def test_of_many_lines_each_has_a_panel_with_the_same_scale() -> None:
    count = 3 * MOST_LABELLED + 2
    heights = [[0.1, 0.01 * place, 0.6 + 0.01 * place] for place in range(count)]
    lines = [line(place, of) for place, of in enumerate(heights)]
    panels = read_chart(str(small_multiples("c", "words", lines)))
    assert [panel.texts[0][0] for panel in panels] == [each.name for each in lines]
    ticks = numbers_at(panels[0].y_ticks)
    assert ticks[0] == 0 and ticks[-2] < max(map(max, heights)) <= ticks[-1]
    above = panels[0].box[3] - panels[0].y_of(0)
    slope = panels[0].y_of(1) - panels[0].y_of(0)
    median = sorted(heights)[count // 2]
    for panel, of in zip(panels, heights, strict=True):
        drawn = {each.colour: [y for _, y in each.points] for each in panel.lines}
        zero = panel.box[3] - above
        (colour,) = drawn.keys() - {"var(--muted)"}
        assert drawn[colour] == pytest.approx([zero + slope * y for y in of], abs=0.01)
        assert drawn["var(--muted)"] == pytest.approx([zero + slope * y for y in median], abs=0.01)
    # Where few went on there is no median of all.
    longer = [*lines[:-1], line(count - 1, [*heights[-1], 0.7, 0.8])]
    *_, last = read_chart(str(small_multiples("c", "words", longer)))
    assert sorted(len(each.points) for each in last.lines) == [3, 5]
    for one, other in pairwise(sorted(panels, key=lambda panel: panel.box[1])):
        same_row = one.box[1] == pytest.approx(other.box[1])
        assert same_row or other.box[1] > one.box[3]


def test_neighbours_differ_in_their_dash_and_24_runs_in_it_or_their_colour() -> None:
    assert all(dash_of(place) != dash_of(place + 1) for place in range(30))
    assert len({(colour_number(place), dash_of(place)) for place in range(24)}) == 24


def test_several_forecasts_of_one_size_stand_side_by_side() -> None:
    lines = [line(place, [0.9, 0.6]) for place in range(3)]
    same = (1000.0, Measured(0.4, 0.3, 0.5))
    (panel,) = read_chart(str(by_size("c", "words", lines, [same] * 3)))
    ends = [mark for mark in panel.marks if mark.half_height == 0]
    across = sorted({round(mark.x, 3) for mark in ends})
    assert len(across) == 3
    assert all(right - left > 5 for left, right in pairwise(across))
    assert {round(mark.y, 2) for mark in ends} == {round(panel.y_of(y), 2) for y in (0.3, 0.5)}
    assert_inside(panel)


def test_rates_end_just_beyond_what_is_drawn_and_the_chosen_point_has_another_shape() -> None:
    curve = Curve("rates", 0, [(0.0, 0.19), (0.3, 0.12), (0.55, 0.1)])
    (panel,) = read_chart(str(rates("c", "words", curve, ("x", "y"), (0.3, 0.12))))
    assert numbers_at(panel.x_ticks)[-1] == 0.6
    assert numbers_at(panel.y_ticks)[-1] == 0.2
    (chosen,) = panel.marks
    assert (chosen.x, chosen.y) == pytest.approx((panel.x_of(0.3), panel.y_of(0.12)), abs=0.01)
    (drawn,) = panel.lines
    assert [y for _, y in drawn.points] == pytest.approx(
        [panel.y_of(y) for _, y in curve.points], abs=0.01
    )


WITH_NAMES: list[Callable[[list[str]], object]] = [
    lambda names: versus("c", "w", [Versus(n, 0, [Measured(0.5)], 0.1) for n in names]),
    lambda names: curves("c", "w", [line(i, [0.1, 0.2], n) for i, n in enumerate(names)]),
    lambda names: small_multiples("c", "w", [line(i, [0.1, 0.2], n) for i, n in enumerate(names)]),
    lambda names: by_size("c", "w", [line(i, [0.1, 0.2], n) for i, n in enumerate(names)], []),
]


@pytest.mark.parametrize("draw", WITH_NAMES)
def test_long_names_leave_the_axes_their_room_and_stay_different(
    draw: Callable[[list[str]], object],
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        svg = str(draw([f"{LONG}.0", f"{LONG}.1", f"other_{LONG}.0"]))
    panels = read_chart(svg)
    width = float(re.findall(r'viewBox="0 0 ([\d.]+)', svg)[0])
    wide = max(panel.box[2] for panel in panels) - min(panel.box[0] for panel in panels)
    assert wide > 0.4 * width
    texts = [text for panel in panels for text, _ in [*panel.texts, *panel.y_ticks] if "…" in text]
    assert len(texts) == len(set(texts)) == 3
