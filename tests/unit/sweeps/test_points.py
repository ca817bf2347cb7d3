"""What a sweep draws, against another library's sequence."""

from __future__ import annotations

import math
from collections import Counter
from itertools import islice
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import qmc

from lookalike.storage.yaml_files import read_yaml
from lookalike.sweeps import points
from lookalike.sweeps.paths import rules_of_recipe
from lookalike.sweeps.points import halton, points_of
from support.project import ROOT

RULES = rules_of_recipe(read_yaml(ROOT / "workflow" / "schemas" / "config.schema.yaml"))


def test_without_permutations_it_is_scipy_s_halton_sequence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(points, "_permutation", lambda base, place, seed: [*range(base)])
    expected = qmc.Halton(6, scramble=False).random(200)
    np.testing.assert_allclose([*islice(halton(6, 0), 200)], expected, atol=1e-9)


def test_draws_fill_the_space_as_evenly_as_scipy_s_and_follow_from_the_seed() -> None:
    for dimensions in (1, 2, 5, 9):
        n = 128
        ours = np.array([*islice(halton(dimensions, 3), n)])
        assert ours.min() >= 0 and ours.max() < 1
        theirs = [qmc.discrepancy(qmc.Halton(dimensions, seed=s).random(n)) for s in range(5)]
        random = [qmc.discrepancy(np.random.default_rng(s).random((n, dimensions))) for s in (1, 2)]
        assert qmc.discrepancy(ours) < 1.2 * max(theirs)
        assert qmc.discrepancy(ours) < min(random)
        assert np.array_equal([*islice(halton(dimensions, 3), n)], ours)
        assert not np.array_equal([*islice(halton(dimensions, 4), n)], ours)


@given(st.integers(2, 60), st.integers(0, 5))
def test_more_draws_keep_the_first_ones(n: int, seed: int) -> None:
    sweep = {"optimizer.lr": {"from": 1e-5, "to": 0.1, "scale": "log"}, "memory": [0, 10, 20]}
    recipe = {"sweep": sweep, "sample": n, "sample_seed": seed}
    drawn = points_of(recipe, RULES)
    assert len(drawn) == n
    assert points_of(recipe | {"sample": n - 1}, RULES) == drawn[:-1]
    assert len({tuple(point.values()) for point in drawn}) == n


def test_draws_lie_in_their_range_evenly_by_its_scale_and_are_what_they_are_called() -> None:
    sweep: dict[str, Any] = {
        "optimizer.lr": {"from": 1e-4, "to": 1e-1, "scale": "log"},
        "loss.margin": {"from": 0.4, "to": 1.2},
        "epochs": {"from": 1, "to": 4},
        "loss.name": ["triplet", "contrastive"],
    }
    drawn = points_of({"sweep": sweep, "sample": 240}, RULES)
    # As many in each decade, in each half, of each number and each name.
    decades = Counter(math.floor(math.log10(point["optimizer.lr"])) for point in drawn)
    assert all(abs(n - 80) <= 4 for n in decades.values()) and len(decades) == 3
    assert abs(sum(point["loss.margin"] < 0.8 for point in drawn) - 120) <= 4
    epochs = Counter(point["epochs"] for point in drawn)
    assert sorted(epochs) == [1, 2, 3, 4] and all(abs(n - 60) <= 8 for n in epochs.values())
    assert all(isinstance(point["epochs"], int) for point in drawn)
    assert abs(sum(point["loss.name"] == "triplet" for point in drawn) - 120) <= 8
    for point in drawn:
        assert 0.4 <= point["loss.margin"] <= 1.2
        assert float(f"{point['optimizer.lr']:.4g}") == point["optimizer.lr"]


def test_equal_draws_are_one_and_all_of_a_small_grid_can_be_drawn() -> None:
    sweep = {"memory": [0, 10, 20], "epochs": [1, 2]}
    drawn = points_of({"sweep": sweep, "sample": 6}, RULES)
    grid = points_of({"sweep": sweep}, RULES)
    assert grid[:2] == [{"memory": 0, "epochs": 1}, {"memory": 0, "epochs": 2}]
    assert sorted(map(str, drawn)) == sorted(map(str, grid))
    of_few = points_of({"sweep": {"epochs": {"from": 1, "to": 3}}, "sample": 50}, RULES)
    assert sorted(point["epochs"] for point in of_few) == [1, 2, 3]
