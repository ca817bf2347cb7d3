"""Axes that end at round numbers, just beyond what is drawn."""

from __future__ import annotations

import math
from collections.abc import Iterable

from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, NullLocator

_STEPS = 5
_ROUND = [1, 2, 2.5, 5, 10]
# Room beyond both ends for half a mark, as a part of the axis.
_ROOM = 0.025
# Values that differ by less than this part of the greatest are not told apart by stretching them.
_ALIKE = 0.01
# Powers of ten from which on 2 and 5 times each of them are no ticks.
_MAGNITUDES = 1.5


def round_ticks(
    values: Iterable[float | None], *, from_zero: bool = False, steps: int = _STEPS
) -> list[float]:
    """Evenly spaced round numbers, the first at or below and the last at or above all `values`.

    Args:
        values: finite numbers; None is left out.
        from_zero: begin at 0 unless values lie below it. Without it, too, an axis begins there,
            unless all values lie in its upper half.
        steps: from tick to tick, at most.
    """
    known = [value for value in values if value is not None]
    low, high = min(known, default=0.0), max(known, default=0.0)
    if low >= 0 and (from_zero or low <= high / 2 or high - low <= _ALIKE * high):
        low = 0.0
    if high <= 0 and high - low <= _ALIKE * -low:
        high = 0.0
    if low == high:
        high = 1.0
    return list(map(float, MaxNLocator(steps, steps=_ROUND).tick_values(low, high)))


def round_axis(
    axes: Axes,
    which: str,
    values: Iterable[float | None],
    *,
    from_zero: bool = False,
    steps: int = _STEPS,
) -> None:
    """Give the axis `which`, "x" or "y", the ticks of `round_ticks`, and end it there."""
    ticks = round_ticks(values, from_zero=from_zero, steps=steps)
    room = _ROOM * (ticks[-1] - ticks[0])
    axes.set(**{f"{which}ticks": ticks, f"{which}lim": (ticks[0] - room, ticks[-1] + room)})


def magnitudes_axis(axes: Axes, form: str = "{x:g}") -> None:
    """Lay the horizontal axis out by powers of ten, with 2 and 5 times them where these are few.

    What is drawn must be there already, and be above 0. `form` formats the number of a tick.
    """
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    few = math.log10(high / low) < _MAGNITUDES
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if few else (1,)))
    axes.xaxis.set_major_formatter(form)
    axes.xaxis.set_minor_formatter(NullFormatter())
    if few:
        axes.xaxis.set_minor_locator(NullLocator())
