"""Charts as inline SVG: real text, colours from the page's style sheet, no outside reference."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

import matplotlib
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lookalike.report.line_labels import label_ends, short_names
from lookalike.report.round_axes import magnitudes_axis, round_axis

SERIES = 6
"""Colours before they come again, with another dash."""
MOST_LABELLED = 7
"""Lines that have their names at their ends; of more, the names would not stand apart."""

# matplotlib draws with stand-in colours; the page's CSS variables then take their place, so that
# one drawing serves light and dark pages.
INK, _GRID, _PAGE = "#010101", "#020202", "#020102"
SERIES_COLOURS = tuple(f"#0300{index:02x}" for index in range(SERIES))
_VARIABLES = {INK: "var(--muted)", _GRID: "var(--line)", _PAGE: "var(--page)"} | {
    colour: f"var(--series-{index + 1})" for index, colour in enumerate(SERIES_COLOURS)
}
# Name and shape of the mark of each state in the order of a row, and whether it is filled.
_MARKS = (
    ("disc", "o", True),
    ("ring", "o", False),
    ("diamond", "D", True),
    ("open diamond", "D", False),
    ("square", "s", True),
    ("open square", "s", False),
    ("triangle", "^", True),
    ("open triangle", "^", False),
    ("cross", "X", True),
    ("open cross", "X", False),
)
_DASHES: tuple[tuple[float, ...], ...] = ((), (5, 2), (1.5, 1.5), (6, 2, 1.5, 2))
_NAME_LENGTH = 30  # of a row
# Ends of intervals, in points: longer than a mark is high, so that one that is narrower shows.
_CAP = 9.0
_MARK = 5.5
_BESIDE = 0.032  # part of an axis from one of several forecasts to the next

_SETTINGS: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "lookalike",
    "text.parse_math": False,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": _GRID,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": _GRID,
}
_SVG, _XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"


@dataclass(frozen=True)
class Curve:
    """One line of a chart: `points` are (x, y), `style` counts the runs from 0."""

    name: str
    style: int
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Measured:
    """A value with its 95 % interval; `low` and `high` may be missing together."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Versus:
    """A run's values of one metric, in one state after the other (None in one that it has not),
    beside chance."""

    name: str
    style: int
    measured: Sequence[Measured | None]
    chance: float


def dash_of(style: int) -> tuple[float, ...]:
    """Dash pattern in points of the run counted `style`; empty is a solid line.

    Neighbours differ in it, too, and not by their colour alone; 24 runs in one or the other.
    """
    return _DASHES[(style + style // (2 * SERIES)) % len(_DASHES)]


def colour_number(style: int) -> int:
    """Number, from 1, of the page's `--series-N` colour of the run counted `style`."""
    return style % SERIES + 1


def mark_name(state: int) -> str:
    """What the mark of the state counted `state` in the rows of `versus` is called."""
    return _MARKS[state % len(_MARKS)][0]


def curves(name: str, label: str, lines: Sequence[Curve], from_zero: bool = False) -> Markup:
    """Lines over epochs. `name` makes the ids unique in the page, `label` says it in words.

    Several have their names at their ends. `from_zero` begins the vertical axis at 0.
    """
    with own_style():
        figure, axes = panel(height=2.3)
        for line in lines:
            draw_curve(axes, line)
        axes.set_xlabel("epoch")
        axes.margins(x=0.02)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(axis="y", linewidth=0.8)
        round_axis(axes, "y", values_of(lines), from_zero=from_zero)
        _name_ends(axes, lines, [line.points[-1] for line in lines])
        return inline(figure, name, label)


def draw_curve(axes: Axes, line: Curve) -> None:
    """A line over epochs, in the colour and dash of its run."""
    x, y = zip(*line.points, strict=True)
    axes.plot(
        x,
        y,
        color=SERIES_COLOURS[line.style % SERIES],
        dashes=dash_of(line.style) or (None, None),
        linewidth=1.6,
        marker="o",
        markersize=4 if len(x) == 1 else 2.2,
    )


def values_of(lines: Sequence[Curve]) -> list[float]:
    """The height of every point of some lines."""
    return [y for line in lines for _, y in line.points]


def rates(
    name: str,
    label: str,
    line: Curve,
    axes_called: tuple[str, str],
    chosen: tuple[float, float] | None = None,
    magnitudes: bool = False,
) -> Markup:
    """One rate over another, both from 0 on, with the point that was chosen, if any.

    `magnitudes` lays the horizontal axis out by powers of ten.
    """
    with own_style():
        figure, axes = panel(height=2.6)
        x, y = zip(*line.points, strict=True)
        colour = SERIES_COLOURS[line.style % SERIES]
        axes.plot(x, y, color=colour, linewidth=1.6, marker="o", markersize=4 * (len(x) == 1))
        if chosen is not None:
            axes.plot(
                *([value] for value in chosen),
                "D",
                color=INK,
                markersize=7,
                markeredgecolor=_PAGE,
                zorder=3,
            )
        axes.set_xlabel(axes_called[0])
        axes.set_ylabel(axes_called[1])
        if magnitudes:
            magnitudes_axis(axes)
        else:
            round_axis(axes, "x", x, from_zero=True)
        round_axis(axes, "y", [*y, *(chosen or ())[1:]], from_zero=True)
        axes.grid(axis="y", linewidth=0.8)
        return inline(figure, name, label)


def by_size(
    name: str,
    label: str,
    lines: Sequence[Curve],
    forecasts: Sequence[tuple[float, Measured]],
) -> Markup:
    """Lines over the size of the gallery, by powers of ten; a dotted end leads to each forecast.

    `forecasts` are (size, value with its interval), one a line or none at all. Several of one size
    stand side by side, so that none hides another.
    """
    with own_style():
        figure, axes = panel(height=2.6)
        for line in lines:
            x, y = zip(*line.points, strict=True)
            colour = SERIES_COLOURS[line.style % SERIES]
            dashes = dash_of(line.style) or (None, None)
            axes.plot(x, y, color=colour, dashes=dashes, linewidth=1.6, marker="o", markersize=3)
        ends = [line.points[-1] for line in lines]
        least = min(x for line in lines for x, _ in line.points)
        for place, (line, (size, measured)) in enumerate(zip(lines, forecasts, strict=False)):
            colour, last = SERIES_COLOURS[line.style % SERIES], ends[place]
            beside = size * (size / least) ** (_BESIDE * (place - (len(lines) - 1) / 2))
            ends[place] = beside, measured.value
            axes.plot(*zip(last, ends[place], strict=True), ":", color=colour, linewidth=1.2)
            if measured.low is not None and measured.high is not None:
                draw_interval(axes, [beside] * 2, (measured.low, measured.high), colour, "_")
            axes.plot(*([end] for end in ends[place]), "D", color=colour, markersize=5, zorder=3)
        magnitudes_axis(axes, "{x:,g}")
        axes.set_xlabel("gallery images")
        axes.grid(axis="y", linewidth=0.8)
        bounds = [bound for _, measured in forecasts for bound in numbers_of(measured)]
        round_axis(axes, "y", [*values_of(lines), *bounds], from_zero=True)
        _name_ends(axes, lines, ends)
        return inline(figure, name, label)


def versus(name: str, label: str, rows: Sequence[Versus]) -> Markup:
    """A row a run: chance as a bar, the value in each state as its mark, the first one on top.

    Lines through the marks span the 95 % intervals; the axis goes from 0 to beyond all of them.
    """
    states = len(rows[0].measured)
    with own_style():
        figure, axes = panel(height=0.62 + 0.2 * states * len(rows))
        for place, row in enumerate(rows):
            colour = SERIES_COLOURS[row.style % SERIES]
            axes.plot([row.chance] * 2, [place - 0.4, place + 0.4], color=INK, linewidth=2)
            for state in reversed(range(states)):
                offset = 0.76 * ((state + 0.5) / states - 0.5)
                if measured := row.measured[state]:
                    _measured(axes, measured, place + offset, colour, state)
        names = short_names([row.name for row in rows], _NAME_LENGTH)
        axes.set_yticks(range(len(rows)), names)
        axes.tick_params(axis="y", length=0)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.grid(axis="x", linewidth=0.8)
        shown = [measured for row in rows for measured in row.measured if measured is not None]
        ends = [bound for measured in shown for bound in numbers_of(measured)]
        round_axis(axes, "x", [*ends, *(row.chance for row in rows)], from_zero=True)
        return inline(figure, name, label)


def numbers_of(measured: Measured) -> list[float]:
    """A value and the ends of its interval, as far as there are any."""
    known = (measured.value, measured.low, measured.high)
    return [number for number in known if number is not None]


@contextmanager
def own_style(*, every_point: bool = False) -> Iterator[None]:
    """Draw by matplotlib's defaults and `_SETTINGS`, whatever the user has set.

    `every_point` of a line is drawn, also one that adds nothing to its shape.
    """
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_SETTINGS | {"path.simplify": not every_point})
        yield


def _measured(axes: Axes, measured: Measured, place: float, colour: str, state: int) -> None:
    _, shape, filled = _MARKS[state % len(_MARKS)]
    if measured.low is not None and measured.high is not None:
        draw_interval(axes, (measured.low, measured.high), [place] * 2, colour, "|")
    axes.plot(
        [measured.value],
        [place],
        shape,
        color=colour,
        markersize=_MARK,
        markerfacecolor=colour if filled else _PAGE,
        zorder=3,
    )


def draw_interval(
    axes: Axes, x: Sequence[float], y: Sequence[float], colour: str, cap: str
) -> None:
    """A line between two points, with a stroke at each end: `cap` is "_" or "|"."""
    axes.plot(x, y, color=colour, linewidth=1.6, marker=cap, markersize=_CAP, markeredgewidth=1.3)


def _name_ends(axes: Axes, lines: Sequence[Curve], ends: Sequence[tuple[float, float]]) -> None:
    """Names where several lines end; one alone is what the heading says."""
    if 1 < len(lines) <= MOST_LABELLED:
        colours = [SERIES_COLOURS[line.style % SERIES] for line in lines]
        label_ends(axes, [line.name for line in lines], ends, colours)


def panel(height: float) -> tuple[Figure, Axes]:
    """A figure of the usual width and `height` inches, with one pair of axes."""
    figure = Figure(figsize=(4.4, height), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.set_axisbelow(True)
    return figure, axes


def inline(figure: Figure, name: str, label: str) -> Markup:
    """The figure as an `<svg>` element whose ids begin with `name`."""
    stream = io.StringIO()
    figure.savefig(stream, format="svg", transparent=True)
    ElementTree.register_namespace("", _SVG)
    ElementTree.register_namespace("xlink", _XLINK)
    root = ElementTree.fromstring(stream.getvalue())
    for metadata in root.findall(f"{{{_SVG}}}metadata"):
        root.remove(metadata)
    for element in root.iter():
        _rename(element, name)
    root.attrib.update({"role": "img", "aria-label": label, "class": "chart"})
    del root.attrib["width"], root.attrib["height"]
    text = ElementTree.tostring(root, encoding="unicode")
    for colour, variable in _VARIABLES.items():
        text = text.replace(colour, variable)
    # ElementTree has escaped every text and attribute.
    return Markup(text)


def _rename(element: ElementTree.Element, name: str) -> None:
    """Prefix the ids that an element has or points to, which repeat from figure to figure."""
    for key, value in list(element.attrib.items()):
        if key == "id":
            element.set(key, f"{name}-{value}")
        elif key.endswith("href") and value.startswith("#"):
            element.set(key, f"#{name}-{value[1:]}")
        elif "url(#" in value:
            element.set(key, re.sub(r"url\(#", f"url(#{name}-", value))
