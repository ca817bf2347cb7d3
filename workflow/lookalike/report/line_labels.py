"""The names of lines where the lines end: short, each different, and apart from one another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from scipy.optimize import isotonic_regression

from lookalike.retrieval.arrays import Values

_LONGEST = 20  # letters of a name beside a line
# Of the height of a chart, from one name to the next.
_APART = 0.088
_ELLIPSIS = "…"
_BETWEEN = "._-=/ "  # words of a name


def short_names(names: Sequence[str], longest: int) -> list[str]:
    """Names of at most `longest` letters, different wherever the given ones are.

    What all have in front goes first, since it tells none from another; then the middle, since
    runs differ at their ends. Names that are alike without it get their places as numbers.
    """
    if all(len(name) <= longest for name in names):
        return list(names)
    if (begin := _word_that_differs(names)) > 1:
        names = [_ELLIPSIS + name[begin:] for name in names]
    short = [_without_middle(name, longest) for name in names]
    alike = Counter(dict(zip(names, short, strict=True)).values())
    return [
        name if alike[name] == 1 else _with_place(full, names.index(full) + 1, longest)
        for name, full in zip(short, names, strict=True)
    ]


def spread_out(wanted: Sequence[float], apart: float) -> Values:
    """Places from 0 to 1, in the order of those wanted and as near to them as that allows.

    Neighbours are `apart`, or as far as fits; no other such places have a smaller sum of squared
    distances from the wanted ones.
    """
    order = np.argsort(wanted, kind="stable")
    apart = min(apart, 1 / max(len(order) - 1, 1))
    steps = apart * np.arange(len(order))
    # Without the steps, the places must but not fall: least squares under that is known.
    level = isotonic_regression(np.array(wanted, np.float64)[order] - steps).x
    places = np.empty(len(order))
    places[order] = np.clip(level, 0.0, 1.0 - apart * max(len(order) - 1, 0)) + steps
    return places


def label_ends(
    axes: Axes,
    names: Sequence[str],
    ends: Sequence[tuple[float, float]],
    colours: Sequence[str],
) -> None:
    """Write each name to the right of the axes, with a thin line from where its line ends.

    The limits of the axes must stand. `ends` are (x, y) of the lines, in their order.
    """
    low, high = axes.get_ylim()
    places = spread_out([(y - low) / (high - low) for _, y in ends], _APART)
    for name, end, colour, place in zip(
        short_names(names, _LONGEST), ends, colours, places.tolist(), strict=True
    ):
        axes.annotate(
            name,
            end,
            xytext=(1.04, place),
            textcoords="axes fraction",
            va="center",
            fontsize=9,
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.7, "relpos": (0, 0.5)},
        )


def _word_that_differs(names: Sequence[str]) -> int:
    """Where the word begins from which on names differ; a number is of the word before it."""
    first, last = min(names), max(names)
    pairs = enumerate(zip(first, last, strict=False))
    begin = next((place for place, (one, other) in pairs if one != other), 0)
    while begin and not (first[begin - 1] in _BETWEEN and first[begin : begin + 1].isalpha()):
        begin -= 1
    return begin


def _with_place(text: str, place: int, longest: int) -> str:
    number = f" ({place})"
    return _without_middle(text, longest - len(number)) + number


def _without_middle(text: str, longest: int) -> str:
    if len(text) <= longest:
        return text
    end = (longest - 1) // 2
    return text[: longest - 1 - end] + _ELLIPSIS + text[len(text) - end :]
