from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pytorch_metric_learning import losses as pml_losses
from pytorch_metric_learning import miners
from pytorch_metric_learning.distances import LpDistance
from pytorch_metric_learning.reducers import AvgNonZeroReducer
from torch import Tensor, nn

from lookalike.losses import BatchContrastiveLoss, ContrastiveLoss, build_loss


class SeedLoss(nn.Module):
    """The formula of the seed document, written out pair by pair."""

    def __init__(self, margin: float) -> None:
        super().__init__()
        self.margin = margin

    def forward(self, x1: Tensor, x2: Tensor, y: Tensor) -> Tensor:
        total = torch.zeros(())
        for a, b, same in zip(x1, x2, y, strict=True):
            d = torch.dist(a, b)
            total = total + (d**2 if same else max(self.margin - d, torch.zeros(())) ** 2)
        return total / len(y)


def batch(seed: int, n: int = 12, d: int = 5, classes: int = 4) -> tuple[Tensor, Tensor]:
    rng = np.random.default_rng(seed)
    vectors = torch.from_numpy(rng.normal(size=(n, d)).astype(np.float32))
    return vectors.requires_grad_(), torch.from_numpy(rng.integers(0, classes, n))


@settings(deadline=None, derandomize=True)
@given(st.integers(0, 10**6), st.floats(0.1, 5))
def test_value_and_gradient_are_the_seeds(seed: int, margin: float) -> None:
    x1, _ = batch(seed)
    x2, _ = batch(seed + 1)
    y = torch.from_numpy(np.random.default_rng(seed).integers(0, 2, len(x1)))
    ours = ContrastiveLoss(margin)(x1, x2, y)
    theirs = SeedLoss(margin)(x1, x2, y)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
    for mine, other in zip(
        torch.autograd.grad(ours, [x1, x2]), torch.autograd.grad(theirs, [x1, x2]), strict=True
    ):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-6)


def seed_formula(x1: Tensor, x2: Tensor, y: Tensor, margin: float = 1.0) -> Tensor:
    distances = torch.sqrt(((x1 - x2) ** 2).sum(dim=1))
    losses = y * distances**2 + (1 - y) * torch.clamp(margin - distances, min=0.0) ** 2
    return losses.mean()


@pytest.mark.parametrize("same", [0, 1])
def test_the_gradient_is_finite_where_embeddings_coincide(same: int) -> None:
    x = torch.ones(2, 3, requires_grad=True)
    y = torch.tensor([same, same])
    # The seed's own formula has no gradient there: that is what this test is about.
    (broken,) = torch.autograd.grad(seed_formula(x, torch.ones(2, 3), y), x)
    assert torch.isnan(broken).all()
    loss = ContrastiveLoss(1.0)(x, torch.ones(2, 3), y)
    assert loss.item() == (0.0 if same else 1.0)
    (gradient,) = torch.autograd.grad(loss, x)
    assert torch.equal(gradient, torch.zeros(2, 3))


def test_all_pairs_of_a_batch_are_compared_once() -> None:
    vectors, labels = batch(3)
    first = [i for i in range(12) for j in range(i + 1, 12)]
    second = [j for i in range(12) for j in range(i + 1, 12)]
    expected = seed_formula(
        vectors[first], vectors[second], (labels[first] == labels[second]).float()
    )
    value = BatchContrastiveLoss(1.0, "all")(vectors, labels)
    torch.testing.assert_close(value.loss, expected)


@pytest.mark.parametrize("seed", range(5))
def test_separate_means_agree_with_pytorch_metric_learning(seed: int) -> None:
    vectors, labels = batch(seed)
    vectors = nn.functional.normalize(vectors.detach(), dim=1)
    # Its margins are on the distance, its hinge is not squared: with power 2 of the distance for
    # positives that part is ours; negatives are compared through their own formula below.
    distance = LpDistance(normalize_embeddings=False, power=2)
    positives = pml_losses.ContrastiveLoss(
        pos_margin=0, neg_margin=0, distance=distance, reducer=AvgNonZeroReducer()
    )(vectors, labels)
    ours = BatchContrastiveLoss(0.5, "separate")(vectors, labels).loss
    far = [
        max(0.5 - float(torch.dist(vectors[i], vectors[j])), 0) ** 2
        for i in range(12)
        for j in range(i + 1, 12)
        if labels[i] != labels[j]
    ]
    active = [value for value in far if value > 0]
    expected = float(positives) + (sum(active) / len(active) if active else 0.0)
    assert float(ours) == pytest.approx(expected, rel=1e-5)


def test_share_of_active_negatives() -> None:
    vectors = torch.tensor([[0.0, 0.0], [0.3, 0.0], [5.0, 0.0]])
    value = BatchContrastiveLoss(1.0, "separate")(vectors, torch.tensor([0, 1, 2]))
    assert value.active_negatives is not None
    assert float(value.active_negatives) == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("settings", "peer"),
    [
        ({"name": "ntxent", "temperature": 0.2}, pml_losses.NTXentLoss(temperature=0.2)),
        (
            {"name": "triplet", "margin": 0.2, "mining": "all"},
            pml_losses.TripletMarginLoss(margin=0.2),
        ),
        (
            {"name": "multi_similarity", "alpha": 2.0, "beta": 50.0, "base": 0.5, "epsilon": 0.1},
            lambda vectors, labels: pml_losses.MultiSimilarityLoss(alpha=2, beta=50, base=0.5)(
                vectors, labels, miners.MultiSimilarityMiner(epsilon=0.1)(vectors, labels)
            ),
        ),
    ],
)
def test_the_other_losses_are_the_librarys(
    settings: dict[str, object], peer: Callable[[Tensor, Tensor], Tensor]
) -> None:
    vectors, labels = batch(7)
    value = build_loss(settings)(vectors, labels)
    assert value.active_negatives is None
    torch.testing.assert_close(value.loss, peer(vectors, labels))
    assert torch.isfinite(torch.autograd.grad(value.loss, vectors)[0]).all()
