"""A run's outcome in a line."""

from __future__ import annotations

from pathlib import Path

import pytest

from lookalike.report.outcome import of_hundred, outcome_in_words

HEAD = "run,recipe,seed,state,CMC@1,CMC@10,CMC@1_low,CMC@1_chance,CMC@10_chance"


def test_the_first_run_is_named_beside_its_untrained_network_and_chance(tmp_path: Path) -> None:
    table = tmp_path / "comparison.csv"
    rows = [
        "ms.0,ms,0,trained,0.18,0.5,0.1,0.0125,0.1",
        "ms.0,ms,0,untrained,0.07,0.2,0.0,0.0125,0.1",
        "b.0,b,0,trained,0.9,0.9,0.9,0.0125,0.1",
    ]
    table.write_text("\n".join([HEAD, *rows]))
    assert outcome_in_words(tmp_path / "report.html", table).partition("; ")[2] == (
        "ms.0: the first image is right for 18 of 100 queries (untrained 7, chance 1.2)"
    )


def test_without_a_cut_off_of_one_the_least_is_taken(tmp_path: Path) -> None:
    table = tmp_path / "comparison.csv"
    table.write_text("run,state,CMC@5,CMC@20,CMC@5_chance\na.0,trained,0.5,1.0,0.25")
    assert outcome_in_words(tmp_path / "report.html", table).endswith(
        "a.0: one of the first 5 images is right for 50 of 100 queries (chance 25)"
    )


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (0.0, "0"),
        (1.0, "100"),
        (0.0004, "less than 0.1"),
        (0.9996, "more than 99.9"),
        (0.004, "0.4"),
        (0.125, "12"),
        (0.07, "7"),
        (0.996, "99.6"),
    ],
)
def test_shares_are_counts_of_a_hundred(share: float, words: str) -> None:
    assert of_hundred(share) == words
