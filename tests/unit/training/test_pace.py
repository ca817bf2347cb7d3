"""How long a training takes, foretold from what is done of it."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.training import pace
from lookalike.training.course import Course
from lookalike.training.pace import FORWARD, Pace
from support.training import recipe, run


def played(
    course: Course, steps: list[int], every: int, embedded: int
) -> Iterator[tuple[tuple[int, int], float | None, float]]:
    """A training whose images take a second each: place, time left as told, and as it came."""
    now, told, batch = 0.0, [], 7
    going = Pace(course, batch, embedded, every, "a training", clock=lambda: now)
    for epoch, of_epoch in enumerate(steps, 1):
        for step in range(1, of_epoch + 1):
            now += batch
            going.stepped("", epoch, step, of_epoch)
            told.append(((epoch, step), going.seconds_left(epoch, step, of_epoch), now))
        if epoch % every == 0:
            now += FORWARD * embedded
            going.validated()
    return ((place, left, now - then) for place, left, then in told)


@given(st.integers(1, 5), st.integers(1, 6), st.integers(1, 4), st.integers(0, 30))
def test_at_an_even_pace_what_is_told_is_what_comes(
    epochs: int, steps: int, every: int, embedded: int
) -> None:
    for place, left, came in played(Course(epochs), [steps] * epochs, every, embedded):
        assert left is None if place == (1, 1) else left == pytest.approx(came)


@given(st.integers(2, 100), st.integers(1, 4), st.integers(0, 30))
def test_a_training_of_so_many_steps_ends_where_they_do(
    steps: int, every: int, embedded: int
) -> None:
    parts = min(30, steps)
    course = Course(parts, steps)
    each = [steps * (part + 1) // parts - steps * part // parts for part in range(parts)]
    for place, left, came in played(course, each, every, embedded):
        assert left is None if place == (1, 1) else left == pytest.approx(came)


def test_it_is_said_once_from_the_first_steps_how_long_all_takes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    now = 0.0
    words = "10 epochs x 100 images at 64 px"
    going = Pace(Course(10), 4, 0, 1, words, clock=lambda: now)
    notes = []
    for step in range(1, 26):
        now += 4
        notes.append(going.stepped("loss 1", 1, step, 25))
    # Steps of four seconds: nothing is known after the first, and five seconds are enough.
    assert caplog.messages == [f"training: {words}, about 16 min left"]
    assert (notes[0], notes[-1]) == ("loss 1", "loss 1, of the training about 15 min left")


def test_a_training_says_with_each_epoch_but_the_last_how_long_the_rest_takes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(pace, "ENOUGH", 0.0)
    run(tmp_path, recipe(epochs=3))
    lines = [line for line in caplog.messages if line.startswith("epoch ")]
    assert [line.endswith(" left") for line in lines] == [True, True, False]
    (foretold,) = [line for line in caplog.messages if line.startswith("training: ")]
    assert foretold.startswith("training: 3 epochs x 36 images at 16 px on ")


def test_where_a_training_may_end_before_it_says_at_most(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    run(tmp_path, recipe(epochs=4, validation={"patience": 1, "of": "images"}))
    assert any("at most about" in line for line in caplog.messages if line.startswith("epoch 1/"))
