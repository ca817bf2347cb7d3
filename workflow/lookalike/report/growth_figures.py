"""What the report shows of how metrics change with the size of the gallery."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lookalike.report.figures import Figure
from lookalike.report.numbers import number
from lookalike.report.results import Results
from lookalike.report.slices import MOST_RUNS
from lookalike.report.svg import Curve, Measured, by_size


def growing(runs: Sequence[Results], keys: Sequence[str]) -> list[str]:
    """Those of some metrics whose growth is known of every run."""
    known = [run.main.summary["growth"]["metrics"] for run in runs]
    return [key for key in keys if all(key in metrics for metrics in known)]


def growth_figures(runs: Sequence[Results], keys: Sequence[str]) -> list[Figure]:
    """A chart for each metric: the first `MOST_RUNS` runs by the size of the gallery, and then.

    Args:
        runs: those that come first are drawn.
        keys: of `growing`.

    """
    drawn = runs[:MOST_RUNS]
    figures = []
    for place, key in enumerate(keys):
        lines, forecasts, said = [], [], []
        for run in drawn:
            growth = run.main.summary["growth"]
            points = list(zip(growth["sizes"], growth["metrics"][key], strict=True))
            lines.append(Curve(run.name, run.place, points))
            (small, first), (size, last) = points[0], points[-1]
            words = f"{number(key, first)} of {small:,.0f}, {number(key, last)} of {size:,.0f}"
            if growth["forecast"]:
                found = growth["forecast"]["metrics"][key]
                then = growth["forecast"]["size"]
                forecasts.append((then, Measured(found["value"], found["low"], found["high"])))
                words += f", forecast {number(key, found['value'])} of {then:,.0f}"
            said.append(f"{run.name}: {words}.")
        label = f"{key} by the size of the gallery. {' '.join(said)}"
        figures.append(
            Figure(
                key.replace("_", " "),
                f"Relevant images stay, the others are fewer{_of_forecasts(len(forecasts))}.",
                by_size(
                    f"growth{place}",
                    label,
                    lines,
                    forecasts if len(forecasts) == len(lines) else [],
                ),
            )
        )
    return figures


def _of_forecasts(count: int) -> str:
    if count == 0:
        return ""
    return (
        "; the diamond is the forecast"
        if count == 1
        else "; the diamonds are the forecasts, side by side though all for one size"
    )


def forecasts_of(runs: Sequence[Results]) -> dict[str, Mapping[str, Any]]:
    """`forecast` of metrics.json by the run's name, of those that have one."""
    found = {run.name: run.main.summary["growth"]["forecast"] for run in runs}
    return {name: forecast for name, forecast in found.items() if forecast}
