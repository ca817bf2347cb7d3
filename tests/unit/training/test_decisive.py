"""What of a recipe decides the weights."""

from typing import Any

import pytest

from lookalike.config import merge
from lookalike.sweeps.plan import of_fold
from lookalike.training.decisive import DataFacts, decisive, for_data
from support.training import recipe


@pytest.mark.parametrize(
    "changes",
    [
        {"validation": {"every": 7}},
        {"validation": {"keep": "last"}},
        # A budget that is not used.
        {"steps": 77},
        {"optimizer": {"clip": 0.0, "average": 0.0}},
        {"precision": "float32"},
        {"image": {"background": "#fff"}},
        # A change of an image that is switched off, such as one that is new.
        {"augment": {"of_another_day": 0.0}},
    ],
    ids=str,
)
def test_what_decides_no_weight(changes: dict[str, Any]) -> None:
    assert decisive(merge(recipe(), changes)) == decisive(recipe())


@pytest.mark.parametrize(
    "changes",
    [
        {"validation": {"classes": 0.5}},
        {"precision": "bfloat16"},
        {"augment": {"rotate": 5.0}},
        {"augment": {"flip": 0.5}},
        {"augment": {"flip": 0.25}},
        {"gpus": 2},
        {"epochs": 4},
        {"loss": {"epsilon": 0.2}},
        {"miner": {"name": "none"}},
        {"miner": {"name": "hdc", "share": 0.5}},
        {"memory": 64},
        {"model": {"embedding_dim": 9}},
        {"batch": {"classes": 7}},
        {"optimizer": {"schedule": "constant"}},
        {"optimizer": {"clip": 1.0}},
        {"optimizer": {"average": 0.999}},
        {"optimizer": {"decay_norms": False}},
        {"epochs": "auto"},
        {"validation": {"of": "images"}},
        {"validation": {"seed": 1}},
        {"validation": {"keep": "best"}},
        {"validation": {"patience": 3}},
        {"validation": {"fold": 0, "folds": 4}},
    ],
    ids=str,
)
def test_what_decides_weights(changes: dict[str, Any]) -> None:
    assert decisive(merge(recipe(), changes)) != decisive(recipe())


@pytest.mark.parametrize(
    ("below", "changes", "decides"),
    [
        ({"epochs": "auto"}, {"steps": 77}, True),
        ({"validation": {"keep": "best"}}, {"validation": {"every": 7}}, True),
        ({"validation": {"patience": 3}}, {"validation": {"every": 7}}, True),
        # Patience keeps the best in any case.
        ({"validation": {"patience": 3}}, {"validation": {"keep": "best"}}, False),
        # Where nothing is held out, nothing is chosen by it.
        ({"validation": {"classes": 0.0}}, {"validation": {"seed": 1, "of": "images"}}, False),
        ({"validation": {"classes": 0.0}}, {"validation": {"keep": "best"}}, False),
        ({"optimizer": {"weight_decay": 0.0}}, {"optimizer": {"decay_norms": False}}, False),
    ],
    ids=str,
)
def test_a_setting_decides_where_it_is_used(
    below: dict[str, Any], changes: dict[str, Any], decides: bool
) -> None:
    before = merge(recipe(), below)
    assert (decisive(merge(before, changes)) != decisive(before)) == decides


BACKBONE = {"name": "timm", "backbone": "resnet18", "weights": "none"}


@pytest.mark.parametrize(
    ("train", "changes", "decides"),
    [
        ("all", {"model": {"backbone": "resnet34"}}, True),
        ("all", {"model": {"pooling": "gem"}}, True),
        ("all", {"model": {"head": "mlp"}}, True),
        ("all", {"train": "head"}, True),
        ("all", {"train": {"unfreeze": 2}}, True),
        ("all", {"train": "none"}, True),
        ({"unfreeze": 2}, {"train": {"unfreeze": 3}}, True),
        ("head", {"train": "none"}, True),
        ("all", {"optimizer": {"backbone_lr": 0.1}}, True),
        ("all", {"optimizer": {"layer_decay": 0.5}}, True),
        ("all", {"optimizer": {"thaw_epochs": 2.0}}, True),
        ("all", {"optimizer": {"backbone_lr": 1.0, "layer_decay": 1.0, "thaw_epochs": 0.0}}, False),
        # A head sees an image as it is, or changed in the views that are kept.
        ("head", {"views": 2}, True),
        ("head", {"augment": {"flip": 0.25}}, False),
        ("head", {"model": {"pooling": "gem"}}, True),
        ("all", {"views": 2}, False),
        # Without a head, embeddings are as long as the features.
        ("none", {"model": {"embedding_dim": 9, "head": "mlp"}}, False),
        ("none", {"loss": {"epsilon": 0.2}, "epochs": 4}, False),
        ("none", {"model": {"pooling": "gem"}}, True),
        ("none", {"model": {"normalize": False}}, True),
    ],
    ids=str,
)
def test_what_of_a_backbone_is_trained_and_how_decides(
    train: Any, changes: dict[str, Any], decides: bool
) -> None:
    before = recipe(model=BACKBONE, train=train)
    assert (decisive(merge(before, changes)) != decisive(before)) == decides


def test_beside_views_their_number_and_changes_decide() -> None:
    before = recipe(model=BACKBONE, train="head", views=2)
    for changes in ({"views": 3}, {"augment": {"flip": 0.25}}):
        assert decisive(merge(before, changes)) != decisive(before)


def test_each_fold_decides_and_is_of_classes_whatever_the_data_are() -> None:
    folds = [of_fold(recipe(), fold, folds) for folds in (2, 3) for fold in range(folds)]
    closed = DataFacts(classes=4, largest=9, closed_set=True)
    decided = [decisive(for_data(settings, closed)) for settings in folds]
    assert all(decided.count(one) == 1 for one in decided)
    assert {one["validation"]["of"] for one in decided} == {"classes"}


def test_what_the_data_leave_open_is_settled_before_it_decides() -> None:
    facts = DataFacts(classes=400, largest=9, closed_set=False)
    open_set = for_data(recipe(), facts)
    assert open_set["validation"]["of"] == "classes"
    # More images or classes change nothing, as long as the answer stays.
    assert for_data(recipe(), DataFacts(401, 12, closed_set=False)) == open_set
    closed = for_data(recipe(), DataFacts(400, 9, closed_set=True))
    assert decisive(closed) != decisive(open_set)
    assert recipe()["validation"]["of"] == "auto"
    named = recipe(validation={"of": "classes"})
    assert decisive(for_data(named, DataFacts(400, 9, closed_set=True))) == decisive(open_set)


def test_no_miner_of_its_own_and_no_memory_decide_nothing() -> None:
    assert recipe()["miner"] == {"name": "own"}
    assert recipe()["memory"] == 0
    # So what was trained before there were any to choose is still what is asked for.
    assert decisive(recipe()).keys().isdisjoint({"miner", "memory"})


def test_beside_another_miner_the_settings_of_the_losss_own_decide_nothing() -> None:
    plain = merge(recipe(), {"miner": {"name": "none"}})
    assert decisive(merge(plain, {"loss": {"epsilon": 0.2}})) == decisive(plain)
    assert decisive(merge(plain, {"loss": {"beta": 40.0}})) != decisive(plain)
    # What a loss and its miner share is the loss's as well.
    triplet = merge(plain, {"loss": {"name": "triplet", "margin": 0.1, "mining": "all"}})
    assert decisive(merge(triplet, {"loss": {"margin": 0.2}})) != decisive(triplet)
    assert decisive(merge(triplet, {"loss": {"mining": "hard"}})) == decisive(triplet)
