"""A run's outcome in a line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lookalike.report.outcome import found_in_words, of_hundred, outcome_in_words, telling_cut_off

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
        "ms: for 18 of 100 queries the first image is right (untrained 7, chance 1.2); "
        "for 50 of 100 at least one of the first ten is (untrained 20, chance 10)"
    )


@pytest.mark.parametrize(
    ("weights", "called"), [("pretrained", "before training"), ("none", "untrained")]
)
def test_what_is_before_training_is_called_as_on_the_page(
    tmp_path: Path, weights: str, called: str
) -> None:
    table = tmp_path / "comparison.csv"
    row = "ms.0,ms,0,{},0.18,0.5,0.1,0.0125,0.1"
    table.write_text("\n".join([HEAD, row.format("trained"), row.format("untrained")]))
    (tmp_path / "ms.0").mkdir()
    settings = {"model": {"name": "timm", "weights": weights}}
    (tmp_path / "ms.0" / "model.json").write_text(json.dumps({"settings": settings}))
    assert f"({called} 18, " in outcome_in_words(tmp_path / "report.html", table)


def test_without_a_cut_off_of_one_the_least_is_taken(tmp_path: Path) -> None:
    table = tmp_path / "comparison.csv"
    names = "run,state,CMC@5,CMC@20,CMC@5_chance,CMC@20_chance,CMC@1"
    # What only other runs were scored with is empty.
    table.write_text(f"{names}\na.0,trained,0.5,1.0,0.25,0.75,")
    assert outcome_in_words(tmp_path / "report.html", table).endswith(
        "; a: for 50 of 100 queries at least one of the first five images is right (chance 25); "
        "for 100 of 100 at least one of the first 20 is (chance 75)"
    )


def test_with_several_seeds_the_run_is_told_by_its_seed(tmp_path: Path) -> None:
    table = tmp_path / "comparison.csv"
    row = "ms,0,trained,0.18,0.5,0.1,0.0125,0.1"
    table.write_text("\n".join([HEAD, f"ms.0,{row}", f"ms.1,{row}"]))
    assert "; ms.0: for 18 of" in outcome_in_words(tmp_path / "report.html", table)


@pytest.mark.parametrize(
    ("ks", "least", "telling"),
    [([1, 10, 50], 1, 10), ([50, 20, 1], 1, 20), ([3, 7], 3, 7), ([10], 10, 10), ([1], 1, 1)],
)
def test_two_cut_offs_are_told_of_or_one(ks: list[int], least: int, telling: int) -> None:
    row = {f"CMC@{k}{end}": k / 100 for k in ks for end in ("", "_chance")}
    said = found_in_words(ks, row, row, "before training")
    assert telling_cut_off(ks) == telling
    told = sorted({least, telling})
    assert said.count(";") == len(told) - 1
    for clause, k in zip(said.split("; "), told, strict=True):
        assert clause.startswith(f"for {k} of 100")
        assert clause.endswith(f" (before training {k}, chance {k})")
    assert said.count("queries") == 1


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
