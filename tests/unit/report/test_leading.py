"""Which run is shown first."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lookalike.report.leading import First, HeldOutRun, shown_first

SPLIT = {"validation": {"of": "auto", "classes": 0.1, "seed": 0, "every": 1}}


def candidate(recipe: str, *scores: float | None, kept: int = -1, **validation: Any) -> HeldOutRun:
    """A run whose epochs scored so; the last one is kept unless another is."""
    rows = [
        {"epoch": number + 1, "validation_mAP@10": score, "kept": number == kept % len(scores)}
        for number, score in enumerate(scores)
    ]
    columns = ["epoch", "validation_mAP@10", "kept"]
    settings_ = {"validation": SPLIT["validation"] | validation}
    return HeldOutRun.of(recipe, settings_, pd.DataFrame(rows, columns=columns))


def test_the_score_is_that_of_the_weights_that_are_kept() -> None:
    assert candidate("a", 0.1, 0.7, 0.4).score == 0.4
    assert candidate("a", 0.1, 0.7, 0.4, kept=1).score == 0.7
    # Not every epoch is scored: the last that was.
    assert candidate("a", 0.1, 0.7, None).score == 0.7
    assert candidate("a", None, None).score is None
    assert candidate("a").score is None
    assert HeldOutRun.of("a", {}, pd.DataFrame({"epoch": [1]})).score is None


@settings(derandomize=True, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from("abcd"), st.sampled_from([0.1, 0.2, 0.3, 0.5])),
        min_size=1,
        max_size=9,
    )
)
def test_the_recipe_with_the_highest_mean_over_its_seeds_leads_by_its_first(
    scores: list[tuple[str, float]],
) -> None:
    found = shown_first([candidate(recipe, score) for recipe, score in scores])
    means = pd.DataFrame(scores, columns=["recipe", "score"]).groupby("recipe", sort=False).mean()
    recipe, _ = scores[found.place]
    assert means.loc[recipe, "score"] == pytest.approx(means["score"].max())
    assert [name for name, _ in scores].index(recipe) == found.place
    if len(means) > 1:
        of_all = {2: "both"}.get(len(means), f"all {len(means)}")
        assert f"highest mAP@10 on training images that {of_all} recipes" in found.why


@pytest.mark.parametrize(
    ("candidates", "why"),
    [
        ([candidate("a", None), candidate("b", None)], "no training images were held out"),
        ([candidate("a", 0.1), candidate("b")], "no training images were held out to choose by in"),
        (
            [candidate("a", 0.1), candidate("b", 0.9), candidate("b", None)],
            "no training images were held out to choose by in b",
        ),
        (
            [candidate("a", 0.1), candidate("b", None), candidate("c", None)],
            "held out to choose by in b and 1 more",
        ),
        (
            [candidate("a", 0.1), candidate("b", 0.9, classes=0.2)],
            "the recipes held out different training images",
        ),
        (
            [candidate("a", 0.1), candidate("b", 0.9, seed=1)],
            "the recipes held out different training images",
        ),
    ],
)
def test_where_there_is_nothing_to_compare_by_it_is_the_first_and_it_is_said_why(
    candidates: list[HeldOutRun], why: str
) -> None:
    found = shown_first(candidates)
    assert found.place == 0
    assert found.why.startswith("the first in runs, since ")
    assert why in found.why


def test_how_often_held_out_images_are_scored_does_not_matter() -> None:
    assert shown_first([candidate("a", 0.1), candidate("b", 0.9, every=5, keep="best")]).place == 1


def test_of_one_recipe_it_is_the_first_seed() -> None:
    assert shown_first([candidate("a", 0.1)]) == First(0, "")
    assert shown_first([candidate("a", 0.1), candidate("a", 0.9)]).why == "the first of 2 seeds"


def test_folds_of_one_sweep_held_out_different_images() -> None:
    folds = [candidate(f"a-fold{fold}", 0.5 + fold / 10, fold=fold, folds=3) for fold in range(3)]
    first = shown_first(folds)
    assert first.place == 0
    assert "held out different training images" in first.why
