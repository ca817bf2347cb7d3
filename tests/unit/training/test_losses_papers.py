"""Losses against their papers' formulas, written out in float64, image by image."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from pytorch_metric_learning import losses as pml_losses
from pytorch_metric_learning.distances import LpDistance
from torch import Tensor, nn
from torch.nn import functional as F

from lookalike.config import resolve
from lookalike.records import Chosen
from lookalike.storage.yaml_files import read_yaml
from lookalike.training.losses.building import build_loss
from lookalike.training.losses.table import LOSSES
from support.project import ROOT

SCHEMA = read_yaml(ROOT / "workflow" / "schemas" / "config.schema.yaml")
CLASSES, DIMENSION = 5, 6
Proxies = list[Tensor]


def batch(seed: int, n: int = 12, classes: int = 4) -> tuple[Tensor, Tensor]:
    """Embeddings that ask for a gradient, and as many images of each class."""
    rng = np.random.default_rng(seed)
    vectors = torch.from_numpy(rng.normal(size=(n, DIMENSION)).astype(np.float32))
    return vectors.requires_grad_(), torch.from_numpy(rng.permutation(n) % classes)


def built(name: str, **changes: Any) -> nn.Module:
    """A loss as a recipe gets it."""
    settings = resolve([{"recipes": {"mine": {"loss": {"name": name, **changes}}}}], SCHEMA)
    chosen = Chosen.from_dict(settings["recipes"]["mine"]["loss"])
    return build_loss(chosen, CLASSES, DIMENSION, seed=3)


def cosine(x: Tensor, y: Tensor) -> Tensor:
    return (x * y).sum() / (x.square().sum().sqrt() * y.square().sum().sqrt())


def distance(x: Tensor, y: Tensor) -> Tensor:
    return (x - y).square().sum().sqrt()


def mean(values: list[Tensor]) -> Tensor:
    return sum(values, torch.zeros((), dtype=torch.float64)) / max(1, len(values))


def positives(i: int, labels: list[int]) -> list[int]:
    return [j for j, label in enumerate(labels) if label == labels[i] and j != i]


def negatives(i: int, labels: list[int]) -> list[int]:
    return [j for j, label in enumerate(labels) if label != labels[i]]


def contrastive(
    x: list[Tensor], labels: list[int], margin: float, mean_of: str, power: int
) -> Tensor:
    """Hadsell et al. (2006), equation 4, over the pairs i < j; or with both parts plain."""
    near, far = [], []
    for i in range(len(x)):
        for j in range(i + 1, len(x)):
            apart = distance(x[i], x[j])
            if labels[i] == labels[j]:
                near.append(apart**power)
            else:
                far.append(torch.clamp(margin - apart, min=0) ** power)
    if mean_of == "all":
        return mean(near + far)
    near = [cost for cost in near if cost > 0 or mean_of == "separate"]
    return mean(near) + mean([cost for cost in far if cost > 0])


def triplet(x: list[Tensor], labels: list[int], margin: float) -> Tensor:
    """Schroff et al. (2015) with plain distances, over the triplets that cost something."""
    costs = [
        distance(x[i], x[j]) - distance(x[i], x[k]) + margin
        for i in range(len(x))
        for j in positives(i, labels)
        for k in negatives(i, labels)
    ]
    return mean([cost for cost in costs if cost > 0])


def supcon(x: list[Tensor], labels: list[int], temperature: float) -> Tensor:
    """Khosla et al. (2020), equation 2 (L_out), with the mean over images for their sum."""
    of_images = []
    for i in range(len(x)):
        score = {j: cosine(x[i], x[j]) / temperature for j in range(len(x)) if j != i}
        below = sum((torch.exp(value) for value in score.values()), torch.zeros(()))
        of_images.append(-mean([torch.log(score[j].exp() / below) for j in positives(i, labels)]))
    return mean(of_images)


def circle(x: list[Tensor], labels: list[int], margin: float, gamma: float) -> Tensor:
    """Sun et al. (2020), equations 5 to 8."""
    of_images = []
    for i in range(len(x)):
        pull, push = torch.zeros(()), torch.zeros(())
        for j in positives(i, labels):
            s = cosine(x[i], x[j])
            weight = torch.clamp(1 + margin - s.detach(), min=0)
            pull = pull + torch.exp(-gamma * weight * (s - (1 - margin)))
        for j in negatives(i, labels):
            s = cosine(x[i], x[j])
            weight = torch.clamp(s.detach() + margin, min=0)
            push = push + torch.exp(gamma * weight * (s - margin))
        of_images.append(torch.log(1 + push * pull))
    return mean(of_images)


def lifted_structure(x: list[Tensor], labels: list[int], margin: float) -> Tensor:
    """Oh Song et al. (2016), equation 4."""
    costs = []
    for i in range(len(x)):
        for j in (j for j in positives(i, labels) if j > i):
            away = sum(
                (
                    torch.exp(margin - distance(x[of], x[k]))
                    for of in (i, j)
                    for k in negatives(of, labels)
                ),
                torch.zeros(()),
            )
            costs.append(torch.clamp(torch.log(away) + distance(x[i], x[j]), min=0) ** 2)
    return mean(costs) / 2


def fastap(x: list[Tensor], labels: list[int], bins: int) -> Tensor:
    """Cakir et al. (2019), equations 7 and 8 with the soft histogram of 9."""
    of_images = []
    for i in range(len(x)):
        width, found, before, of_class = 4 / bins, torch.zeros(()), torch.zeros(()), torch.zeros(())
        for edge in range(bins + 1):

            def share(j: int, edge: int = edge, i: int = i, width: float = width) -> Tensor:
                squared = 2 - 2 * cosine(x[i], x[j])
                return torch.clamp(1 - torch.abs(squared - edge * width) / width, min=0)

            here = sum((share(j) for j in positives(i, labels)), torch.zeros(()))
            others = sum((share(j) for j in negatives(i, labels)), torch.zeros(()))
            of_class, before = of_class + here, before + here + others
            if before > 0:
                found = found + here * of_class / before
        of_images.append(1 - found / len(positives(i, labels)))
    return mean(of_images)


def smooth_ap(x: list[Tensor], labels: list[int], temperature: float) -> Tensor:
    """Brown et al. (2020), equations 4 to 6, with the query in the retrieval set."""
    of_images = []
    for q in range(len(x)):
        score = [cosine(x[q], other) for other in x]

        def rank(i: int, among: list[int], score: list[Tensor] = score) -> Tensor:
            above = [torch.sigmoid((score[j] - score[i]) / temperature) for j in among if j != i]
            return 1 + sum(above, torch.zeros(()))

        own = [q, *positives(q, labels)]
        ranks = [rank(i, own) / rank(i, list(range(len(x)))) for i in own]
        of_images.append(1 - mean(ranks))
    return mean(of_images)


def cross_entropy(logits: list[Tensor], label: int) -> Tensor:
    below = sum((torch.exp(logit) for logit in logits), torch.zeros(()))
    return -torch.log(torch.exp(logits[label]) / below)


def subcenter_arcface(
    x: list[Tensor],
    labels: list[int],
    proxies: Proxies,
    margin: float,
    scale: float,
    centers: int = 1,
) -> Tensor:
    """Deng et al. (2019), equation 3; with sub-centres Deng et al. (2020), equation 3."""
    of_images, wider = [], math.radians(margin)
    for point, label in zip(x, labels, strict=True):
        logits = []
        for number in range(CLASSES):
            of_class = proxies[number * centers : (number + 1) * centers]
            nearest = torch.stack([cosine(point, center) for center in of_class]).max()
            if number == label:
                angle = torch.acos(nearest)
                # Beyond 180 degrees, as in the authors' code.
                beyond = angle > math.pi - wider
                nearest = nearest - wider * math.sin(wider) if beyond else torch.cos(angle + wider)
            logits.append(scale * nearest)
        of_images.append(cross_entropy(logits, label))
    return mean(of_images)


def softtriple(
    x: list[Tensor],
    labels: list[int],
    proxies: Proxies,
    centers: int,
    scale: float,
    gamma: float,
    margin: float,
    tau: float,
) -> Tensor:
    """Qian et al. (2019), equations 6 to 9."""
    of_images, apart = [], []
    of_classes = [proxies[c * centers : (c + 1) * centers] for c in range(CLASSES)]
    for point, label in zip(x, labels, strict=True):
        logits = []
        for number, of_class in enumerate(of_classes):
            s = [cosine(point, center) for center in of_class]
            below = sum((torch.exp(value / gamma) for value in s), torch.zeros(()))
            soft = sum((torch.exp(value / gamma) / below * value for value in s), torch.zeros(()))
            logits.append(scale * (soft - (margin if number == label else 0)))
        of_images.append(cross_entropy(logits, label))
    for of_class in of_classes:
        for t in range(centers):
            for other in of_class[t + 1 :]:
                apart.append(torch.sqrt(2 - 2 * cosine(of_class[t], other)))
    pull = sum(apart, torch.zeros(())) / (CLASSES * centers * max(1, centers - 1))
    return mean(of_images) + tau * pull


def proxy_nca(x: list[Tensor], labels: list[int], proxies: Proxies, scale: float) -> Tensor:
    """Teh et al. (2020), equation 6, with temperature 1 / scale."""
    of_images = []
    for point, label in zip(x, labels, strict=True):
        unit = point / point.square().sum().sqrt()
        logits = [
            -scale * (unit - proxy / proxy.square().sum().sqrt()).square().sum()
            for proxy in proxies
        ]
        of_images.append(cross_entropy(logits, label))
    return mean(of_images)


FORMULAS: dict[str, Callable[..., Tensor]] = {
    "contrastive": lambda x, y, *, mean, **given: contrastive(x, y, mean_of=mean, **given),
    "triplet": lambda x, y, *, mining, **given: triplet(x, y, **given),
    "supcon": supcon,
    "circle": circle,
    "lifted_structure": lifted_structure,
    "fastap": fastap,
    "smooth_ap": smooth_ap,
    "arcface": subcenter_arcface,
    "subcenter_arcface": subcenter_arcface,
    "softtriple": softtriple,
    "proxy_nca": proxy_nca,
}


def proxies_of(loss: nn.Module) -> Tensor | None:
    """A loss's parameter with a row a vector; None where it has none."""
    parameters = [*loss.parameters()]
    if not parameters:
        return None
    (parameter,) = parameters
    return parameter if parameter.shape[1] == DIMENSION else parameter.T


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(
    ("name", "given"),
    [
        *[
            ("contrastive", {"margin": 2.5, "mean": mean, "power": power})
            for mean in ("all", "separate", "nonzero")
            for power in (1, 2)
        ],
        ("triplet", {"margin": 0.5, "mining": "all"}),
        ("supcon", {"temperature": 0.1}),
        ("supcon", {"temperature": 2.0}),
        ("circle", {"margin": 0.4, "gamma": 80.0}),
        ("circle", {"margin": 0.25, "gamma": 4.0}),
        ("lifted_structure", {"margin": 1.0}),
        ("lifted_structure", {"margin": 0.2}),
        ("fastap", {"bins": 10}),
        ("fastap", {"bins": 3}),
        ("smooth_ap", {"temperature": 0.01}),
        ("smooth_ap", {"temperature": 0.5}),
        ("arcface", {"margin": 28.6, "scale": 64.0}),
        # Wide enough for angles beyond 180 degrees.
        ("arcface", {"margin": 120.0, "scale": 2.0}),
        ("subcenter_arcface", {"margin": 28.6, "scale": 64.0, "centers": 3}),
        ("subcenter_arcface", {"margin": 50.0, "scale": 5.0, "centers": 1}),
        (
            "softtriple",
            {"centers": 4, "scale": 20.0, "gamma": 0.1, "margin": 0.01, "tau": 0.2},
        ),
        ("softtriple", {"centers": 1, "scale": 3.0, "gamma": 1.0, "margin": 0.3, "tau": 5.0}),
        ("proxy_nca", {"scale": 9.0}),
        ("proxy_nca", {"scale": 0.7}),
    ],
)
def test_value_and_gradient_are_those_of_the_papers_formula(
    name: str, given: dict[str, Any], seed: int
) -> None:
    vectors, labels = batch(seed)
    loss = built(name, **given)
    value = loss(vectors, labels).loss
    points = vectors.detach().double().requires_grad_()
    x, y, of_loss = [*points], labels.tolist(), proxies_of(loss)
    if of_loss is None:
        ours, theirs = [vectors], [points]
        expected = FORMULAS[name](x, y, **given)
    else:
        anchors = of_loss.detach().double().requires_grad_()
        ours, theirs = [vectors, *loss.parameters()], [points, anchors]
        expected = FORMULAS[name](x, y, [*anchors], **given)
    assert expected > 0
    torch.testing.assert_close(value.double(), expected.double(), rtol=1e-4, atol=1e-6)
    for mine, other in zip(
        torch.autograd.grad(value, ours), torch.autograd.grad(expected, theirs), strict=True
    ):
        assert other.abs().max() > 1e-6
        mine = mine if mine.shape == other.shape else mine.T
        scale = float(other.abs().max())
        torch.testing.assert_close(mine.double(), other, rtol=1e-3, atol=2e-4 * scale)


def test_every_loss_is_held_to_a_formula_here_or_beside() -> None:
    beside = {"multi_similarity", "ntxent", "proxy_anchor"}  # in test_losses.py
    assert {*LOSSES.names} == FORMULAS.keys() | beside


@pytest.mark.parametrize("power", [1, 2])
@pytest.mark.parametrize("seed", range(4))
def test_the_plain_contrastive_loss_is_the_librarys(seed: int, power: int) -> None:
    vectors, labels = batch(seed)
    with torch.no_grad():
        # Two images of one class that coincide: the library leaves them out of its mean.
        vectors[1] = vectors[0]
        labels[1] = labels[0]
    value = built("contrastive", margin=2.0, mean="nonzero", power=power)(vectors, labels).loss
    if power == 2:
        # Not the default of the library: its two parts squared by hand.
        apart = torch.cdist(vectors.double(), vectors.double())
        same = labels[:, None] == labels
        near = apart[same & (apart > 1e-9)].square()
        far = (2.0 - apart[~same]).clamp(min=0).square()
        expected = near.mean() + (far[far > 0].mean() if (far > 0).any() else 0)
        torch.testing.assert_close(value.double(), expected, rtol=1e-5, atol=1e-6)
        return
    peer = pml_losses.ContrastiveLoss(
        neg_margin=2.0, distance=LpDistance(normalize_embeddings=False)
    )
    expected = peer(vectors, labels)
    torch.testing.assert_close(value, expected, rtol=1e-5, atol=1e-6)
    (ours,) = torch.autograd.grad(value, vectors)
    (theirs,) = torch.autograd.grad(expected, vectors)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def test_smooth_ap_is_the_librarys_where_that_is_the_papers() -> None:
    # As many classes as images of each, side by side.
    vectors, _ = batch(5, n=16)
    labels = torch.arange(16) // 4
    value = built("smooth_ap", temperature=0.1)(vectors, labels).loss
    torch.testing.assert_close(value, pml_losses.SmoothAPLoss(temperature=0.1)(vectors, labels))


@pytest.mark.parametrize("name", ["lifted_structure", "proxy_nca", "arcface", "softtriple"])
def test_what_is_written_here_is_the_librarys_value(name: str) -> None:
    vectors, labels = batch(6)
    plain = {"softtriple": {"tau": 0.0}}.get(name, {})
    loss = built(name, **plain)
    peer = {
        "lifted_structure": lambda: pml_losses.LiftedStructureLoss(
            distance=LpDistance(normalize_embeddings=False)
        ),
        "proxy_nca": lambda: pml_losses.ProxyNCALoss(CLASSES, DIMENSION, softmax_scale=9),
        "arcface": lambda: pml_losses.ArcFaceLoss(CLASSES, DIMENSION),
        "softtriple": lambda: pml_losses.SoftTripleLoss(CLASSES, DIMENSION),
    }[name]()
    for own, other in zip(loss.parameters(), peer.parameters(), strict=True):
        other.data.copy_(own.data)
    torch.testing.assert_close(loss(vectors, labels).loss, peer(vectors, labels))


# What a batch may hold.


@pytest.mark.parametrize("name", LOSSES.names)
def test_equal_embeddings_give_a_gradient_that_is_a_number(name: str) -> None:
    labels = torch.arange(12) // 3
    for vectors in (
        # All are one point; the images of each class are; some of one class, some of two are.
        torch.ones(12, DIMENSION),
        torch.eye(DIMENSION)[labels],
        torch.eye(DIMENSION)[torch.tensor([0, 0, 1, 1, 1, 2, 2, 0, 3, 3, 3, 3])],
    ):
        x = vectors.clone().requires_grad_()
        loss = built(name)
        if (proxies := proxies_of(loss)) is not None:
            with torch.no_grad():
                # Proxies where the images are, and several of a class in one place.
                proxies.copy_(torch.eye(DIMENSION)[torch.arange(len(proxies)) % DIMENSION])
                proxies[: len(proxies) // CLASSES] = torch.eye(DIMENSION)[0]
        value = loss(x, labels).loss
        assert torch.isfinite(value)
        for gradient in torch.autograd.grad(value, [x, *loss.parameters()], allow_unused=True):
            assert gradient is None or torch.isfinite(gradient).all()


@pytest.mark.parametrize(
    "name", [loss.name for loss in LOSSES if loss.compares_images and loss.name != "contrastive"]
)
@pytest.mark.parametrize("classes", [1, 12])
def test_a_batch_without_pairs_of_both_kinds_teaches_nothing(name: str, classes: int) -> None:
    vectors, _ = batch(1)
    value = built(name)(vectors, torch.arange(12) % classes).loss
    # The cost of a positive pair alone is what a loss by distance may have.
    assert abs(value.item()) < 1e-6
    (gradient,) = torch.autograd.grad(value, vectors)
    assert gradient.abs().max() < 1e-6


@pytest.mark.parametrize("name", [loss.name for loss in LOSSES if loss.compares_images])
def test_a_class_of_one_image_beside_others_is_no_trouble(name: str) -> None:
    vectors, labels = batch(2)
    labels[:] = torch.arange(12) // 3
    labels[0], labels[4] = 4, 5
    value = built(name)(vectors, labels).loss
    assert torch.isfinite(value) and value > 0
    assert torch.isfinite(torch.autograd.grad(value, vectors)[0]).all()


@pytest.mark.parametrize("name", ["lifted_structure", "contrastive", "supcon", "circle"])
def test_memory_grows_with_the_pairs_of_a_batch(name: str) -> None:
    # Two classes: positive pairs beside negative ones would be 256^4 / 4 numbers.
    vectors = torch.randn(256, DIMENSION, requires_grad=True)
    built(name)(vectors, torch.arange(256) % 2).loss.backward()
    assert vectors.grad is not None and torch.isfinite(vectors.grad).all()


def test_proxy_nca_counts_the_images_farthest_from_their_proxy() -> None:
    loss = built("proxy_nca", scale=500.0)
    proxies = proxies_of(loss)
    assert proxies is not None
    with torch.no_grad():
        proxies.copy_(torch.eye(DIMENSION)[:CLASSES])
    opposite = -torch.eye(DIMENSION)[:2] + 0.0
    # 4 from the own proxy, 2 from the others: exp(-1000) is 0, and its logarithm is not.
    value = loss(opposite, torch.tensor([0, 1])).loss
    assert value.item() == pytest.approx(500 * 2 + math.log(CLASSES - 1), rel=1e-4)


def test_units_or_not_is_no_matter_to_losses_of_angles() -> None:
    vectors, labels = batch(3)
    for loss in LOSSES:
        if loss.angles:
            raw = built(loss.name)(vectors, labels).loss
            unit = built(loss.name)(F.normalize(vectors, dim=1), labels).loss
            torch.testing.assert_close(raw, unit, rtol=1e-3, atol=1e-5)
