"""Curves of many runs, each in a panel of its own beside what is usual."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from statistics import median

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lookalike.report.line_labels import short_names
from lookalike.report.round_axes import round_axis
from lookalike.report.svg import INK, Curve, draw_curve, inline, own_style, values_of

_COLUMNS = 3
_NAME_LENGTH = 19
# In inches: the whole, a panel with the name above it, and what the numbers of the axes take.
_WIDTH, _PANEL, _NAME, _LEFT, _BELOW, _BETWEEN = 4.4, 0.62, 0.22, 0.42, 0.42, 0.12


def small_multiples(
    name: str, label: str, lines: Sequence[Curve], from_zero: bool = False
) -> Markup:
    """Lines over epochs, a panel each under its name, all with the same axes.

    A thin dotted line in each is the median of all, in the epochs that half of them have. The
    arguments are those of `lookalike.report.svg.curves`.
    """
    rows = -(-len(lines) // _COLUMNS)
    height = rows * (_PANEL + _NAME) + _BELOW
    usual = _medians(lines)
    names = short_names([line.name for line in lines], _NAME_LENGTH)
    with own_style():
        figure = Figure(figsize=(_WIDTH, height))
        first = None
        for place, line in enumerate(lines):
            row, column = divmod(place, _COLUMNS)
            axes = first = _panel(figure, row, column, height, first)
            if usual:
                axes.plot(*zip(*usual, strict=True), ":", color=INK, linewidth=1)
            draw_curve(axes, line)
            axes.set_title(names[place], fontsize=8, loc="left", pad=3)
            axes.grid(axis="y", linewidth=0.8)
            axes.tick_params(labelleft=column == 0, length=0)
            axes.tick_params(labelbottom=place + _COLUMNS >= len(lines))
        if first is not None:
            first.margins(x=0.04)
            # Without the first, which would stand at the last of the panel before.
            first.xaxis.set_major_locator(MaxNLocator(2, integer=True, prune="lower"))
            round_axis(first, "y", values_of(lines), from_zero=from_zero, steps=2)
        figure.text(0.5, 0.05 / height, "epoch", ha="center")
        return inline(figure, name, label)


def _panel(figure: Figure, row: int, column: int, height: float, shared: Axes | None) -> Axes:
    width = (_WIDTH - _LEFT) / _COLUMNS
    left = _LEFT + column * width
    bottom = height - (row + 1) * (_PANEL + _NAME)
    box = left / _WIDTH, bottom / height, (width - _BETWEEN) / _WIDTH, _PANEL / height
    axes = figure.add_axes(box, sharex=shared, sharey=shared)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.set_axisbelow(True)
    return axes


def _medians(lines: Sequence[Curve]) -> list[tuple[float, float]]:
    values = defaultdict(list)
    for line in lines:
        for x, y in line.points:
            values[x].append(y)
    # Of the few that went on when the others had ended it would say nothing of these.
    return [
        (x, median(of_epoch))
        for x, of_epoch in sorted(values.items())
        if 2 * len(of_epoch) >= len(lines)
    ]
