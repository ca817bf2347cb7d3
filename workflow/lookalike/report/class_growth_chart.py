"""The chart of a metric over the number of training classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, pairwise

from markupsafe import Markup
from matplotlib.ticker import NullLocator

from lookalike.report.round_axes import round_axis
from lookalike.report.svg import (
    SERIES,
    SERIES_COLOURS,
    Measured,
    dash_of,
    draw_interval,
    inline,
    own_style,
    panel,
)

_TICKS = 7  # numbers of classes that are told; of more, some between the ends


@dataclass(frozen=True)
class ClassPoint:
    """A value by the number of training classes; 0 is before training."""

    classes: int
    value: Measured


@dataclass(frozen=True)
class ClassLine:
    """One line of the chart, by ascending numbers of classes; `style` counts the runs from 0."""

    name: str
    style: int
    points: Sequence[ClassPoint]


def by_classes(name: str, label: str, lines: Sequence[ClassLine]) -> Markup:
    """Lines over the number of training classes, by powers; a dotted one leads to each from none.

    Args:
        name: makes the ids unique in the page.
        label: says it in words.
        lines: each with two points of some classes at the least.
    """
    counts = sorted({point.classes for line in lines for point in line.points if point.classes})
    # None has no place on this scale: it stands as far to the left as the widest step is wide.
    step = max(after / before for before, after in pairwise(counts))
    places = {0: counts[0] / step} | {count: float(count) for count in counts}
    with own_style():
        figure, axes = panel(height=2.6)
        for line in lines:
            colour = SERIES_COLOURS[line.style % SERIES]
            points = [(places[point.classes], point.value) for point in line.points]
            for place, measured in points:
                if measured.low is not None and measured.high is not None:
                    draw_interval(axes, [place] * 2, [measured.low, measured.high], colour, "_")
            first = line.points[0].classes == 0
            if first:
                across, values = zip(*points[:2], strict=True)
                axes.plot(across, [each.value for each in values], ":", color=colour, linewidth=1.2)
                axes.plot(
                    *([points[0][0]], [points[0][1].value]),
                    "o",
                    color=colour,
                    markersize=5,
                    markerfacecolor="none",
                )
            across, values = zip(*points[first:], strict=True)
            axes.plot(
                across,
                [each.value for each in values],
                color=colour,
                dashes=dash_of(line.style) or (None, None),
                linewidth=1.6,
                marker="o",
                markersize=4,
            )
        axes.set_xscale("log")
        there = any(line.points[0].classes == 0 for line in lines)
        told = [*([0] if there else []), *_some(counts)]
        axes.set_xticks([places[count] for count in told], [f"{count:,}" for count in told])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlabel("training classes")
        axes.grid(axis="y", linewidth=0.8)
        drawn = (point.value for line in lines for point in line.points)
        round_axis(axes, "y", chain(*((it.value, it.low, it.high) for it in drawn)), from_zero=True)
        return inline(figure, name, label)


def _some(counts: Sequence[int]) -> list[int]:
    """Both ends, and of many between them as many as have room, apart by powers."""
    if len(counts) <= _TICKS:
        return [*counts]
    wanted = [
        counts[0] * (counts[-1] / counts[0]) ** (place / (_TICKS - 1)) for place in range(_TICKS)
    ]
    nearest = {min(counts, key=lambda count: abs(count - place)) for place in wanted}
    return sorted(nearest)
