"""What a setting explains: against a least-squares fit, and means against pandas."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression

from lookalike.report.dependence import dependences
from lookalike.report.recipe_points import RecipePoint


def points_of(settings: list[dict[str, Any]], values: list[float]) -> list[RecipePoint]:
    return [
        RecipePoint(f"r{place}", place, 1, value, None, each, None, None, None)
        for place, (each, value) in enumerate(zip(settings, values, strict=True))
    ]


@given(
    st.lists(st.sampled_from("abc"), min_size=6, max_size=20),
    st.integers(0, 2**32 - 1),
    st.floats(0, 3),
)
def test_what_a_kind_explains_is_the_adjusted_r2_of_a_fit_to_it(
    kinds: list[str], seed: int, effect: float
) -> None:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=len(kinds)) + effect * np.array([ord(kind) for kind in kinds])
    found = dependences(points_of([{"loss.name": kind} for kind in kinds], values.tolist()), 9)
    frame = pd.DataFrame({"kind": kinds, "value": values})
    n, n_kinds = len(frame), frame["kind"].nunique()
    if n_kinds == 1:
        assert found == []
        return
    (one,) = found
    dummies = pd.get_dummies(frame["kind"]).to_numpy(float)
    r2 = LinearRegression().fit(dummies, frame["value"]).score(dummies, frame["value"])
    adjusted = 1 - (1 - r2) * (n - 1) / (n - n_kinds)
    assert one.explained == pytest.approx(max(0.0, adjusted), abs=1e-9)
    assert one.kinds is not None
    means = {one.kinds[round(at)]: mean for at, mean, _ in one.groups}
    expected = frame.groupby("kind")["value"].mean().to_dict()
    assert means == pytest.approx(expected)


@given(st.lists(st.integers(-3, 3), min_size=4, max_size=40))
def test_groups_of_numbers_keep_equals_together_and_neighbours_beside_each_other(
    numbers: list[int],
) -> None:
    settings = [{"margin": number / 2} for number in numbers]
    found = dependences(points_of(settings, [float(n % 3) for n in range(len(numbers))]), 9)
    if len(set(numbers)) == 1:
        assert found == []
        return
    if not found:  # nearly all are one number
        assert max(map(numbers.count, numbers)) * 2 > len(numbers)
        return
    at = [group[0] for group in found[0].groups]
    assert at == sorted(at)
    counts = [group[2] for group in found[0].groups]
    assert sum(counts) == len(numbers)
    # Sorted and cut by those counts, no number is on both sides of a cut.
    ends, ordered = np.cumsum(counts)[:-1], sorted(numbers)
    assert all(ordered[end - 1] < ordered[end] for end in ends.tolist())


def test_the_settings_that_explain_most_come_first_and_twins_are_named_together() -> None:
    rng = np.random.default_rng(0)
    settings: list[dict[str, Any]] = []
    values = []
    for place in range(60):
        rate = float(10 ** rng.uniform(-5, -2))
        name = "ab"[place % 2]
        settings.append(
            {
                "optimizer.lr": rate,
                "model.name": name,
                "image.mean": [0.5] if name == "a" else [0.1],
                "weights": f"file{place}",
                "epochs": 30,
                "clip": bool(rng.integers(2)),
                **({"loss.margin": 1.0} if place < 3 else {}),
            }
        )
        values.append(np.log10(rate) + 0.3 * (name == "a") + 0.01 * rng.normal())
    found = dependences(points_of(settings, values), 9)
    # Neither what is the same in all, nor what few have, nor what names each recipe alone.
    assert [one.name for one in found] == ["optimizer.lr", "model.name", "clip"]
    assert found[1].alike == ("image.mean",)
    assert found[0].by_magnitude
    assert not found[1].by_magnitude
    assert found[2].kinds is not None
    assert set(found[2].kinds) == {"true", "false"}
    assert [one.name for one in dependences(points_of(settings, values), 1)] == ["optimizer.lr"]
    assert dependences(points_of(settings[:3], values[:3]), 9) == []


def test_equal_scores_are_explained_by_nothing() -> None:
    settings = [{"lr": float(place % 2), "name": "ab"[place % 2]} for place in range(8)]
    found = dependences(points_of(settings, [0.5] * 8), 9)
    assert [one.explained for one in found] == [0.0]
    assert found[0].alike == ("name",)
