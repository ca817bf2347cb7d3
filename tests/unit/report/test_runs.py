"""Runs and their states by name."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from lookalike.report.runs import (
    BASELINE,
    MAIN,
    SHOWN,
    STATES,
    model_name,
    model_pattern,
    shown_names,
)


def test_a_name_stands_for_one_state_and_one_folder() -> None:
    assert len({state.name for state in STATES}) == len(STATES)
    assert len({state.folder for state in STATES}) == len(STATES)
    assert {state.against for state in STATES} <= {state.name for state in STATES} | {None}
    assert (MAIN.name, MAIN.folder, BASELINE.name) == ("trained", "", "untrained")
    assert sorted(SHOWN, key=STATES.index) == list(STATES)
    assert SHOWN[0] is MAIN


def test_the_pattern_of_models_is_that_of_their_names() -> None:
    for state in STATES:
        assert re.fullmatch(model_pattern(), model_name("a-b_c.12", state))
    for name in ("a.0/other", "a.0/", "a.0/untrained/untrained", "a/untrained", "a.0/logs"):
        assert not re.fullmatch(model_pattern(), name)


@given(st.sets(st.from_regex(r"[ab](\.[01])?\.[01]", fullmatch=True), min_size=1))
def test_a_run_is_shown_by_its_recipe_where_that_has_one_seed_and_no_two_share_a_name(
    runs: set[str],
) -> None:
    shown = shown_names(sorted(runs))
    assert set(shown) == runs
    assert len(set(shown.values())) == len(runs)
    for run, name in shown.items():
        recipe = run[:-2]
        seeds = [other for other in runs if other[:-2] == recipe]
        assert name in (run, recipe)
        assert (name == recipe) == (len(seeds) == 1 and recipe not in runs)
