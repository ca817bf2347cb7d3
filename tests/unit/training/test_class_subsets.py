"""Parts of the training classes: against a re-writing, and what is promised of them."""

from __future__ import annotations

import hashlib
import itertools
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lookalike.errors import LookalikeError
from lookalike.training.class_subsets import (
    ClassCounts,
    as_noted,
    class_subset,
    require_classes,
    require_train_classes,
    taken_of,
)
from lookalike.training.decisive import decisive
from lookalike.training.held_out import Fold, HeldOut, hold_out
from support.training import blobs, recipe, run, same, without_times

NAMES = [f"class {number}" for number in range(60)]
parts = st.one_of(
    st.floats(0.02, 1, exclude_max=True), st.integers(2, 60), st.sampled_from([0.5, 0.25, 0.125])
)


def by_hand(pairs: list[str], alone: list[str], asked: float, seed: int) -> set[str]:
    """The rule written out: ranks by hash, and shares of both kinds in fractions."""
    everything = len(pairs) + len(alone)
    # A half goes up.
    n = int(asked if asked >= 2 else asked * everything + 0.5)
    wanted = int(Fraction(n * len(pairs), everything) + Fraction(1, 2))
    taken = set()
    for names, count in ((pairs, wanted), (alone, n - wanted)):
        places = {
            name: hashlib.sha256(f"train_classes {seed} {name}".encode()).hexdigest()
            for name in names
        }
        taken |= {name for name in names if sum(places[o] < places[name] for o in names) < count}
    return taken


@settings(deadline=None)
@given(st.integers(0, 40), st.integers(0, 20), parts, st.integers(0, 3), st.randoms())
def test_a_part_is_what_the_rule_says_whatever_the_order(
    n_pairs: int, n_alone: int, asked: float, seed: int, random: Any
) -> None:
    pairs, alone = NAMES[:n_pairs], NAMES[40 : 40 + n_alone]
    there = ClassCounts(n_pairs, n_alone)
    if (
        asked > there.all
        or not there.all
        or len(taken_names := by_hand(pairs, alone, asked, seed) & {*pairs}) < 2
    ):
        with pytest.raises(LookalikeError):
            class_subset(pairs, alone, asked, seed)
        return
    found = class_subset(pairs, alone, asked, seed)
    assert found == by_hand(pairs, alone, asked, seed)
    assert taken_of(asked, there) == (len(taken_names), len(found) - len(taken_names))
    random.shuffle(pairs)
    random.shuffle(alone)
    assert class_subset(pairs, alone, asked, seed) == found


@given(st.integers(2, 300), st.integers(0, 300))
def test_larger_parts_have_no_fewer_of_either_kind_and_the_largest_all(
    n_pairs: int, n_alone: int
) -> None:
    there = ClassCounts(n_pairs, n_alone)
    counts = [taken_of(n, there) for n in range(2, there.all + 1)]
    assert counts[-1] == there == taken_of(1.0, there)
    for (pairs, alone), (more_pairs, more_alone) in itertools.pairwise(counts):
        assert 0 <= more_pairs - pairs <= 1
        assert 0 <= more_alone - alone <= 1
    assert all(taken.all == n for n, taken in enumerate(counts, 2))


@settings(deadline=None)
@given(
    st.sets(st.text(max_size=4), min_size=8, max_size=40),
    st.integers(0, 8),
    parts,
    parts,
    st.integers(0, 3),
)
def test_parts_are_nested(
    names: set[str], n_alone: int, one: float, other: float, seed: int
) -> None:
    ordered = sorted(names)
    pairs, alone = ordered[n_alone:], ordered[:n_alone]
    there = ClassCounts(len(pairs), len(alone))
    smaller, larger = sorted((one, other), key=lambda part: taken_of(part, there).all)
    if smaller > there.all or larger > there.all or taken_of(smaller, there).pairs < 2:
        return
    within, around = (class_subset(pairs, alone, part, seed) for part in (smaller, larger))
    assert within <= around <= names


@settings(deadline=None)
@given(
    st.sampled_from([0.125, 0.25, 0.5, 0.7]), st.integers(0, 12), st.integers(0, 9), st.booleans()
)
def test_where_a_class_is_added_few_others_move(
    asked: float, n_alone: int, seed: int, alone_is_added: bool
) -> None:
    kinds = [NAMES[n_alone:], NAMES[:n_alone]]
    before = class_subset(kinds[0], kinds[1], asked, seed)
    kinds[alone_is_added] = ["new", *kinds[alone_is_added]]
    after = class_subset(kinds[0], kinds[1], asked, seed)
    # Of a part drawn anew by a generator, half of the classes would.
    assert len(before ^ (after - {"new"})) <= 3


def test_seeds_take_other_classes_and_folds_are_divided_alike() -> None:
    by_seed = [class_subset(NAMES, [], 0.25, seed) for seed in range(40)]
    assert len({frozenset(part) for part in by_seed}) == 40
    taken = np.mean([[name in part for name in NAMES] for part in by_seed], axis=0)
    assert abs(taken.mean() - 0.25) < 1e-9
    # Each class as often as chance has it.
    assert taken.std() == pytest.approx((0.25 * 0.75 / 40) ** 0.5, rel=0.35)
    # What a fold leaves is as good a sample of the part as all is: their hashes are not alike.
    labels = np.repeat(np.arange(60), 2)
    for fold in range(3):
        whole = hold_out(labels, None, "classes", 1 / 3, 0, Fold(fold, 3), NAMES)
        part = hold_out(labels, None, "classes", 1 / 3, 0, Fold(fold, 3), NAMES, 0.5)
        assert_only_training_is_less(whole, part, labels)
        in_all = {NAMES[label] for label in labels[whole.training]} & class_subset(
            NAMES, [], 0.5, 0
        )
        assert 14 <= len(in_all) <= 26


def assert_only_training_is_less(whole: HeldOut, part: HeldOut, labels: np.ndarray) -> None:
    for field in ("of", "held_out", "queries", "companions"):
        assert np.array_equal(getattr(whole, field), getattr(part, field)), field
    trained = {*labels[part.training]}
    expected = [row for row in whole.training if labels[row] in trained]
    assert part.training.tolist() == expected


@settings(deadline=None)
@given(
    st.lists(st.integers(1, 5), min_size=12, max_size=30),
    st.sampled_from([("classes", 0.3), ("images", 0.3), ("classes", 0.0)]),
    st.sampled_from([0.3, 0.6, 5]),
    st.integers(0, 5),
)
def test_what_is_held_out_is_the_same_for_all_parts(
    sizes: list[int], held: tuple[str, float], asked: float, seed: int
) -> None:
    labels = np.repeat(np.arange(len(sizes)), sizes)
    whole = hold_out(labels, None, *held, seed, None, NAMES)
    left = np.unique(labels[whole.training], return_counts=True)
    kinds = [
        [NAMES[label] for label, n in zip(*left, strict=True) if (n == 1) == k] for k in (0, 1)
    ]
    try:
        expected = class_subset(kinds[0], kinds[1], asked, seed)
    except LookalikeError:
        with pytest.raises(LookalikeError, match="train_classes"):
            hold_out(labels, None, *held, seed, None, NAMES, asked)
        return
    part = hold_out(labels, None, *held, seed, None, NAMES, asked)
    assert_only_training_is_less(whole, part, labels)
    assert {NAMES[label] for label in labels[part.training]} == expected
    n, of = part.n_classes(labels)
    assert (n, of) == (len(expected), len(left[0])) == (n, whole.n_classes(labels)[0])


@pytest.mark.parametrize(
    ("asked", "there", "message"),
    [
        (100, (40, 4), "100 classes are more than the 44 .* Set it to 44 or less, or to 1.0"),
        (0.01, (40, 0), "takes 0 of 40 .*, 0 of them .* Set it to 0.038 or more"),
        (2, (4, 36), "takes 2 of 40 training classes, 0 of them .* Set it to 15 or more"),
        (0.3, (2, 8), "takes 3 of 10 .*, 1 of them .* Set it to 0.75 or more"),
        (0.5, (1, 8), "Add images, or hold out fewer classes"),
    ],
)
def test_too_few_are_told_with_how_many_suffice(
    asked: float, there: tuple[int, int], message: str
) -> None:
    with pytest.raises(LookalikeError, match=message):
        require_classes(asked, ClassCounts(*there), "r")
    if "Set it to" in message:
        enough = float(message.rpartition("Set it to ")[2].split()[0])
        require_classes(int(enough) if enough > 1 else enough, ClassCounts(*there))
        smaller = int(enough) - 1 if enough > 1 else enough - 0.001
        if "or more" in message:
            assert taken_of(smaller, ClassCounts(*there)).pairs < 2


@settings(deadline=None)
@given(
    st.lists(st.integers(1, 4), min_size=4, max_size=16),
    st.one_of(
        st.builds(lambda share: {"of": "classes", "classes": share}, st.floats(0, 0.8)),
        st.builds(lambda share: {"of": "images", "classes": share}, st.floats(0, 0.8)),
        st.builds(
            lambda folds: {"of": "classes", "classes": 1 / folds, "folds": folds},
            st.integers(2, 4),
        ),
    ),
    parts,
)
def test_what_is_told_by_the_data_report_is_what_a_training_would_tell(
    sizes: list[int], validation: dict[str, Any], asked: float
) -> None:
    labels = np.repeat(np.arange(len(sizes)), sizes)
    pairs, alone = sum(n >= 2 for n in sizes), sum(n == 1 for n in sizes)
    report = {
        "classes_without_positive": {"count": alone},
        "splits": {"train": {"classes": pairs + alone}},
    }
    folds = validation.get("folds")
    # As `require_folds` sees to before.
    if folds and pairs < 2 * folds:
        return

    def told(ask: Any) -> str:
        try:
            ask()
        except LookalikeError as error:
            return str(error).removeprefix("recipe r: ")
        return ""

    complete = {"validation": validation, "train_classes": asked}
    before = told(lambda: require_train_classes(report, "r", complete))
    of, share = validation["of"], validation["classes"]
    during = [
        told(lambda fold=fold: hold_out(labels, None, of, share, 0, fold, NAMES, asked))
        for fold in ([Fold(n, folds) for n in range(folds)] if folds else [None])
    ]
    assert before in during if before else not any(during)


def test_a_part_decides_the_weights_and_all_classes_are_what_they_were(tmp_path: Path) -> None:
    whole, half = recipe(), recipe(train_classes=0.5)
    assert "train_classes" not in decisive(whole)
    assert decisive(half)["train_classes"] == 0.5
    # Nor does model.json tell of all.
    assert as_noted(half) == half
    assert as_noted(whole) == {key: value for key, value in whole.items() if key != "train_classes"}
    # Which classes are taken follows from the seed, also where none are held out.
    none = {"classes": 0.0}
    assert decisive(recipe(validation=none))["validation"] == none
    assert decisive(recipe(validation=none, train_classes=0.5))["validation"] == none | {"seed": 0}
    history: dict[str, Any] = {}
    weights = {}
    for name, asked in {"all": 1.0, "each": 10, "half": 0.5, "again": 5}.items():
        settings_of_run = recipe(
            epochs=1, train_classes=asked, validation={"of": "classes", "classes": 0.2}
        )
        weights[name], made = run(tmp_path / name, settings_of_run, data=blobs())
        history[name] = without_times(made)
    assert same(weights["all"], weights["each"]) and history["all"] == history["each"]
    assert same(weights["half"], weights["again"]) and history["half"] == history["again"]
    assert not same(weights["all"], weights["half"])
    assert history["half"][0]["images"] < history["all"][0]["images"]
    assert all(row["validation_mAP@10"] is not None for row in history["half"])
