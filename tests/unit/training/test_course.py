"""How long a training lasts, against the endless row of all batches of all passes."""

import numpy as np
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from lookalike.training.course import Course
from lookalike.training.recipe import Recipe
from support.training import recipe


def course(steps: int) -> Course:
    return Course.of(Recipe.from_dict(recipe(epochs="auto", steps=steps)))


def test_epochs_that_are_named_count_and_no_steps() -> None:
    made = Course.of(Recipe.from_dict(recipe(epochs=12, steps=7)))
    assert (made.epochs, made.steps) == (12, None)

    def draw(epoch: int) -> list[np.ndarray]:
        return [np.array([epoch])]

    assert made.drawer(draw, 3) is draw
    assert made.done(3, 5, 20) == 2.25
    assert made.validated(4, 10**6, 2) == 4


@hypothesis_settings(derandomize=True)
@given(
    steps=st.integers(1, 200),
    passes=st.lists(st.integers(1, 90), min_size=1, max_size=4),
    first=st.integers(1, 30),
)
def test_steps_are_those_of_pass_after_pass_from_wherever_it_goes_on(
    steps: int, passes: list[int], first: int
) -> None:
    made = course(steps)
    assert made.epochs == min(30, steps)

    def draw(number: int) -> list[np.ndarray]:
        # Passes need not be of one length.
        return [np.array([number, step]) for step in range(passes[number % len(passes)])]

    endless = [tuple(batch) for number in range(1, steps + 1) for batch in draw(number)][:steps]
    epochs = range(min(first, made.epochs), made.epochs + 1)
    part = made.drawer(draw, epochs.start)
    drawn = [[tuple(batch) for batch in part(epoch)] for epoch in epochs]
    done = made.steps_before(epochs.start)
    assert [batch for epoch in drawn for batch in epoch] == endless[done:]
    # Nearly as many in each.
    assert max(map(len, drawn)) - min(map(len, drawn)) <= 1
    assert min(map(len, drawn)) >= 1
    # The rate runs over the steps as if there were no epochs.
    at = [
        made.done(epoch, step, len(batches)) / made.epochs
        for epoch, batches in zip(epochs, drawn, strict=True)
        for step in range(len(batches))
    ]
    np.testing.assert_allclose(at, np.arange(done, steps) / steps, atol=1e-12)


@hypothesis_settings(derandomize=True)
@given(st.integers(1, 5000), st.integers(1, 9), st.integers(0, 10**5), st.integers(2, 100))
def test_no_more_images_are_scored_than_trained_on(
    steps: int, every: int, n_embedded: int, batch_size: int
) -> None:
    made = course(steps)
    found = made.validated(every, n_embedded, batch_size)
    assert found >= every
    trained = found * (steps * batch_size // made.epochs)
    # But for a single one, at the end.
    assert trained >= n_embedded or found >= made.epochs
    if found > every and found > 1:
        assert (found - 1) * (steps * batch_size // made.epochs) < n_embedded
