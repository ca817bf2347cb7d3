"""What jobs ask for grows with their work and with each attempt."""

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lookalike.jobs.resources import (
    NEEDS,
    Work,
    images_in,
    memory_mb,
    minutes,
    passes_of,
)
from lookalike.training.samplers.balanced import balanced_batches

works = st.builds(
    Work,
    images=st.integers(0, 10**7),
    passes=st.integers(1, 100),
    image_size=st.integers(0, 512),
    batch=st.integers(0, 512),
    gpus=st.integers(0, 8),
    scores=st.integers(0, 10**12),
    threads=st.integers(1, 64),
)


@settings(derandomize=True)
@given(st.sampled_from(sorted(NEEDS)), works, st.integers(1, 5))
def test_more_work_and_another_attempt_ask_for_more(step: str, work: Work, attempt: int) -> None:
    for ask in (memory_mb, minutes):
        asked = ask(step, work, attempt)
        assert isinstance(asked, int)
        assert 0 < asked < ask(step, work, attempt + 1)
        # A second attempt gets twice as much, but for rounding.
        assert ask(step, work, 2) == pytest.approx(2 * ask(step, work), abs=100)
        for more in ("images", "passes", "image_size", "batch", "scores"):
            assert ask(step, replace(work, **{more: 2 * getattr(work, more)}), attempt) >= asked
    threads = replace(work, threads=2 * work.threads)
    assert memory_mb(step, threads, attempt) >= memory_mb(step, work, attempt)
    assert minutes(step, threads, attempt) <= minutes(step, work, attempt)


@settings(derandomize=True)
@given(
    st.lists(st.integers(2, 40), min_size=2, max_size=12),
    st.integers(2, 200),
    st.integers(2, 8),
    st.integers(2, 4),
)
def test_a_large_class_makes_passes_of_the_whole_as_the_batches_do(
    sizes: list[int], largest: int, classes: int, images_per_class: int
) -> None:
    labels = np.repeat(np.arange(len(sizes) + 1), [*sizes, largest])
    batch = {"name": "balanced", "classes": classes, "images_per_class": images_per_class}
    recipe = {"epochs": 3, "steps": 1000, "batch": batch}
    size = classes * images_per_class
    passes = passes_of(recipe, len(labels), max(*sizes, largest), size)
    batches = balanced_batches(
        labels, np.random.default_rng(0), classes=classes, images_per_class=images_per_class
    )
    drawn = 3 * sum(map(len, batches))
    # Classes of few images in places of many are drawn more often than that, up to twice or so.
    assert passes >= 3
    if largest >= 10 * sum(sizes) and classes <= len(sizes):
        assert passes * len(labels) == pytest.approx(drawn)
    shuffled = recipe | {"batch": {"name": "shuffled", "size": 9}}
    assert passes_of(shuffled, len(labels), largest, 9) == 3
    # As many steps as asked for, whatever the batches are drawn from.
    by_steps = passes_of(recipe | {"epochs": "auto"}, len(labels), largest, size)
    assert by_steps * len(labels) == pytest.approx(1000 * size)
    assert passes_of(recipe | {"epochs": "auto"}, 0, 0, size) == 0


def test_images_are_counted(tmp_path: Path) -> None:
    assert images_in([tmp_path / "missing.parquet"]) == 0
    labels = {f"{number:06d}_name.jpg": f"the label {number % 9}" for number in range(1000)}
    path = tmp_path / "labels.json"
    path.write_text(json.dumps(labels))
    assert 500 < images_in([path]) < 2000

    manifest = tmp_path / "manifest.parquet"
    for number, rows in enumerate((3, 70_000)):
        pq.write_table(pa.table({"image_id": range(rows)}), manifest)
        os.utime(manifest, ns=(number, number))
        assert images_in([manifest]) == rows
    assert images_in([manifest, path]) == 70_000 + images_in([path])
