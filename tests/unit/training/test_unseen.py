"""Images that a network has never seen: what training itself holds out, or all there are."""

from __future__ import annotations

import numpy as np
import pytest

from lookalike.training import unseen
from lookalike.training.held_out import hold_out
from lookalike.training.unseen import unseen_images

LABELS = np.repeat(np.arange(40), 5)
CONTENTS = np.arange(200)
CONTENTS[[1, 7, 12]] = [0, 6, 100]  # two copies within classes, one across


def test_of_held_out_classes_it_is_what_training_scores() -> None:
    found = unseen_images(LABELS, CONTENTS, "classes", 0.2, 3, trains=True)
    split = hold_out(LABELS, CONTENTS, "classes", 0.2, 3)
    np.testing.assert_array_equal(found, split.queries)
    assert len(set(LABELS[found])) == 8
    assert not set(LABELS[found]) & set(LABELS[split.training])
    assert not set(CONTENTS[found]) & set(CONTENTS[split.training])


@pytest.mark.parametrize(("of", "share"), [("images", 0.2), ("images", 0), ("classes", 0)])
def test_where_no_class_is_held_out_there_is_none(of: str, share: float) -> None:
    assert len(unseen_images(LABELS, CONTENTS, of, share, 3, trains=True)) == 0


@pytest.mark.parametrize("of", ["classes", "images"])
def test_where_nothing_is_trained_all_are_unseen_each_content_once(of: str) -> None:
    found = unseen_images(LABELS, CONTENTS, of, 0.1, 3, trains=False)
    assert np.all(np.diff(found) > 0)
    assert sorted(CONTENTS[found]) == sorted(set(CONTENTS))


def test_of_very_many_there_are_whole_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unseen, "MOST", 60)
    contents = np.arange(200)
    found = unseen_images(LABELS, contents, "classes", 0.1, 3, trains=False)
    assert len(found) == 60
    assert len(set(LABELS[found])) == 12
    np.testing.assert_array_equal(
        found, unseen_images(LABELS, contents, "classes", 0.1, 3, trains=False)
    )
    assert set(found) != set(unseen_images(LABELS, contents, "classes", 0.1, 4, trains=False))


def test_of_very_large_classes_there_are_as_many_of_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unseen, "MOST", 90)
    labels = np.repeat(np.arange(3), [200, 100, 35])
    found = unseen_images(labels, np.arange(335), "classes", 0.1, 3, trains=False)
    assert np.bincount(labels[found]).tolist() == [30, 30, 30]
