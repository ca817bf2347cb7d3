"""What of a recipe decides the weights."""

from typing import Any

import pytest

from lookalike.config import merge
from lookalike.training.recipe import decisive
from support.training import recipe


@pytest.mark.parametrize(
    "changes",
    [
        {"validation": {"every": 7}},
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
        {"augment": {"flip": 0.0}},
        {"augment": {"flip": 0.25}},
        {"gpus": 2},
        {"epochs": 4},
        {"loss": {"epsilon": 0.2}},
        {"model": {"embedding_dim": 9}},
        {"batch": {"classes": 7}},
        {"optimizer": {"schedule": "constant"}},
    ],
    ids=str,
)
def test_what_decides_weights(changes: dict[str, Any]) -> None:
    assert decisive(merge(recipe(), changes)) != decisive(recipe())
