"""Charts of many recipes: a point each, however many there are, in few bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, NullLocator

from lookalike.report.dependence import Dependence
from lookalike.report.line_labels import short_names
from lookalike.report.recipe_points import RecipePoint
from lookalike.report.round_axes import magnitudes_axis, round_axis
from lookalike.report.svg import INK, SERIES_COLOURS, inline, own_style, panel
from lookalike.retrieval.arrays import Values

NAMED_ROWS = 40
"""Recipes that have a row with their name each; more stand side by side without."""

_NAME_LENGTH = 28
_SHORT_NAME = 14
_NAME_OF_FEW = 18
_SEEN_BY_THEMSELVES = 100
_TICKS = 6
_LOG_FROM = 10  # times the least cost that the greatest is
_COLOUR = SERIES_COLOURS[0]
_DOT = 2.0
# Part of an axis below which an interval is hidden by its dot.
_HIDDEN = 0.025


@dataclass(frozen=True)
class CostPoints:
    """What recipes cost, in one way, beside how good they are.

    Attributes:
        called: what the cost is, as an axis says it.
        costs: float64 [n].
        values: float64 [n], more is better.
        front: bool [n], which no other surpasses.
        names: n.
        named: those of the front that are told, from the cheapest on.
    """

    called: str
    costs: Values
    values: Values
    front: Sequence[bool]
    names: Sequence[str]
    named: Sequence[str]


def estimates_chart(name: str, label: str, points: Sequence[RecipePoint], key: str) -> Markup:
    """Every recipe's estimate and interval, the highest first: rows with names, or without.

    Args:
        name: makes the ids unique in the page.
        label: says it in words.
        points: recipes.
        key: the metric.
    """
    rows = len(points) <= NAMED_ROWS
    with own_style(every_point=True):
        figure, axes = panel(height=0.62 + 0.19 * len(points) if rows else 2.6)
        order = np.arange(len(points), dtype=float)
        ends = [point.interval or (np.nan, np.nan) for point in points]
        # One path, which a renderer draws as lines: an element each would take far more bytes.
        along = np.array([(low, high, np.nan) for low, high in ends]).ravel()
        across = np.repeat(order, 3)
        values = np.array([point.value for point in points])
        shown = [*values.tolist(), *(end for point in points for end in point.interval or ())]
        round_axis(axes, "x" if rows else "y", shown)
        if rows:
            # The ends are longer than a mark is high, so that a narrower interval shows.
            (ends_of,) = axes.plot(along, across, "|-", color=_COLOUR, linewidth=1.6)
            ends_of.set(markersize=9, markeredgewidth=1.3)
            axes.plot(values, order, "o", color=_COLOUR, markersize=5.5, zorder=3)
            axes.set_yticks(order, short_names([point.recipe for point in points], _NAME_LENGTH))
            axes.tick_params(axis="y", length=0)
            axes.set_ylim(len(points) - 0.5, -0.5)
            axes.set_xlabel(key)
            axes.grid(axis="x", linewidth=0.8)
        else:
            axes.plot(across, along, color=_COLOUR, linewidth=0.9, alpha=0.8)
            _ends_of_hidden(axes, points)
            _dots(axes, order, values, _DOT, INK)
            axes.set_xlim(-0.02 * len(points), 1.02 * len(points))
            axes.set_xlabel("recipes, the highest first")
            axes.set_ylabel(key)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.grid(axis="y", linewidth=0.8)
        return inline(figure, name, label)


def dependence_chart(name: str, label: str, found: Dependence, key: str) -> Markup:
    """The metric of each recipe by one setting: points, and the mean of each group as a line."""
    with own_style(every_point=True):
        figure, axes = panel(height=2.4)
        x = found.x
        if found.kinds is not None:
            # Beside one another, in a fixed pattern: equal pages have equal bytes.
            x = x + (np.arange(len(x)) % 7 - 3) / 30
        _dots(axes, x, found.values, 3.6, INK, alpha=_faint(len(x)))
        at, means, _ = (np.array(column) for column in zip(*found.groups, strict=True))
        if found.kinds is None:
            axes.plot(at, means, "o-", color=_COLOUR, linewidth=1.6, markersize=4)
        else:
            for place, mean in zip(at.tolist(), means.tolist(), strict=True):
                axes.plot([place - 0.3, place + 0.3], [mean, mean], color=_COLOUR, linewidth=2.2)
            turned = len(found.kinds) > 3
            names = short_names(found.kinds, _SHORT_NAME if turned else _NAME_OF_FEW)
            axes.set_xticks(
                range(len(names)),
                names,
                rotation=35 if turned else 0,
                ha="right" if turned else "center",
            )
            axes.set_xlim(-0.6, len(names) - 0.4)
        if found.by_magnitude:
            magnitudes_axis(axes)
        distinct = np.unique(found.x)
        if found.kinds is None and len(distinct) <= _TICKS:
            axes.set_xticks(distinct, [f"{x:g}" for x in distinct.tolist()])
            axes.xaxis.set_minor_locator(NullLocator())
        round_axis(axes, "y", found.values.tolist())
        axes.set_xlabel(found.name)
        axes.set_ylabel(key)
        axes.grid(axis="y", linewidth=0.8)
        return inline(figure, name, label)


def costs_chart(name: str, label: str, costs: CostPoints, key: str) -> Markup:
    """Quality by cost, with the front as a line, and names at some of its points."""
    front = np.array(costs.front)
    with own_style(every_point=True):
        figure, axes = panel(height=2.6)
        _dots(axes, costs.costs[~front], costs.values[~front], 3.6, INK, alpha=_faint(len(front)))
        order = np.argsort(costs.costs[front], kind="stable")
        at, best = costs.costs[front][order], costs.values[front][order]
        axes.plot(at, best, "o-", color=_COLOUR, linewidth=1.4, markersize=5, zorder=3)
        names = np.array(costs.names)[front][order]
        least, most = float(costs.costs.min()), float(costs.costs.max())
        by_magnitude = least > 0 and most >= _LOG_FROM * least
        middle = (least * most) ** 0.5 if by_magnitude else (least + most) / 2
        short = dict(zip(costs.named, short_names(costs.named, _SHORT_NAME), strict=True))
        told = [
            (x, y, short[text]) for x, y, text in zip(at, best, names, strict=True) if text in short
        ]
        for place, (x, y, text) in enumerate(told):
            # Towards the middle, and by turns above and below, so that they are apart.
            right = x > middle
            axes.annotate(
                text,
                (x, y),
                xytext=(-4 if right else 4, 5 if place % 2 else -11),
                textcoords="offset points",
                ha="right" if right else "left",
                fontsize=8,
            )
        if by_magnitude:
            magnitudes_axis(axes)
        else:
            axes.xaxis.set_major_locator(MaxNLocator(5))
            axes.xaxis.set_major_formatter("{x:,.12g}")
        round_axis(axes, "y", costs.values.tolist())
        axes.set_xlabel(costs.called)
        axes.set_ylabel(key)
        axes.grid(axis="y", linewidth=0.8)
        return inline(figure, name, label)


def _dots(
    axes: Axes, x: Values, y: Values, size: float, colour: str, *, alpha: float = 1.0
) -> None:
    """Points as the round ends of lines without length: one path, 30 bytes a point."""
    gap = np.full(len(x), np.nan)
    axes.plot(
        np.column_stack([x, x, gap]).ravel(),
        np.column_stack([y, y, gap]).ravel(),
        color=colour,
        alpha=alpha,
        linewidth=size,
        zorder=2.5,
        solid_capstyle="round",
    )


def _faint(count: int) -> float:
    """How opaque points are: of many, those that lie on each other are to show."""
    return 0.85 if count <= _SEEN_BY_THEMSELVES else 0.45


def _ends_of_hidden(axes: Axes, points: Sequence[RecipePoint]) -> None:
    """Strokes at the ends of the intervals that the dots would hide, wider than these."""
    low, high = axes.get_ylim()
    ends = [
        (place, end)
        for place, point in enumerate(points)
        if point.interval and point.interval[1] - point.interval[0] < _HIDDEN * (high - low)
        for end in point.interval
    ]
    if ends:
        at, found = zip(*ends, strict=True)
        axes.plot(at, found, "_", color=_COLOUR, markersize=2.5 * _DOT, markeredgewidth=0.9)
