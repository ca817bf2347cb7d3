"""Names beside lines: where they stand against a general optimizer, and that none is another's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from lookalike.report.line_labels import short_names, spread_out


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0, 1).map(lambda at: round(at, 3)), min_size=1, max_size=6))
def test_names_are_apart_and_as_near_to_their_lines_as_can_be(wanted: list[float]) -> None:
    apart = 0.15
    found = spread_out(wanted, apart)
    order = np.argsort(wanted, kind="stable")
    along = np.diff(found[order])
    assert (along >= apart - 1e-9).all()
    assert found.min() >= -1e-9 and found.max() <= 1 + 1e-9
    target = np.array(wanted)[order]
    best = minimize(
        lambda x: ((x - target) ** 2).sum(),
        np.linspace(0, 1, len(wanted)),
        bounds=[(0, 1)] * len(wanted),
        constraints=[{"type": "ineq", "fun": lambda x: np.diff(x) - apart}] if along.size else [],
        method="SLSQP",
    )
    assert best.success
    assert ((found[order] - target) ** 2).sum() <= best.fun + 1e-6


def test_more_names_than_fit_share_what_there_is() -> None:
    assert spread_out([0.5] * 5, 0.4).tolist() == pytest.approx([0, 0.25, 0.5, 0.75, 1])
    assert spread_out([0.3], 0.4).tolist() == pytest.approx([0.3])


@given(st.lists(st.text("ab._", min_size=1, max_size=40), min_size=1, max_size=12))
def test_short_names_are_short_and_differ_where_names_do(names: list[str]) -> None:
    short = short_names(names, 14)
    assert max(map(len, short)) <= 14
    assert len(set(short)) == len(set(names))
    assert len(set(zip(names, short, strict=True))) == len(set(names))
    if max(map(len, names)) <= 14:
        assert short == names


def test_ends_are_kept_and_what_all_have_in_front_goes_first() -> None:
    swept = ["sweep_of_rates.lr=0.1.0", "sweep_of_rates.lr=0.01.0"]
    assert short_names(swept, 14) == ["…lr=0.1.0", "…lr=0.01.0"]
    (alone,) = short_names(["multi_similarity_with_a_long_name.3"], 20)
    assert alone.startswith("multi_") and alone.endswith(".3")
