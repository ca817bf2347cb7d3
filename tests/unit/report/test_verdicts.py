"""Recipes beside the baseline."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from lookalike.errors import LookalikeError
from lookalike.report.differences import recipes_of
from lookalike.report.results import Results
from lookalike.report.verdicts import Verdicts, compare_recipes
from lookalike.report.verdicts_in_words import few_units, on_seeds, verdict_in_words
from lookalike.retrieval.multiple_comparisons import holm
from lookalike.retrieval.statistics import paired_differences
from support.crossed_by_regression import difference_over_seeds, mean_over_seeds
from support.scored_runs import CLASS, QUERY, make_runs

KEY = "mAP@10"


def compared(
    runs: list[Results], baseline: str = "", protocol: Mapping[str, Any] = QUERY
) -> Verdicts:
    return compare_recipes(recipes_of(runs), baseline, KEY, [KEY], protocol)


@st.composite
def experiments(draw: st.DrawFn) -> tuple[dict[str, int], int, int, bool, int]:
    """How many seeds each recipe has, queries, classes, whether classes are drawn; a seed."""
    seeds = draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    recipes = dict(zip("abcd", seeds, strict=False))
    n_queries, n_classes = draw(st.integers(2, 40)), draw(st.integers(1, 14))
    return recipes, n_queries, n_classes, draw(st.booleans()), draw(st.integers(0, 999))


@settings(derandomize=True, deadline=None, max_examples=25)
@given(experiments())
def test_means_and_differences_are_those_of_regressions_and_verdicts_are_holms(
    experiment: tuple[dict[str, int], int, int, bool, int],
) -> None:
    recipes, n_queries, n_classes, by_class, seed = experiment
    rng = np.random.default_rng(seed)
    labels = [f"c{number:02}" for number in rng.integers(0, n_classes, n_queries)]
    values = {
        (recipe, number): np.clip(rng.normal(0.3 + 0.1 * place, 0.2, n_queries), 0, 1)
        for place, (recipe, count) in enumerate(recipes.items())
        for number in range(count)
    }
    protocol = CLASS if by_class else QUERY
    with TemporaryDirectory() as folder:
        runs, _ = make_runs(
            Path(folder), {run: (row, row) for run, row in values.items()}, labels, protocol
        )
        found = compared(runs, "a", protocol)
    tables = {
        recipe: np.stack([row for (name, _), row in values.items() if name == recipe])
        for recipe in recipes
    }
    units = labels if by_class else [f"{number:03}" for number in range(n_queries)]
    enough = len(set(units)) >= 10
    for mean in found.means:
        table = tables[mean.recipe]
        of_seeds = table.mean(axis=1)
        assert mean.mean[KEY] == pytest.approx(of_seeds.mean())
        assert (mean.low[KEY], mean.high[KEY]) == pytest.approx((of_seeds.min(), of_seeds.max()))
        if not enough or len(table) == 1:
            assert mean.interval[KEY] is None
        else:
            _, low, high = mean_over_seeds(table, units)
            assert mean.interval[KEY] == pytest.approx((max(0, low), min(1, high)))
    assert {one.recipe for one in found.against} == recipes.keys() - {"a"}
    shown = [one.judged[KEY].difference.value for one in found.against]
    assert shown == sorted(shown, reverse=True)
    for one in found.against:
        first, second = tables[one.recipe], tables["a"]
        difference, verdict = one.judged[KEY].difference, one.judged[KEY].verdict
        assert difference.value == pytest.approx(first.mean() - second.mean())
        assert one.of_recipes == (len(first) > 1 and len(second) > 1)
        if not enough:
            assert (difference.low, difference.high, verdict) == (None, None, None)
            continue
        bounds: tuple[float | None, float | None]
        if one.of_recipes:
            _, low, high = difference_over_seeds(first, second, units)
            bounds = max(-1, low), min(1, high)
        else:
            drawn = paired_differences(
                {"x": first.mean(axis=0)},
                {"x": second.mean(axis=0)},
                units=units if by_class else None,
            )["x"]
            bounds = drawn.low, drawn.high
        assert (difference.low, difference.high) == pytest.approx(bounds)
    if enough:
        own = [one.p_values[KEY] for one in found.against]
        corrected = [one.adjusted[KEY] for one in found.against]
        assert corrected == pytest.approx(holm(own).tolist())
        for one, p_value in zip(found.against, corrected, strict=True):
            difference = one.judged[KEY].difference
            assert difference.low is not None
            assert difference.high is not None
            told = p_value <= 0.05 and not difference.low <= 0 <= difference.high
            word = ("better" if difference.value > 0 else "worse") if told else "not told apart"
            assert one.judged[KEY].verdict == word


def test_the_best_seed_does_not_stand_for_its_recipe(tmp_path: Path) -> None:
    """Recipe a has the best seed of all and the lower mean."""
    rng = np.random.default_rng(0)
    level = {("a", 0): 0.6, ("a", 1): 0.3, ("a", 2): 0.32} | {
        ("b", seed): 0.5 + 0.01 * seed for seed in range(3)
    }
    values = {run: (value + rng.normal(0, 0.01, 40),) * 2 for run, value in level.items()}
    runs, _ = make_runs(tmp_path, values, ["x"] * 40)
    (one,) = compared(runs).against
    assert one.name == "b (mean of 3 seeds) − a (mean of 3 seeds)"
    assert one.judged[KEY].difference.value == pytest.approx(0.51 - 0.4067, abs=0.01)
    # The seeds of a are too far apart for a verdict, however many the queries.
    assert one.judged[KEY].verdict == "not told apart"
    assert "are not told apart by these data" in verdict_in_words(one, KEY, False, 1)


def test_equal_recipes_whose_seeds_differ_are_seldom_called_different(tmp_path: Path) -> None:
    """Seeds vary by 0.02, 1,000 queries: the networks differ by far, the recipes do not."""
    rng, runs_called, networks_called = np.random.default_rng(1), 0, 0
    times = 60
    hard = rng.normal(0.5, 0.15, 1000)
    for _ in range(times):
        values = {
            (recipe, seed): (hard + rng.normal(0, 0.02) + rng.normal(0, 0.1, 1000),) * 2
            for recipe in "ab"
            for seed in range(3)
        }
        runs, _ = make_runs(tmp_path, values, ["x"] * 1000)
        (one,) = compared(runs).against
        runs_called += one.judged[KEY].verdict != "not told apart"
        first, second = (values[recipe, 0][0] for recipe in "ab")
        networks_called += stats.ttest_rel(first, second).pvalue <= 0.05
    assert networks_called > 30
    assert runs_called <= 8  # 5 % of 60, and three standard deviations


def test_one_recipe_under_two_names_is_said_to_be_one(tmp_path: Path) -> None:
    values = np.random.default_rng(3).random(40)
    both = {(recipe, seed): (values + seed / 50,) * 2 for recipe in "ab" for seed in range(3)}
    runs, _ = make_runs(tmp_path, both, ["x"] * 40)
    (one,) = compared(runs).against
    said = verdict_in_words(one, KEY, False, 1)
    assert said.endswith("gave the same numbers: is it one recipe under two names?")


def test_a_recipe_that_does_not_depend_on_its_seed_needs_one_run(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    hard = rng.random(60) / 2
    values = {("fixed", 0): (hard,) * 2} | {
        ("b", seed): (hard + 0.2 + rng.normal(0, 0.02, 60),) * 2 for seed in range(3)
    }
    runs, _ = make_runs(tmp_path, values, ["x"] * 60)
    pretrained = {"model": {"name": "timm", "weights": "pretrained"}, "train": "none"}
    runs[0] = Results("fixed", 0, 0, runs[0].states, {"settings": pretrained}, pd.DataFrame(), {})
    (one,) = compared(runs).against
    assert one.of_recipes
    assert verdict_in_words(one, KEY, False, 1).startswith(
        "b (mean of 3 seeds) is better than fixed.0: mAP@10 +0.2"
    )
    said = on_seeds(recipes_of(runs), False, True)
    assert said[0] == "In fixed nothing is trained: every seed gives this network."
    assert not any("One seed" in sentence for sentence in said)


def test_an_unknown_baseline_is_named(tmp_path: Path) -> None:
    runs, _ = make_runs(tmp_path, {("abc", 0): ([0.1] * 12, [0.1] * 12)}, ["x"] * 12)
    with pytest.raises(LookalikeError, match=r"report\.baseline.*'acb'; did you mean 'abc'"):
        compared(runs, "acb")


def test_what_is_not_told_apart_says_what_it_takes(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)

    def scores(mean: float) -> NDArray[np.float64]:
        noise = rng.normal(0, 0.1, 50)
        centred: NDArray[np.float64] = mean + noise - noise.mean()
        return centred

    # Each seed of a recipe has one mean: there is no noise of seeds.
    values = {
        (recipe, seed): (scores(level),) * 2
        for recipe, level in (("a", 0.50), ("b", 0.51))
        for seed in range(3)
    }
    runs, _ = make_runs(tmp_path, values, ["x"] * 50)
    (one,) = compared(runs).against
    said = verdict_in_words(one, KEY, by_class=False, n_comparisons=1)
    assert "not told apart by these data: mAP@10" in said
    assert re.search(r"takes some \d+0 queries with as many seeds; more seeds alone would", said)
    single = [run for run in runs if run.seed == 0]
    (one,) = compared(single).against
    said = verdict_in_words(one, KEY, by_class=True, n_comparisons=1)
    assert "A difference of this size between two networks takes some" in said
    assert said.endswith("classes to be told.")
    # The seeds differ, and the queries do not.
    values = {
        (recipe, seed): (scores(level + (seed - 1) * 0.05) / 10 + 0.4,) * 2
        for recipe, level in (("a", 0.50), ("b", 0.55))
        for seed in range(3)
    }
    runs, _ = make_runs(tmp_path, values, ["x"] * 50)
    (one,) = compared(runs).against
    said = verdict_in_words(one, KEY, by_class=False, n_comparisons=1)
    assert re.search(r"takes some \d+ seeds of each with as many queries", said)


@pytest.mark.parametrize(
    ("n", "no_interval", "warned"), [(29, None, True), (30, None, False), (9, "too few", False)]
)
def test_few_units_are_warned_of(n: int, no_interval: str | None, warned: bool) -> None:
    found = few_units({"unit": "class", "n": n}, no_interval)
    assert bool(found) == warned
    if warned:
        assert "29 classes: below 30" in found[0]
