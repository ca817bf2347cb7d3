"""What is asked before a training is what the training would stop at."""

from typing import Any

import numpy as np
import pytest

from lookalike.errors import LookalikeError
from lookalike.sweeps.plan import of_fold
from lookalike.training.held_out import hold_out
from lookalike.training.trainable import require_images_for
from support.training import recipe


def report(sizes: list[int]) -> dict[str, Any]:
    """What data_report.json says of training classes of these sizes."""
    alone = [f"class {n}" for n, size in enumerate(sizes) if size == 1]
    train = {"ok": sum(sizes), "classes": len(sizes), "images_per_class": {"max": max(sizes)}}
    return {
        "splits": {"train": train, "query": {"ok": 0}},
        "classes_without_positive": {"count": len(alone), "first": alone},
        "queries_of_training_classes": 0,
    }


LACKING: dict[str, tuple[list[int], dict[str, Any], str]] = {
    "pairs": ([1, 1, 1], recipe(batch={"name": "shuffled", "size": 4}), "one of them with two"),
    "batches": ([4, 1, 1], recipe(), "balanced batches need"),
    "folds": ([3] * 5, of_fold(recipe(), 0, 3), "each of 3 folds"),
    "classes": ([3] * 5, recipe(train_classes=6), "classes are more than"),
}


@pytest.mark.parametrize("name", LACKING)
def test_each_lack_is_told_with_the_recipe(name: str) -> None:
    sizes, settings, words = LACKING[name]
    with pytest.raises(LookalikeError, match=f"recipe mine: .*{words}"):
        require_images_for(report(sizes), "mine", settings)
    require_images_for(report([3] * 30), "mine", settings)


@pytest.mark.parametrize("asked", [2, 3, 8, 9, 10, 20, 0.05, 0.2, 0.5, 1.0])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.3])
def test_a_part_of_the_classes_is_refused_where_the_training_would_refuse_it(
    asked: float, share: float
) -> None:
    sizes = [3] * 7 + [1] * 3
    labels = np.repeat(np.arange(len(sizes)), sizes)
    settings = recipe(train_classes=asked, validation={"of": "classes", "classes": share})

    def refuses(ask: Any) -> bool:
        try:
            ask()
        except LookalikeError:
            return True
        return False

    assert refuses(lambda: require_images_for(report(sizes), "mine", settings)) == refuses(
        lambda: hold_out(labels, None, "classes", share, 0, part=asked)
    )
