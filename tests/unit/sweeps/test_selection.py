"""What is decided of scores."""

from __future__ import annotations

import statistics

import pytest

from lookalike.errors import LookalikeError
from lookalike.sweeps.plan import Contender, Selection
from lookalike.sweeps.selection import decide, table_of_selection

CANDIDATES = tuple(Contender(name, {"lr": lr}) for name, lr in [("b", 0.2), ("a", 0.1), ("c", 0.3)])


def selection(eta: int = 0, folds: int = 2) -> Selection:
    return Selection("s", "mAP@R", None, CANDIDATES, folds, eta, 100, {"all": "s"})


def test_the_best_mean_over_folds_and_seeds_wins_and_of_equal_ones_the_first_by_name() -> None:
    seeds = [0, 3]
    scores = {
        run: score
        for name, of_runs in {
            "a": [0.1, 0.9, 0.3, 0.5],
            "b": [0.9, 0.1, 0.5, 0.3],
            "c": [0.4] * 4,
        }.items()
        for run, score in zip(selection().runs(name, 0, seeds), of_runs, strict=True)
    }
    decision = decide(selection(), 0, [], seeds, scores)
    assert decision["winners"] == {"s": "a"}
    values = {known["recipe"]: known["value"] for known in decision["candidates"]}
    assert values == pytest.approx(
        {
            name: statistics.fmean(
                [score for run, score in scores.items() if run.startswith(f"{name}-")]
            )
            for name in "abc"
        }
    )
    assert values["a"] == values["b"]
    # The best single run is not the best candidate.
    alone = scores | {"c-fold0.0": 0.95, "c-fold1.3": 0.0}
    assert decide(selection(), 0, [], seeds, alone)["winners"] == {"s": "a"}
    better = scores | {"b-fold0.3": 0.11}
    assert decide(selection(), 0, [], seeds, better)["winners"] == {"s": "b"}
    assert decision["candidates"][0] == {
        "recipe": "b",
        "group": "all",
        "settings": {"lr": 0.2},
        "value": values["b"],
        "runs": {run: score for run, score in scores.items() if run.startswith("b-")},
    }


def test_a_run_without_a_score_is_named() -> None:
    scores: dict[str, float | None] = dict.fromkeys(
        (run for name in "abc" for run in selection().runs(name, 0, [0])), 0.5
    )
    scores["a-fold1.0"] = None
    with pytest.raises(LookalikeError, match=r"recipes.s.select: a-fold1.0 has no score"):
        decide(selection(), 0, [], [0], scores)


def test_the_table_has_each_candidate_as_it_was_last_trained() -> None:
    made = selection(eta=3, folds=0)
    first = decide(made, 0, [], [0], {"a-1of3.0": 0.3, "b-1of3.0": 0.2, "c-1of3.0": 0.4})
    assert (first["survivors"], first["winners"]) == (["c"], {})
    last = decide(made, 1, first["survivors"], [0], {"c.0": 0.6})
    table = table_of_selection([first, last])["s"]
    assert (table["by"], table["winners"]) == ("validation mAP@R", {"s": "c"})
    known = table["candidates"]
    last_of = [(one["recipe"], one["value"], one["share"], one["rung"]) for one in known]
    assert last_of == [("b", 0.2, 3, 0), ("a", 0.3, 3, 0), ("c", 0.6, 1, 1)]
