"""What is said while work lasts, where no bar shows it."""

import io
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.jobs.progress import Progress, duration_in_words

SECONDS = {"s": 1, "min": 60, "h": 3600, "days": 86400}


@given(st.floats(1, 1e8))
def test_a_duration_in_words_is_within_a_twentieth_of_it(seconds: float) -> None:
    number, unit = duration_in_words(seconds).split()
    # A whole number of units from ten up, else a half of the last digit that is shown.
    assert float(number) * SECONDS[unit] == pytest.approx(seconds, rel=0.05, abs=0.5)
    assert len(number.replace(".", "")) <= 2 or unit == "days"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "1 s"), (40, "40 s"), (90, "2 min"), (2400, "40 min"), (5400, "1.5 h"), (43200, "12 h")],
)
def test_durations_are_told_in_the_unit_that_a_person_takes(seconds: float, words: str) -> None:
    assert duration_in_words(seconds) == words


def test_a_line_tells_how_long_the_rest_takes_at_the_rate_so_far(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr("lookalike.jobs.progress.time.monotonic", lambda: now)
    monkeypatch.setattr("sys.stderr", io.StringIO())
    caplog.set_level(logging.INFO)
    with Progress("decoding", 1000) as work:
        now += 30
        # What was waited for without result tells nothing of the rest.
        work.update(0)
        now += 30
        # A hundred a minute: nine minutes for 900.
        work.update(100, "well")
        now += 29
        work.update(100)
    assert caplog.messages == [
        "decoding: 0 of 1000 images (0/s)",
        "decoding: 100 of 1000 images (1.67/s, 9 min left), well",
    ]
