"""Growth on the report, held against metrics.json."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from lookalike.report.growth_figures import forecasts_of, growth_figures
from lookalike.report.results import Results, StateResults
from lookalike.report.slices import MOST_RUNS


def run_of(place: int, forecast: bool = True) -> Results:
    growth: dict[str, Any] = {
        "sizes": [20.0, 110.0],
        "others": [10.0, 100.0],
        "metrics": {"mAP@10": [0.9, 0.75 - 0.01 * place], "mean_rank": [1.5, 6.0 + place]},
        "forecast": None,
    }
    if forecast:
        found = {"mAP@10": (0.5, 0.4, 0.6), "mean_rank": (51.0, None, None)}
        growth["forecast"] = {
            "times": 10,
            "size": 1010.0,
            "metrics": {
                key: dict(zip(("value", "low", "high"), of, strict=True))
                for key, of in found.items()
            },
        }
    states = {"trained": StateResults({"growth": growth}, Path("gone"))}
    return Results(f"r{place}", 0, place, states, {}, pd.DataFrame(), {})


@pytest.mark.parametrize("forecast", [True, False])
def test_every_run_is_said_in_words_and_drawn(forecast: bool) -> None:
    runs = [run_of(place, forecast) for place in range(MOST_RUNS + 2)]
    shares, ranks = growth_figures(runs, ["mAP@10", "mean_rank"])
    assert "r0.0: 0.900 of 20, 0.750 of 110" in shares.svg
    assert "r1.0: 1.5 of 20, 7.0 of 110" in ranks.svg
    assert ("forecast 0.500 of 1,010" in shares.svg) == forecast
    assert f"r{MOST_RUNS - 1}.0" in shares.svg
    assert f"r{MOST_RUNS}.0" not in shares.svg
    assert ("diamond" in shares.sentence) == forecast
    assert 'id="growth0-' in shares.svg
    assert 'id="growth1-' in ranks.svg
    assert len(forecasts_of(runs)) == forecast * len(runs)


def test_a_run_without_a_forecast_beside_one_with_it_takes_all_from_the_chart() -> None:
    (figure,) = growth_figures([run_of(0), run_of(1, forecast=False)], ["mAP@10"])
    assert "forecast 0.500" in figure.svg
    assert list(forecasts_of([run_of(0), run_of(1, forecast=False)])) == ["r0.0"]
