"""The times of a training, of epochs that are made up."""

from __future__ import annotations

import pandas as pd
import pytest

from lookalike.report.training_time import (
    TrainingTime,
    that_differ,
    training_time,
    whose_seeds_differ,
)


def history(seconds: list[float], images: list[int] | None = None) -> pd.DataFrame:
    return pd.DataFrame({"seconds": seconds, "images": images or [100] * len(seconds)})


def test_one_slow_epoch_moves_the_total_and_no_median() -> None:
    took = training_time(history([2.0, 2.0, 50.0, 4.0, 2.5]), {})
    assert took.total == pytest.approx(60.5)
    assert took.epoch == 2.5
    assert took.images_per_second == pytest.approx(40.0)
    assert (took.shortest, took.longest) == (2.0, 50.0)


@pytest.mark.parametrize(
    ("seconds", "images", "differ", "first_alone"),
    [
        ([2.0], None, False, False),
        ([2.0, 4.0, 3.0], None, False, False),
        ([2.0, 4.1, 3.0], None, True, False),
        ([9.0, 2.0, 3.0], None, True, True),
        ([9.0, 2.0], None, True, True),
        ([9.0, 2.0, 5.0], None, True, False),
        # Half an epoch at the end of `steps` is no slower.
        ([4.0, 4.0, 1.0], [400, 400, 100], False, False),
        ([4.0, 4.0, 4.0], [400, 400, 100], True, False),
        ([0.0, 0.0], None, False, False),
    ],
)
def test_epochs_differ_from_twofold_on_for_as_many_images(
    seconds: list[float], images: list[int] | None, differ: bool, first_alone: bool
) -> None:
    took = training_time(history(seconds, images), {"optimizer": {}})
    assert (took.differ, took.first_alone) == (differ, first_alone)


@pytest.mark.parametrize(
    ("thaw", "seconds", "differ"),
    [
        (2.0, [1.0, 1.0, 5.0, 5.0], False),
        # It thaws in the midst of the second.
        (1.5, [1.0, 3.0, 5.0, 5.0], False),
        (2.0, [1.0, 1.0, 5.0, 11.0], True),
        (2.0, [1.0, 3.0, 5.0, 5.0], True),
        (0.0, [1.0, 1.0, 5.0, 5.0], True),
        (9.0, [1.0, 1.0, 5.0, 5.0], True),
    ],
)
def test_a_backbone_that_thaws_makes_other_epochs(
    thaw: float, seconds: list[float], differ: bool
) -> None:
    assert training_time(history(seconds), {"optimizer": {"thaw_epochs": thaw}}).differ == differ


def test_runs_are_named_by_what_may_be_to_blame() -> None:
    times = {
        name: training_time(history(seconds), {})
        for name, seconds in {
            "even.0": [1.0, 1.1],
            "first.0": [9.0, 1.0, 1.0],
            "busy.0": [1.0, 9.0],
            "busy.1": [1.0, 1.0, 3.0],
        }.items()
    }
    assert that_differ(times) == {True: ["first.0"], False: ["busy.0", "busy.1"]}


def test_recipes_of_which_a_seed_took_twice_as_long_for_an_image_are_named() -> None:
    def took(seconds: float) -> TrainingTime:
        history = pd.DataFrame({"images": [10, 10], "seconds": [seconds, seconds]})
        return training_time(history, {})

    recipes = {"even": [took(1), took(1.9)], "uneven": [took(1), took(2.5)], "one": [took(9)]}
    assert whose_seeds_differ(recipes | {"none": []}) == ["uneven"]
