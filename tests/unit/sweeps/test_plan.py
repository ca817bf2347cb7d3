"""Which candidates are trained when, against successive halving written out."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.config import resolve_sweeps
from lookalike.storage.yaml_files import read_yaml
from lookalike.sweeps.plan import Contender, Selection, of_fold, on_all_classes, shortened
from lookalike.sweeps.selection import decide
from support.project import ROOT

SCHEMA = read_yaml(ROOT / "workflow" / "schemas" / "config.schema.yaml")


def selection_of(groups: list[str], eta: int, folds: int = 0, shortest: int = 2000) -> Selection:
    candidates = tuple(Contender(f"c{i:03}", {"x": i}, group) for i, group in enumerate(groups))
    finals = {group: f"final-{group}" for group in groups}
    return Selection("s", "mAP@R", "loss.name", candidates, folds, eta, shortest, finals)


def resolved(**recipe: Any) -> tuple[dict[str, Any], Selection]:
    layer = {"recipes": {"ms": recipe}, "runs": ["ms"]}
    settings, sweeps = resolve_sweeps([layer], SCHEMA)
    return settings, sweeps.selections["ms"]


def halved(names: list[str], scores: dict[str, float], eta: int, shortest: int) -> list[list[str]]:
    """Successive halving of one group by hand: who is trained in each rung, and who wins."""
    rungs = 1
    while eta**rungs <= min(len(names), shortest):
        rungs += 1
    trained = [sorted(names, key=lambda name: (-scores[name], name))]
    for rung in range(1, rungs):
        trained.append(trained[-1][: len(names) // eta**rung])
    return [*trained, trained[-1][:1]]


@given(
    st.lists(st.sampled_from("ab"), min_size=1, max_size=40),
    st.integers(2, 5),
    st.integers(1, 30),
    st.data(),
)
def test_rungs_are_those_of_successive_halving_in_each_group(
    groups: list[str], eta: int, shortest: int, data: st.DataObject
) -> None:
    selection = selection_of(groups, eta, shortest=shortest)
    names = [candidate.name for candidate in selection.candidates]
    # Many are equal, so that ties count.
    scores = {name: data.draw(st.integers(0, 3)) / 4 for name in names}
    by_hand = {
        group: halved(
            [n for n, of in zip(names, groups, strict=True) if of == group], scores, eta, shortest
        )
        for group in groups
    }
    longest = max(map(len, by_hand.values())) - 1
    assert selection.rungs == longest
    survivors: list[str] = []
    for rung in range(longest):
        entrants = selection.entrants(rung, survivors)
        # A group of few begins later: all groups end at full length together.
        late = {group: rung - (longest - len(known) + 1) for group, known in by_hand.items()}
        expected = [n for group, i in late.items() if i >= 0 for n in by_hand[group][i]]
        assert sorted(entrants) == sorted(expected)
        of_runs = {
            run: scores[name] for name in entrants for run in selection.runs(name, rung, [0, 1])
        }
        decision = decide(selection, rung, survivors, [0, 1], of_runs)
        backwards = dict(reversed(of_runs.items()))
        assert decide(selection, rung, survivors[::-1], [0, 1], backwards) == decision
        assert json.loads(json.dumps(decision)) == decision
        survivors = decision["survivors"]
        assert selection.share(rung) == eta ** (longest - 1 - rung)
    assert not survivors
    assert decision["winners"] == {f"final-{group}": by_hand[group][-1][0] for group in by_hand}


def test_without_a_budget_all_are_trained_at_full_length_once() -> None:
    selection = selection_of(["a"] * 9, 0, folds=3)
    assert (selection.rungs, selection.share(0)) == (1, 1)
    assert len(selection.entrants(0, [])) == 9
    runs = selection.runs("c000", 0, [0, 7])
    assert runs == [f"c000-fold{fold}.{seed}" for fold in range(3) for seed in (0, 7)]
    assert Selection.from_dict(json.loads(json.dumps(selection.to_dict()))) == selection


def test_every_run_of_a_selection_is_a_recipe_of_that_length_and_fold() -> None:
    settings, selection = resolved(
        epochs=9,
        folds=2,
        select={"per": "loss.name"},
        budget="halving",
        validation={"classes": 0.0, "seed": 5},
        sweep={"loss.name": ["triplet", "contrastive"], "optimizer.lr": [0.1, 0.2, 0.3]},
    )
    assert settings["runs"] == ["ms-triplet", "ms-contrastive"]
    assert (selection.rungs, selection.eta, selection.by) == (2, 3, "mAP@R")
    recipes = settings["recipes"]
    for rung, epochs in enumerate([3, 9]):
        for candidate in selection.candidates:
            lr, loss = candidate.point["optimizer.lr"], candidate.point["loss.name"]
            for fold, name in enumerate(selection.recipes(candidate.name, rung)):
                one = recipes[name]
                assert (one["epochs"], one["optimizer"]["lr"], one["loss"]["name"]) == (
                    epochs,
                    lr,
                    loss,
                )
                validation = {"of": "classes", "classes": 0.5, "seed": 5, "fold": fold, "folds": 2}
                assert one["validation"].items() >= validation.items()
    assert selection.recipes("ms-triplet-lr0.1", 0) == [
        "ms-triplet-lr0.1-1of3-fold0",
        "ms-triplet-lr0.1-1of3-fold1",
    ]
    # Winners are trained on all classes, whatever was held out of the candidates.
    final = recipes["ms-triplet"]
    assert final["validation"]["classes"] == 0
    assert not {"fold", "folds"} & final["validation"].keys()
    assert (
        final
        == on_all_classes(recipes["ms-triplet-lr0.1-fold1"])
        | {"validation": final["validation"] | {"of": final["validation"]["of"]}}
        or final["validation"]["of"] == "auto"
    )


@pytest.mark.parametrize(
    ("per", "runs"),
    [
        (None, ["ms"]),
        ("loss.name", ["ms-triplet-best", "ms-contrastive-best"]),
        ("optimizer.name", ["ms-adamw"]),
        (
            "loss",
            [
                "ms-triplet-margin0.1-mining_semihard",
                "ms-contrastive-margin0.8-mean_separate-power2",
            ],
        ),
    ],
)
def test_each_group_has_a_final_recipe_of_its_own(per: str | None, runs: list[str]) -> None:
    select = {"by": "mAP@10"} | ({"per": per} if per else {})
    settings, selection = resolved(sweep={"loss.name": ["triplet", "contrastive"]}, select=select)
    assert settings["runs"] == runs == [*selection.finals.values()]
    # A point of that name is a candidate still.
    assert {"ms-triplet", "ms-contrastive"} <= settings["recipes"].keys()
    assert settings["recipes"]["ms-triplet"]["validation"]["classes"] == 0.1


def test_steps_and_epochs_are_shortened_and_nothing_else_changes() -> None:
    recipe: dict[str, Any] = {
        "epochs": "auto",
        "steps": 100,
        "validation": {"of": "auto", "classes": 0.2},
    }
    assert shortened(recipe, 9) == recipe | {"steps": 11}
    assert shortened(recipe | {"epochs": 4}, 9) == recipe | {"epochs": 1}
    assert shortened(recipe, 1) == recipe
    part = of_fold(recipe, 1, 4)
    assert part["validation"] == {"of": "classes", "classes": 0.25, "fold": 1, "folds": 4}
    assert recipe["validation"] == {"of": "auto", "classes": 0.2}
    assert on_all_classes(part)["validation"] == {"of": "classes", "classes": 0.0}
