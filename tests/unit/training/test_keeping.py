"""Which epoch is kept, against loops over the scores."""

from typing import Any

from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from lookalike.training.keeping import SCORE, best_epoch, is_over

scores = st.lists(st.none() | st.sampled_from([0.0, 0.25, 0.5, 1.0]), max_size=12)


def history_of(known: list[float | None]) -> list[dict[str, Any]]:
    return [{"epoch": epoch, SCORE: score} for epoch, score in enumerate(known, 1)]


@hypothesis_settings(derandomize=True)
@given(scores, st.integers(0, 4))
def test_the_best_is_the_first_of_equals_and_patience_counts_scores_after_it(
    known: list[float | None], patience: int
) -> None:
    best, since = None, 0
    for epoch, score in enumerate(known, 1):
        if score is None:
            continue
        if best is None or score > (known[best - 1] or 0):
            best, since = epoch, 0
        else:
            since += 1
    assert best_epoch(history_of(known)) == best
    assert is_over(history_of(known), patience) == (0 < patience <= since)
