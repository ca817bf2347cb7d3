from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pytorch_metric_learning import losses as pml_losses
from pytorch_metric_learning import miners
from pytorch_metric_learning.distances import LpDistance
from pytorch_metric_learning.reducers import AvgNonZeroReducer
from scipy.spatial.distance import cdist
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from lookalike.config import resolve
from lookalike.errors import LookalikeError
from lookalike.records import Chosen
from lookalike.storage.yaml_files import read_yaml
from lookalike.training.losses.building import build_loss
from lookalike.training.losses.contrastive import BatchContrastiveLoss, ContrastiveLoss
from lookalike.training.losses.distances import squared_distances
from lookalike.training.losses.table import LOSSES
from lookalike.training.validation import leave_one_out_scores
from support.project import ROOT

SCHEMA = read_yaml(ROOT / "workflow" / "schemas" / "config.schema.yaml")


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


@pytest.mark.parametrize("power", [1, 2])
@pytest.mark.parametrize("same", [0, 1])
def test_the_gradient_is_finite_where_embeddings_coincide(same: int, power: int) -> None:
    x = torch.ones(2, 3, requires_grad=True)
    y = torch.tensor([same, same])
    # The seed's own formula has no gradient there: that is what this test is about.
    (broken,) = torch.autograd.grad(seed_formula(x, torch.ones(2, 3), y), x)
    assert torch.isnan(broken).all()
    loss = ContrastiveLoss(1.0, power)(x, torch.ones(2, 3), y)
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


def loss_of(name: str, *, dimension: int = 5, **changes: Any) -> nn.Module:
    """A loss as a recipe gets it."""
    recipe = {"loss": {"name": name, **changes}}
    settings = resolve([{"recipes": {"mine": recipe}}], SCHEMA)["recipes"]["mine"]["loss"]
    return build_loss(Chosen.from_dict(settings), 12, dimension)


# The library's, each with the distance that the score compares by.
AS_THEY_ARE = {"distance": LpDistance(normalize_embeddings=False)}


@pytest.mark.parametrize("n", [12, 60])
@pytest.mark.parametrize(
    ("name", "changes", "peer", "miner"),
    [
        ("ntxent", {"temperature": 0.2}, pml_losses.NTXentLoss(0.2), None),
        (
            "triplet",
            {"margin": 0.2, "mining": "all"},
            pml_losses.TripletMarginLoss(0.2, **AS_THEY_ARE),
            None,
        ),
        *[
            (
                "triplet",
                {"margin": 0.5, "mining": mining},
                pml_losses.TripletMarginLoss(0.5, **AS_THEY_ARE),
                miners.TripletMarginMiner(0.5, mining, **AS_THEY_ARE),
            )
            for mining in ("semihard", "hard")
        ],
        (
            "multi_similarity",
            {},
            pml_losses.MultiSimilarityLoss(alpha=2, beta=50, base=0.5),
            miners.MultiSimilarityMiner(epsilon=0.1),
        ),
    ],
)
def test_the_other_losses_are_the_librarys(
    name: str, changes: dict[str, Any], peer: nn.Module, miner: nn.Module | None, n: int
) -> None:
    vectors, labels = batch(7, n)
    value = loss_of(name, **changes)(vectors, labels)
    assert value.active_negatives is None
    expected = peer(vectors, labels, miner and miner(vectors, labels))
    torch.testing.assert_close(value.loss, expected, rtol=1e-5, atol=1e-6)
    (ours,) = torch.autograd.grad(value.loss, vectors)
    (theirs,) = torch.autograd.grad(expected, vectors)
    # Theirs rounds distances: in batches of more than 25 they come from a matrix product.
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("classes", [1, 12])
@pytest.mark.parametrize("name", ["triplet", "multi_similarity", "ntxent"])
def test_a_batch_without_pairs_of_both_kinds_teaches_these_nothing(name: str, classes: int) -> None:
    vectors, _ = batch(1)
    value = loss_of(name)(vectors, torch.arange(12) % classes)
    assert value.loss.item() == 0
    assert not torch.autograd.grad(value.loss, vectors)[0].any()


@pytest.mark.parametrize(("margin", "alpha"), [(0.1, 32.0), (-0.2, 3.0), (0.5, 1.0)])
@pytest.mark.parametrize("n", [1, 12, 60])
def test_proxy_anchor_is_its_papers_formula_written_out(
    margin: float, alpha: float, n: int
) -> None:
    """Equation 4 of Kim et al. (2020), proxy by proxy and image by image, in float64."""
    vectors, labels = batch(11, n)
    loss = loss_of("proxy_anchor", margin=margin, alpha=alpha)
    proxies = next(iter(loss.parameters()))
    value = loss(vectors, labels)
    assert value.active_negatives is None

    def cosine(x: Tensor, proxy: Tensor) -> Tensor:
        return F.cosine_similarity(x, proxy, dim=0, eps=0)

    points = vectors.detach().double().requires_grad_()
    anchors = proxies.detach().double().requires_grad_()
    positive, negative = torch.zeros((), dtype=torch.float64), torch.zeros((), dtype=torch.float64)
    present = set(labels.tolist())
    for number, proxy in enumerate(anchors):
        near, far = torch.ones((), dtype=torch.float64), torch.ones((), dtype=torch.float64)
        for point, label in zip(points, labels.tolist(), strict=True):
            if label == number:
                near = near + torch.exp(-alpha * (cosine(point, proxy) - margin))
            else:
                far = far + torch.exp(alpha * (cosine(point, proxy) + margin))
        if number in present:
            positive = positive + torch.log(near)
        negative = negative + torch.log(far)
    expected = positive / len(present) + negative / len(anchors)
    torch.testing.assert_close(value.loss.double(), expected, rtol=1e-5, atol=1e-6)
    for ours, theirs in zip(
        torch.autograd.grad(value.loss, [vectors, proxies]),
        torch.autograd.grad(expected, [points, anchors]),
        strict=True,
    ):
        torch.testing.assert_close(ours.double(), theirs, rtol=1e-3, atol=1e-5)


def test_squared_distances_are_exact_where_embeddings_are_near() -> None:
    # A matrix product has no digit of these left.
    x = 1000 + torch.randn(40, 3, generator=torch.Generator().manual_seed(0)) / 100
    x[7] = x[3]
    squared = squared_distances(x)
    expected = cdist(x.double(), x.double(), "sqeuclidean")
    np.testing.assert_allclose(squared.numpy(), expected, rtol=1e-5)
    assert squared[3, 7] == 0
    assert not squared.diagonal().any()


@pytest.mark.parametrize("at_a_time", [1, 2 * 7 * 5, 2**20])
def test_the_gradient_of_distances_is_the_slope(
    at_a_time: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lookalike.training.losses.distances._DIFFERENCES", at_a_time)
    x = torch.randn(7, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(squared_distances, x)
    for mean in ("all", "separate"):
        loss = BatchContrastiveLoss(3.0, mean)
        labels = torch.tensor([0, 0, 0, 1, 1, 2, 3])
        assert torch.autograd.gradcheck(lambda rows, f=loss, y=labels: f(rows, y).loss, x)


class LargestTensor(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes the most values that a tensor had which was made meanwhile."""

    values = 0

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        made = function(*args, **(kwargs or {}))
        for one in made if isinstance(made, list | tuple) else [made]:
            if isinstance(one, Tensor):
                self.values = max(self.values, one.untyped_storage().nbytes() // one.itemsize)
        return made


@pytest.mark.parametrize("name", ["contrastive", "multi_similarity", "ntxent"])
def test_memory_is_that_of_all_pairs_not_of_all_their_differences(name: str) -> None:
    n, d = 256, 512
    vectors = F.normalize(torch.randn(n, d), dim=1).requires_grad_()
    with LargestTensor() as largest:  # type: ignore[no-untyped-call]
        loss_of(name)(vectors, torch.arange(n) % 8).loss.backward()
    assert n * d <= largest.values <= max(2 * n * n, 2**20) < n * n * d / 8


# What is trained is what is scored.


def test_losses_of_angles_are_refused_where_distances_are_scored() -> None:
    refused = []
    for name in LOSSES.names:
        mine = {"loss": {"name": name}, "model": {"normalize": False}}
        try:
            resolve([{"recipes": {"mine": mine}}], SCHEMA)
        except LookalikeError as error:
            assert f"recipes.mine: the loss {name}" in str(error)
            assert "model.normalize: true" in str(error)
            refused.append(name)
    assert refused == [loss.name for loss in LOSSES if loss.angles]
    assert {"multi_similarity", "ntxent", "proxy_anchor"} <= set(refused)


def rotation(d: int) -> Tensor:
    made: Tensor = torch.linalg.qr(torch.randn(d, d, generator=torch.Generator().manual_seed(1)))[0]
    return made


@pytest.mark.parametrize("n", [12, 60])
@pytest.mark.parametrize(
    ("name", "normalize"),
    [(name, True) for name in LOSSES.names] + [("contrastive", False), ("triplet", False)],
)
def test_a_loss_changes_when_and_only_when_scores_do(name: str, normalize: bool, n: int) -> None:
    vectors, labels = batch(5, n)
    vectors = vectors.detach()
    turn = rotation(vectors.shape[1])
    longer = vectors * torch.linspace(0.5, 2, n)[:, None]
    moved = vectors + torch.tensor([3.0, -1.0, 0.5, 2.0, 0.0])
    same, other = (longer, moved) if normalize else (moved, longer)
    score = "cosine" if normalize else "euclidean"
    # A margin within the distances, so that each of them counts.
    changes: dict[str, Any] = {"margin": 4.0} if name == "contrastive" and not normalize else {}
    loss = loss_of(name, **changes)

    def of(raw: Tensor) -> tuple[float, NDArray[np.float32]]:
        embeddings = F.normalize(raw, dim=1) if normalize else raw
        scores = cdist(embeddings.double(), embeddings.double(), score)
        return loss(embeddings, labels).loss.item(), scores

    first, scores = of(vectors)
    value, others = of(other)
    assert np.abs(others - scores).max() > 0.1
    assert value != pytest.approx(first, rel=1e-2)

    # A proxy is turned with the embeddings that it stands for.
    moved_with_them = [(same, torch.eye(vectors.shape[1])), (vectors @ turn, turn)]
    for equal, turned in moved_with_them:
        for parameter in loss.parameters():
            vectors_in_rows = parameter.shape[1] == len(turned)
            old = parameter.data if vectors_in_rows else parameter.data.T
            parameter.data = old @ turned if vectors_in_rows else (old @ turned).T
        value, again = of(equal)
        np.testing.assert_allclose(again, scores, atol=1e-5)
        assert value == pytest.approx(first, rel=1e-3)


@pytest.mark.parametrize("normalize", [True, False])
def test_a_triplet_loss_is_0_where_each_image_finds_its_own_class_first(normalize: bool) -> None:
    loss = loss_of("triplet", margin=1e-6, mining="all")
    perfect = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        labels = np.repeat(np.arange(4), 3)
        # Centres of one direction and different lengths among others.
        centres = rng.normal(size=(4, 3)) * rng.choice([1, 3, 9], (4, 1))
        centres[1] = centres[0] * 3
        vectors = centres[labels] + rng.normal(size=(12, 3)) * rng.choice([0.02, 0.2, 1])
        x = torch.from_numpy(vectors.astype(np.float32))
        x = F.normalize(x, dim=1) if normalize else x
        score = "cosine" if normalize else "euclidean"
        found = leave_one_out_scores(x.numpy(), labels, score, 10).at_k
        assert (loss(x, torch.from_numpy(labels)).loss.item() == 0) == (found == 1)
        perfect += found == 1
    assert (perfect == 0) if normalize else (10 < perfect < 50)


@pytest.mark.parametrize("name", LOSSES.names)
@pytest.mark.parametrize("labels", [[0], [0, 0, 0], [0, 1], [0, 1, 2]])
def test_no_batch_gives_a_loss_that_is_no_number(name: str, labels: list[int]) -> None:
    values = {setting.name: setting.default for setting in LOSSES[name].every_setting}
    loss = build_loss(Chosen(name, values), 3, 4)
    generator = torch.Generator().manual_seed(0)
    embeddings = F.normalize(torch.randn(len(labels), 4, generator=generator)).requires_grad_()
    value = loss(embeddings, torch.tensor(labels))
    assert torch.isfinite(value.loss)
    assert value.active_negatives is None or torch.isfinite(value.active_negatives)
    if value.loss.requires_grad:
        (gradient,) = torch.autograd.grad(value.loss, embeddings, allow_unused=True)
        assert gradient is None or torch.isfinite(gradient).all()
