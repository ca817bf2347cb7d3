"""What is refused once the manifest is made is what the later steps would refuse, and no more."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lookalike.data.checks import (
    require_folds,
    require_scorable,
    require_trainable,
    require_training_images,
)
from lookalike.data.manifest_table import SCHEMA
from lookalike.data.quality import data_report
from lookalike.errors import LookalikeError
from lookalike.records import Chosen
from lookalike.retrieval.evaluation import evaluate_items
from lookalike.retrieval.projection import moments_of
from lookalike.retrieval.settings import MetricsSettings
from lookalike.retrieval.streams import Items
from lookalike.training.held_out import Fold, hold_out, hold_out_fold
from lookalike.training.sampling import epoch_batches

BALANCED = {"name": "balanced", "classes": 4, "images_per_class": 3}
SHUFFLED = {"name": "shuffled", "size": 8}


def report_of(splits: dict[str, list[tuple[str, str, str]]], pairs: list[tuple[str, str]]) -> Any:
    """The data report of (image_id, label, sha256) rows."""
    tables = {
        split: pa.Table.from_pylist(
            [
                {"image_id": name, "label": label, "sha256": sha256, "status": "ok"}
                for name, label, sha256 in splits.get(split, [])
            ],
            SCHEMA,
        )
        for split in ("train", "query", "gallery")
    }
    nothing: dict[str, list[str]] = {split: [] for split in tables}
    report = data_report(tables, nothing, pairs, {}, {split: {} for split in tables}, False)
    return json.loads(json.dumps(report))


def refuses(step: Any, *arguments: Any, **options: Any) -> bool:
    try:
        step(*arguments, **options)
    except LookalikeError:
        return True
    return False


@settings(derandomize=True, deadline=None, max_examples=150)
@given(
    st.lists(st.integers(0, 6), min_size=2, max_size=14).filter(
        lambda labels: any(labels.count(label) > 1 for label in labels)
    ),
    st.sampled_from([BALANCED, SHUFFLED]),
    st.sampled_from([0.0, 0.1, 0.5, 0.9]),
    st.sampled_from(["classes", "images"]),
)
def test_a_training_that_could_make_no_batches(
    labels: list[int], batch: dict[str, Any], share: float, of: str
) -> None:
    """Against the batches themselves, of what the validation leaves to train on."""
    rows = [(f"{number:02}", str(label), f"{number}") for number, label in enumerate(labels)]
    report = report_of({"train": rows}, [])
    known = np.array(labels)
    chosen = hold_out(known, None, of, share, seed=0).training
    would = refuses(epoch_batches, known[chosen], Chosen.from_dict(batch), 0, 1)
    assert refuses(require_trainable, report, "mine", batch) == would


@settings(derandomize=True, deadline=None, max_examples=150)
@given(st.lists(st.integers(0, 11), min_size=2, max_size=40), st.integers(2, 5))
def test_folds_that_could_not_all_be_held_out(labels: list[int], folds: int) -> None:
    """Against the folds themselves."""
    rows = [(f"{number:02}", str(label), f"{number}") for number, label in enumerate(labels)]
    report = report_of({"train": rows}, [])
    held_out = [hold_out_fold(np.array(labels), Fold(fold, folds), 0)[1] for fold in range(folds)]
    would = not all(map(len, held_out))
    assert refuses(require_folds, report, "mine", {"fold": 0, "folds": folds}) == would
    assert not refuses(require_folds, report, "mine", {"classes": 0.1})


@settings(derandomize=True, deadline=None, max_examples=200)
@given(st.data(), st.sampled_from(["none", "same_file", "same_content"]))
def test_queries_that_could_not_be_scored(data: st.DataObject, exclude: str) -> None:
    """Against the evaluation itself, of embeddings that do not matter."""
    label, content = st.sampled_from("abc"), st.sampled_from("12345")
    # A content has one label more often than not.
    row = content.map(lambda x: ("abcab"[int(x) - 1], x)) | st.tuples(label, content)
    queries, gallery = (
        [(f"{side}{number}", *found) for number, found in enumerate(data.draw(rows))]
        for side, rows in (
            ("q", st.lists(row, min_size=1, max_size=4)),
            ("g", st.lists(row, min_size=1, max_size=5)),
        )
    )
    # Some gallery items are a query's own file.
    own = data.draw(st.lists(st.tuples(st.sampled_from(queries), st.integers(0, 4)), max_size=3))
    files = {name: name for name, *_ in (*queries, *gallery)}
    for (query, _, sha256), place in own:
        if place < len(gallery) and gallery[place][0] not in [files[q] for q, *_ in queries]:
            name = gallery[place][0]
            if files[name] == name:
                gallery[place] = (name, data.draw(label), sha256)
                files[name] = query
    pairs = sorted((q, g) for q, *_ in queries for g, *_ in gallery if files[g] == q)
    report = report_of({"query": queries, "gallery": gallery}, pairs)
    vectors = np.ones((5, 2), np.float32)

    def items(rows: list[tuple[str, str, str]]) -> Items:
        names, labels, hashes = (list(column) for column in zip(*rows, strict=True))
        keys = {"none": None, "same_file": [files[name] for name in names], "same_content": hashes}
        return Items.of(names, labels, vectors[: len(rows)], keys=keys[exclude])

    for no_relevant in ("skip", "error"):
        would = refuses(
            evaluate_items,
            items(queries),
            items(gallery),
            score="euclidean",
            settings=MetricsSettings(exclude=exclude, no_relevant=no_relevant, bootstrap=0),
        )
        metrics = {"exclude": exclude, "no_relevant": no_relevant}
        assert refuses(require_scorable, report, metrics) == would


def test_messages_name_what_is_lacking_and_the_remedy() -> None:
    one = [(f"q{number}", f"{number}", f"{number}") for number in range(8)]
    report = report_of({"query": one, "gallery": one}, [(name, name) for name, *_ in one])
    with pytest.raises(LookalikeError, match=r"none of the 8 queries .* same_file.*: q0, .* and 3"):
        require_scorable(report, {"exclude": "same_file", "no_relevant": "zero"})
    require_scorable(report, {"exclude": "none", "no_relevant": "error"})
    report = report_of({"query": one, "gallery": one[1:]}, [])
    with pytest.raises(LookalikeError, match=r"no_relevant is error, and 1 of 8 queries .*: q0"):
        require_scorable(report, {"exclude": "none", "no_relevant": "error"})
    report = report_of({"train": [*one, ("again", "0", "9")]}, [])
    with pytest.raises(
        LookalikeError, match=r"recipe mine: .* 7 of 8 classes have but one: 1, 2, 3"
    ):
        require_trainable(report, "mine", BALANCED)


@pytest.mark.parametrize("n", range(4))
def test_principal_components_of_too_few_training_images(n: int) -> None:
    """Against the fit itself, whatever the labels."""
    report = report_of({"train": [(f"{i}", "a", f"{i}") for i in range(n)]}, [])
    vectors = np.eye(4, dtype=np.float32)[:n]
    would = refuses(moments_of, lambda: iter([vectors] if n else []))
    for learnt in (["whitened"], ["truncated", "whitened"]):
        assert refuses(require_training_images, report, learnt) == would
    assert not refuses(require_training_images, report, [])
