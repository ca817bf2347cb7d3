"""Ticks that are round and hold all that is drawn, found again by trying every round step."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from lookalike.report.round_axes import magnitudes_axis, round_axis, round_ticks

SHARES = st.floats(0, 1).map(lambda value: round(value, 6))
RANKS = st.floats(1, 1e5)
STEPS = sorted(round(m * 10.0**e, 12) for m in (1, 2, 2.5, 5) for e in range(-9, 6))


@given(st.one_of(st.lists(SHARES, min_size=1), st.lists(RANKS, min_size=1)), st.booleans())
def test_ticks_are_round_even_and_end_just_beyond_the_values(
    values: list[float], from_zero: bool
) -> None:
    ticks = round_ticks(values, from_zero=from_zero)
    step = ticks[1] - ticks[0]
    slack = 1e-9 * max(map(abs, ticks))
    assert any(math.isclose(step, known, rel_tol=1e-6) for known in STEPS)
    for place, tick in enumerate(ticks):
        assert math.isclose(tick, ticks[0] + place * step, abs_tol=slack)
        assert math.isclose(tick / step, round(tick / step), abs_tol=1e-6)
    assert ticks[0] <= min(values) + slack
    assert ticks[-1] >= max(values) - slack
    # The next smaller axis would leave a value out.
    if max(values) > 0:
        assert ticks[-2] < max(values)
    if from_zero or min(values) <= max(values) / 2:
        assert ticks[0] == 0
    else:
        assert ticks[1] > min(values) or ticks[0] == 0
    assert 2 <= len(ticks) <= 7


@pytest.mark.parametrize(
    ("values", "ends"),
    [
        ([0.02, 0.495], (0, 0.5)),
        ([0.0, 1.0], (0, 1)),
        ([0.85, 0.88], (0.85, 0.88)),
        ([0.0], (0, 1)),
        ([], (0, 1)),
        ([0.8, 0.8], (0, 0.8)),  # a line that does not move is not to look as if it did
        ([17.5, 233.7], (0, 250)),
        ([-3.0, 4.0], (-4, 4)),
        ([-2.0], (-2, 0)),
        ([None, 0.3], (0, 0.3)),
    ],
)
def test_ends_of_an_axis(values: list[float | None], ends: tuple[float, float]) -> None:
    ticks = round_ticks(values)
    assert (ticks[0], ticks[-1]) == pytest.approx(ends)


def test_an_axis_has_room_for_half_a_mark_beyond_both_ends() -> None:
    axes = Figure().add_subplot()
    round_axis(axes, "x", [0.1, 0.5])
    low, high = axes.get_xlim()
    assert low < 0 and high > 0.5
    assert high - 0.5 == pytest.approx(-low)
    assert list(axes.get_xticks()) == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.5])


@pytest.mark.parametrize(("greatest", "said"), [(20, {2, 5, 10, 20}), (1e5, {10, 100, 1000})])
def test_few_magnitudes_have_ticks_between_them(greatest: float, said: set[float]) -> None:
    axes = Figure().add_subplot()
    axes.plot([2, greatest], [0, 1])
    magnitudes_axis(axes)
    low, high = axes.get_xlim()
    ticks = {tick for tick in axes.get_xticks() if low <= tick <= high}
    assert said <= ticks
    assert (5 in ticks) == (greatest == 20)
