"""Whitening and truncation, against scikit-learn's PCA and numpy's singular values."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from lookalike.errors import LookalikeError
from lookalike.retrieval.projection import Moments, moments_of, projected, truncation, whitening
from support.ranked import normal


def correlated(n: int, d: int, seed: int = 0) -> NDArray[np.float32]:
    """Rows whose principal axes have variances that differ."""
    spread = np.linspace(3, 0.2, d)
    return ((normal(n, d, seed=seed) * spread) @ normal(d, d, seed=99) + 2).astype(np.float32)


def moments(rows: NDArray[np.float32], cut: int = 100) -> Moments:
    return moments_of(in_blocks(rows, cut))


def in_blocks(rows: NDArray[np.float32], cut: int) -> Callable[[], Iterable[NDArray[np.float32]]]:
    return lambda: (rows[at : at + cut] for at in range(0, len(rows), cut))


def signs(ours: NDArray[np.floating], theirs: NDArray[np.floating]) -> NDArray[np.floating]:
    """An axis has two directions: those of ours for theirs."""
    found: NDArray[np.floating] = np.sign((ours * theirs).sum(axis=0))
    return found


@pytest.mark.parametrize("dim", [None, 5])
def test_whitening_is_scikit_learns(dim: int | None) -> None:
    rows, others = correlated(700, 12), correlated(50, 12, seed=1)
    peer = PCA(n_components=dim, whiten=True, svd_solver="full").fit(rows.astype(np.float64))
    found = whitening(moments(rows), dim, 0.0, unit=False)
    ours = np.concatenate(list(projected([others], found)))
    theirs = peer.transform(others.astype(np.float64))
    np.testing.assert_allclose(ours * signs(ours, theirs), theirs, rtol=2e-5, atol=2e-5)
    assert found.kept == pytest.approx(peer.explained_variance_ratio_.sum())
    np.testing.assert_allclose(found.variances[:5], peer.explained_variance_[:5], rtol=1e-5)
    # Where they are compared by cosine, the same of length 1.
    of_unit = whitening(moments(rows), dim, 0.0, unit=True)
    unit = np.concatenate(list(projected([others], of_unit)))
    np.testing.assert_allclose(
        unit, ours / np.linalg.norm(ours, axis=1, keepdims=True), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("shrink", [0.0, 0.3, 1.0])
def test_shrinking_brings_variances_to_their_closed_form(shrink: float) -> None:
    rows = correlated(900, 8)
    found = whitening(moments(rows), None, shrink, unit=False)
    after = np.concatenate(list(projected([rows], found))).astype(np.float64)
    variances = found.variances
    expected = variances / ((1 - shrink) * variances + shrink * variances.mean())
    np.testing.assert_allclose(np.cov(after.T), np.diag(expected), atol=1e-4)


def test_truncation_keeps_cosines_as_no_other_choice_of_so_many_dimensions() -> None:
    rows = correlated(400, 10)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    all_of_them = np.concatenate(list(projected([rows], truncation(moments(rows), 10, unit=True))))
    np.testing.assert_allclose(all_of_them @ all_of_them.T, rows @ rows.T, atol=1e-6)
    found = truncation(moments(rows), 4, unit=True)
    # Eckart and Young 1936: by singular values, about the origin.
    _, values, axes = np.linalg.svd(rows.astype(np.float64), full_matrices=False)
    np.testing.assert_allclose(np.abs(found.matrix), np.abs(axes[:4]), atol=1e-5)
    assert found.kept == pytest.approx((values[:4] ** 2).sum() / (values**2).sum())


def test_truncation_of_what_is_compared_by_distance_is_scikit_learns_pca() -> None:
    rows, others = correlated(300, 9), correlated(40, 9, seed=5)
    peer = PCA(3, svd_solver="full").fit(rows.astype(np.float64))
    theirs, found = peer.transform(others), truncation(moments(rows), 3, unit=False)
    np.testing.assert_allclose(found.variances[:3], peer.explained_variance_, rtol=1e-5)
    ours = np.concatenate(list(projected([others], found)))
    np.testing.assert_allclose(ours * signs(ours, theirs), theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("unit", [True, False])
def test_an_embedding_does_not_depend_on_its_place_company_or_cut(unit: bool) -> None:
    rows, fitted = correlated(611, 33), correlated(500, 33, seed=7)
    found = whitening(moments(fitted), 17, 0.1, unit=unit)
    whole = np.concatenate(list(projected([rows], found)))
    order = np.random.default_rng(1).permutation(len(rows))
    for cut in (1, 37, 256, 600):
        again = np.concatenate(list(projected(in_blocks(rows[order], cut)(), found)))
        assert again.tobytes() == whole[order].tobytes()
    other = whitening(moments(fitted, cut=7), 17, 0.1, unit=unit)
    assert other.matrix.tobytes() == found.matrix.tobytes()
    threads = torch.get_num_threads()
    torch.set_num_threads(3 - threads % 2)
    try:
        again = np.concatenate(
            list(projected([rows], whitening(moments(fitted), 17, 0.1, unit=unit)))
        )
    finally:
        torch.set_num_threads(threads)
    assert again.tobytes() == whole.tobytes()


def test_dimensions_without_variance_are_left_out() -> None:
    rows = correlated(50, 6)
    rows[:, 2] = 4
    rows[:, 5] = rows[:, 0]
    assert whitening(moments(rows), None, 0.0, unit=True).matrix.shape == (4, 6)
    assert truncation(moments(rows), 6, unit=False).matrix.shape == (4, 6)
    few = whitening(moments(rows[:3]), None, 0.0, unit=True)
    assert len(few.matrix) == 2
    after = np.concatenate(list(projected([rows], few)))
    np.testing.assert_allclose(np.linalg.norm(after, axis=1), 1, atol=1e-6)


def test_too_few_images_or_all_alike_are_refused() -> None:
    for n in (0, 1):
        with pytest.raises(LookalikeError, match=f"two training images at the least.*are {n}"):
            moments(correlated(3, 4)[:n])
    for unit in (True, False):
        with pytest.raises(LookalikeError, match="are alike"):
            whitening(moments(np.ones((9, 4), np.float32)), None, 0.1, unit=unit)
