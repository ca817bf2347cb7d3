"""Which runs are laid beside each other."""

from __future__ import annotations

import pytest

from lookalike.report.pairs import MOST_PAGES, Pair, pairs_with_baseline, runs_with_page

RUNS = [("a", 3), ("a", 1), ("b", 3), ("b", 1), ("given", 0)]


def test_the_first_seed_of_a_recipe_stands_beside_the_same_of_the_baseline() -> None:
    assert pairs_with_baseline(RUNS) == {"b": Pair("a.3", "b.3"), "given": Pair("a.3", "given.0")}
    assert pairs_with_baseline(RUNS, "b") == {
        "a": Pair("b.3", "a.3"),
        "given": Pair("b.3", "given.0"),
    }


def test_beside_embeddings_from_elsewhere_no_seed_is_the_same() -> None:
    assert pairs_with_baseline(RUNS, "given") == {
        "a": Pair("given.0", "a.3"),
        "b": Pair("given.0", "b.3"),
    }


@pytest.mark.parametrize("baseline", ["", "a"])
def test_one_recipe_is_beside_none(baseline: str) -> None:
    assert pairs_with_baseline(RUNS[:2], baseline) == {}
    assert runs_with_page(RUNS[:2], baseline) == []


def test_a_recipe_that_is_not_there_is_beside_none() -> None:
    assert pairs_with_baseline(RUNS, "c") == {}


def test_pages_are_for_many_and_not_for_thousands() -> None:
    assert runs_with_page(RUNS[:4]) == []  # the report shows the one there is
    assert runs_with_page(RUNS) == ["b.3", "given.0"]
    many = [(f"r{number}", 0) for number in range(1000)]
    assert runs_with_page(many) == [f"r{number}.0" for number in range(1, MOST_PAGES + 1)]
    assert "r7.0" not in runs_with_page(many, "r7")
