"""Rates of pairs, against all pairs one by one and scikit-learn's curves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.spatial.distance import cdist
from sklearn.metrics import det_curve, roc_curve

from lookalike.retrieval.evaluation import evaluate_items
from lookalike.retrieval.pair_counts import PairCounts
from lookalike.retrieval.scores import SCORES, score_matrix
from lookalike.retrieval.settings import MetricsSettings
from lookalike.retrieval.streams import Items
from lookalike.retrieval.verification import PairRates, verification_summary
from support.ranked import normal


def sides() -> tuple[Items, Items]:
    """Queries of fourteen classes, the gallery of twelve; key 3 of one is not that of the other."""
    centres = 0.8 * normal(14, 6, seed=1)
    made = []
    for name, n, classes, seed in (("q", 150, 14, 2), ("g", 1300, 12, 3)):
        of = np.arange(n) % classes
        vectors = centres[of] + normal(n, 6, seed=seed)
        ids, labels = [f"{name}{i}" for i in range(n)], [f"c{label}" for label in of]
        keys = [f"{name * (i == 3)}k{i}" for i in range(n)]
        made.append(Items.of(ids, labels, vectors, keys))
    return made[0], made[1]


def named(side: Items) -> list[tuple[str, str]]:
    """Label and exclusion key of each."""
    return [(str(label), str(key)) for label, key in zip(side.labels, side.keys or [], strict=True)]


def all_pairs(score: str) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """The scores of all pairs but for the excluded ones, and whether they are relevant."""
    queries, gallery = sides()
    (own,), (theirs,) = queries.vectors(), gallery.vectors()
    scores = score_matrix(own, theirs, score)
    # Those are the package's own, to compare thresholds to the last bit: what they are, by scipy.
    apart = cdist(own.astype(float), theirs.astype(float), score)
    np.testing.assert_allclose(scores, float(score == "cosine") - apart, atol=2e-6)
    kept = [
        (scores[i, j], own_label == label)
        for i, (own_label, own_key) in enumerate(named(queries))
        for j, (label, key) in enumerate(named(gallery))
        if own_key != key
    ]
    found, relevant = zip(*kept, strict=True)
    return np.array(found, np.float32), np.array(relevant)


def rates_hold(
    found: dict[str, Any], scores: NDArray[np.float32], relevant: NDArray[np.bool_]
) -> None:
    """What a summary says is what all pairs say, within the bounds that it states."""
    n_relevant, n_others = int(relevant.sum()), int((~relevant).sum())
    assert (found["n_relevant_pairs"], found["n_other_pairs"]) == (n_relevant, n_others)
    false, true, _ = roc_curve(relevant, scores, drop_intermediate=False)
    for rate, at in found["TMR_at_FMR"].items():
        exact = true[false <= float(rate)].max()
        assert at["TMR"] <= exact <= at["TMR_at_most"]
        threshold = np.inf if at["score"] is None else at["score"]
        assert at["n_true_matches"] == (scores[relevant] >= threshold).sum()
        assert at["n_false_matches"] == (scores[~relevant] >= threshold).sum()
        assert at["n_false_matches"] / n_others <= float(rate)
        assert at["TMR"] == at["n_true_matches"] / n_relevant
    curve = found["ROC"]
    for false_rate, true_rate, threshold in zip(*curve.values(), strict=True):
        assert false_rate == (scores[~relevant] >= threshold).mean()
        assert true_rate == (scores[relevant] >= threshold).mean()
    if (eer := found["EER"]) is not None:
        exact = brentq(lambda x: 1 - x - np.interp(x, false, true), 0, 1)
        assert eer["low"] - 1e-9 <= exact <= eer["high"] + 1e-9
        assert eer["low"] <= eer["value"] <= eer["high"]


@pytest.mark.parametrize("score", SCORES)
def test_rates_of_an_evaluation_are_those_of_all_pairs(score: str) -> None:
    queries, gallery = sides()
    asked = MetricsSettings(k=[1], exclude="same_content", bootstrap=0)
    found = evaluate_items(queries, gallery, score=score, settings=asked).summary["verification"]
    scores, relevant = all_pairs(score)
    rates_hold(found, scores, relevant)
    assert list(found["TMR_at_FMR"]) == ["0.1", "0.01", "0.001", "0.0001"]
    assert found["left_out"] == {}
    # The stated resolution leaves this little unknown.
    for at in found["TMR_at_FMR"].values():
        assert at["TMR_at_most"] - at["TMR"] < 0.003
    eer = found["EER"]
    assert eer["high"] - eer["low"] < 0.003
    false, missed, _ = det_curve(relevant, scores)
    nearest = np.argmin(np.abs(false - missed))
    assert eer["value"] == pytest.approx((false[nearest] + missed[nearest]) / 2, abs=0.002)
    # Ten points a power of ten, from 1 on, to the last that ten false matches are behind.
    false_rates = found["ROC"]["FMR"]
    assert false_rates[0] == 1
    assert found["n_other_pairs"] * false_rates[-1] == pytest.approx(10, abs=5)
    assert len(false_rates) == pytest.approx(10 * np.log10(found["n_other_pairs"] / 10), abs=6)


@settings(derandomize=True, deadline=None, max_examples=80)
@given(
    seed=st.integers(0, 10**6),
    n_relevant=st.integers(10, 60),
    n_others=st.integers(10, 3000),
    shift=st.sampled_from([-3.0, 0.0, 0.5, 2.0, 9.0]),
    digits=st.integers(0, 3),
)
def test_rates_hold_with_any_scores(
    seed: int, n_relevant: int, n_others: int, shift: float, digits: int
) -> None:
    generator = np.random.default_rng(seed)
    drawn = generator.normal(size=n_relevant + n_others).round(digits)
    relevant = np.arange(len(drawn)) < n_relevant
    scores: NDArray[np.float32] = (drawn + shift * relevant - 20).astype(np.float32)
    pairs = PairCounts("euclidean")
    pairs.add_relevant(scores[relevant])
    pairs.add_others(scores[~relevant][None], 1, n_others)
    found = verification_summary(pairs)
    rates_hold(found, scores, relevant)
    if digits < 2:
        # Each score has a cell of its own: nothing is unknown but where equals are cut.
        false, true, _ = roc_curve(relevant, scores, drop_intermediate=False)
        missed = 1 - true
        above = int(np.flatnonzero(false <= missed)[-1])
        if found["EER"] is not None:
            assert found["EER"]["low"] == pytest.approx(max(false[above], missed[above + 1]))
            assert found["EER"]["high"] == pytest.approx(min(false[above + 1], missed[above]))
        for rate, at in found["TMR_at_FMR"].items():
            assert at["TMR"] == true[false <= float(rate)].max()
    errors = min(n_relevant, n_others)
    if found["EER"] is None:
        false, true, _ = roc_curve(relevant, scores, drop_intermediate=False)
        bound = float(found["left_out"]["EER"].split()[1].rstrip(":"))
        assert brentq(lambda x: 1 - x - np.interp(x, false, true), 0, 1) <= bound * 1.05
    else:
        assert found["EER"]["value"] * errors >= 10


def test_rates_are_those_of_a_closed_form() -> None:
    # Two normal distributions, three standard deviations apart: EER = Phi(-1.5).
    n = 200_000
    pairs = PairCounts("euclidean")
    pairs.add_relevant(normal(n, seed=1) - 47)
    pairs.add_others(normal(n, seed=2)[None] - 50, 1, n)
    found = verification_summary(pairs)
    assert found["EER"]["value"] == pytest.approx(0.066807, abs=0.002)
    assert found["EER"]["score"] == pytest.approx(-48.5, abs=0.05)
    # Phi(3 - 1.2816), Phi(3 - 2.3263), Phi(3 - 3.0902)
    expected = {"0.1": 0.957138, "0.01": 0.749746, "0.001": 0.464054}
    for rate, true in expected.items():
        at = found["TMR_at_FMR"][rate]
        assert (at["TMR"] + at["TMR_at_most"]) / 2 == pytest.approx(true, abs=0.015)


def test_a_rate_that_is_met_exactly_counts() -> None:
    pairs = PairCounts("cosine")
    pairs.add_relevant(np.linspace(0, 1, 50, dtype=np.float32))
    pairs.add_others(np.linspace(-1, 0.9, 1000, dtype=np.float32)[None], 1, 1000)
    found = verification_summary(pairs)["TMR_at_FMR"]
    assert {rate: at["n_false_matches"] for rate, at in found.items()} == {"0.1": 100, "0.01": 10}


def test_rates_of_too_few_pairs_are_left_out() -> None:
    pairs = PairCounts("cosine")
    pairs.add_relevant(np.full(50, 0.9, np.float32))
    pairs.add_others(np.linspace(-1, 0.95, 999, dtype=np.float32)[None], 1, 999)
    found = verification_summary(pairs)
    assert list(found["TMR_at_FMR"]) == ["0.1"]
    assert found["EER"] is None
    assert found["left_out"] == {
        "EER": "below 0.2: fewer than 10 errors",
        "0.01": "fewer than 1000 other pairs",
        "0.001": "fewer than 10000 other pairs",
        "0.0001": "fewer than 100000 other pairs",
    }


@pytest.mark.parametrize(
    ("n_relevant", "n_others", "kind"), [(9, 500, "relevant"), (50, 9, "other")]
)
def test_of_hardly_any_pair_nothing_is_stated(n_relevant: int, n_others: int, kind: str) -> None:
    pairs = PairCounts("euclidean")
    pairs.add_relevant(-np.ones(n_relevant, np.float32))
    pairs.add_others(-np.ones((1, n_others), np.float32), 1, n_others)
    for some in (pairs, PairCounts("cosine")):
        found = verification_summary(some)
        assert found["TMR_at_FMR"] == {}
        assert found["EER"] is None
        assert list(found["left_out"]) == ["EER", "0.1", "0.01", "0.001", "0.0001"]
        assert found["ROC"] == {"FMR": [], "TMR": [], "score": []}
        kinds = {kind} if some is pairs else {"relevant"}
        assert set(found["left_out"].values()) == {f"fewer than 10 {one} pairs" for one in kinds}


def test_one_score_for_all_pairs_tells_nothing_within_its_bounds() -> None:
    pairs = PairCounts("cosine")
    pairs.add_relevant(np.ones(100, np.float32))
    pairs.add_others(np.ones((1, 100), np.float32), 1, 100)
    rates = PairRates.of(pairs)
    assert rates.equal_error() == (0.5, 0.0, 1.0, 1)
    found = verification_summary(pairs)
    assert found["TMR_at_FMR"]["0.1"] == {
        "TMR": 0.0,
        "TMR_at_most": 1.0,
        "n_true_matches": 0,
        "n_false_matches": 0,
        "score": None,
    }
