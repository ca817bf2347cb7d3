"""A byte a number, by the definition and by its bound."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lookalike.retrieval.quantization import bytes_each, quantized
from support.ranked import normal


def test_numbers_by_hand() -> None:
    rows = np.array([[127, 1.5, 2.5, -0.4], [0, 0, 0, 0], [-2, 1, 0, 0.0079]], np.float32)
    expected = np.array([[127, 2, 2, 0], [0, 0, 0, 0], [-2, 64 * 2 / 127, 0, 2 / 127]])
    np.testing.assert_allclose(quantized(rows), expected.astype(np.float32), rtol=1e-6)


@given(
    arrays(
        np.float32,
        st.tuples(st.integers(1, 6), st.integers(1, 9)),
        elements=st.floats(-1e3, 1e3, width=32),
    )
)
def test_each_number_is_within_half_a_step_and_one_of_255(rows: np.ndarray) -> None:
    found = quantized(rows)
    steps = np.abs(rows.astype(np.float64)).max(axis=1, keepdims=True) / 127
    # Half a step, and the rounding of float32.
    assert (np.abs(found - rows) <= steps * (0.5 + 1e-5)).all()
    whole = found / np.where(steps > 0, steps, 1)
    np.testing.assert_allclose(whole, np.rint(whole), atol=1e-4)
    for row in range(len(rows)):
        assert quantized(rows[row : row + 1]).tobytes() == found[row].tobytes()


def test_cosines_hardly_change_and_bytes_are_a_quarter() -> None:
    rows = normal(200, 64)
    found = quantized(rows)
    cosines = [
        some @ some.T
        for some in (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (rows, found))
    ]
    assert np.abs(cosines[0] - cosines[1]).max() < 0.01
    assert (bytes_each(64, "cosine"), bytes_each(64, "euclidean")) == (64, 68)
