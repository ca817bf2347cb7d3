"""Holm's correction."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lookalike.retrieval.multiple_comparisons import holm


@settings(derandomize=True, deadline=None)
@given(st.lists(st.sampled_from([0.0, 1e-6, 0.01, 0.02, 0.03, 0.049, 0.2, 1.0]), max_size=7))
@example([0.01, 0.04, 0.03, 0.005])
def test_it_is_the_closed_testing_procedure_with_bonferronis_test_of_each_subset(
    p_values: list[float],
) -> None:
    """A comparison is called where every set of comparisons that it is in is."""
    places = range(len(p_values))
    expected = [
        max(
            min(1.0, len(subset) * min(p_values[at] for at in subset))
            for size in range(1, len(p_values) + 1)
            for subset in combinations(places, size)
            if place in subset
        )
        for place in places
    ]
    assert holm(p_values).tolist() == pytest.approx(expected)
