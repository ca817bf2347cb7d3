"""Miners and the memory of past images, with the losses that they choose for."""

import json
import math
from functools import cache
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pytorch_metric_learning import losses as pml_losses
from pytorch_metric_learning import miners as pml_miners
from pytorch_metric_learning.distances import LpDistance
from torch import Tensor, nn
from torch.nn import functional as F

from lookalike.config import resolve
from lookalike.errors import LookalikeError
from lookalike.records import Chosen
from lookalike.storage.yaml_files import read_yaml
from lookalike.training.losses.building import build_loss
from lookalike.training.losses.distances import squared_distances
from lookalike.training.losses.pairs import counts_of
from lookalike.training.losses.table import LOSSES
from lookalike.training.miners.table import MINERS, NONE
from support.project import ROOT

SCHEMA = read_yaml(ROOT / "workflow" / "schemas" / "config.schema.yaml")
DIMENSION = 6
OF_PAIRS = [loss.name for loss in LOSSES if loss.takes_miner]
WITH_MEMORY = [loss.name for loss in LOSSES if loss.takes_memory]
RANDOM = {"distance_weighted", "uniform_histogram"}


def batch(seed: int, n: int = 12, classes: int = 4) -> tuple[Tensor, Tensor]:
    rng = np.random.default_rng(seed)
    # In one part of the sphere, so that some of other classes are near.
    vectors = 1 + rng.normal(size=(n, DIMENSION)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return torch.from_numpy(vectors).requires_grad_(), torch.arange(n) % classes


def built(loss: dict[str, Any], miner: dict[str, Any], memory: int = 0) -> nn.Module:
    """A loss as a recipe gets it."""
    chosen, of_miner = chosen_of(json.dumps({"loss": loss, "miner": miner}))
    return build_loss(chosen, 12, DIMENSION, miner=of_miner, memory=memory)


@cache
def chosen_of(given: str) -> tuple[Chosen, Chosen]:
    """The loss and the miner of a recipe, with defaults."""
    made = resolve([{"recipes": {"mine": json.loads(given)}}], SCHEMA)["recipes"]["mine"]
    return Chosen.from_dict(made["loss"]), Chosen.from_dict(made["miner"])


PLAIN = {"distance": LpDistance(normalize_embeddings=False)}
# The library's losses with these miners' indices, whatever stands for them here.
PEERS: dict[str, Any] = {
    "contrastive": lambda: pml_losses.ContrastiveLoss(0, 0.8, **PLAIN),
    "triplet": lambda: pml_losses.TripletMarginLoss(0.1, **PLAIN),
    "multi_similarity": lambda: pml_losses.MultiSimilarityLoss(2, 50, 0.5),
    "ntxent": lambda: pml_losses.NTXentLoss(0.1),
    "supcon": lambda: pml_losses.SupConLoss(0.1),
    "circle": lambda: pml_losses.CircleLoss(0.4, 80),
    "lifted_structure": lambda: pml_losses.LiftedStructureLoss(**PLAIN),
}
PEER_MINERS: dict[str, Any] = {
    "triplet_margin": lambda: pml_miners.TripletMarginMiner(0.1, "semihard", **PLAIN),
    "multi_similarity": lambda: pml_miners.MultiSimilarityMiner(0.1),
    "batch_hard": lambda: pml_miners.BatchHardMiner(**PLAIN),
    "batch_easy_hard": lambda: pml_miners.BatchEasyHardMiner("easy", "semihard", **PLAIN),
    "pair_margin": lambda: pml_miners.PairMarginMiner(0.2, 0.8, **PLAIN),
    "distance_weighted": lambda: pml_miners.DistanceWeightedMiner(0.5, 1.4),
    "angular": lambda: pml_miners.AngularMiner(20),
    "hdc": lambda: pml_miners.HDCMiner(0.5, **PLAIN),
    "uniform_histogram": lambda: pml_miners.UniformHistogramMiner(100, 10, 10, **PLAIN),
}


def given_loss(name: str) -> dict[str, Any]:
    """The loss's settings that the library's stands for."""
    return {"name": name} | ({"power": 1, "mean": "nonzero"} if name == "contrastive" else {})


@pytest.mark.parametrize("miner", MINERS.names)
@pytest.mark.parametrize("name", OF_PAIRS)
def test_a_loss_with_a_miner_is_the_librarys_with_it(name: str, miner: str) -> None:
    vectors, labels = batch(3)
    torch.manual_seed(5)
    found = PEER_MINERS[miner]()(vectors, labels)
    expected = PEERS[name]()(vectors, labels, found)
    torch.manual_seed(5)
    value = built(given_loss(name), {"name": miner})(vectors, labels).loss
    assert expected > 0
    torch.testing.assert_close(value, expected, rtol=1e-4, atol=1e-5)
    (ours,) = torch.autograd.grad(value, vectors)
    (theirs,) = torch.autograd.grad(expected, vectors)
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4 * float(theirs.abs().max()))


@pytest.mark.parametrize("name", OF_PAIRS)
def test_without_a_miner_all_pairs_count(name: str) -> None:
    vectors, labels = batch(4)
    value = built(given_loss(name), {"name": NONE})(vectors, labels).loss
    torch.testing.assert_close(value, PEERS[name]()(vectors, labels), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("miner", MINERS.names)
def test_what_a_miner_draws_is_of_torchs_seed_alone(miner: str) -> None:
    vectors, labels = batch(6)
    loss = built({"name": "triplet"}, {"name": miner})
    values = list[float]()
    for seed in (1, 1, 2, 3):
        torch.manual_seed(seed)
        # The process's other sources of chance have no say.
        np.random.seed(len(values))
        values.append(loss(vectors, labels).loss.item())
    assert values[0] == values[1]
    assert (len(set(values)) > 1) == (miner in RANDOM)


BATCHES = [[0], [0, 0, 0], [0, 1, 2], [0, 0, 1], [0, 0, 0, 0, 1, 2]]


@pytest.mark.parametrize("miner", [NONE, *MINERS.names])
@pytest.mark.parametrize("name", OF_PAIRS)
def test_no_batch_gives_a_mined_loss_that_is_no_number(name: str, miner: str) -> None:
    generator = torch.Generator().manual_seed(0)
    sizes = (0, 8) if name in WITH_MEMORY and miner != "batch_easy_hard" else (0,)
    for labels, memory in product(BATCHES, sizes):
        apart = F.normalize(torch.randn(len(labels), DIMENSION, generator=generator))
        for vectors in (apart, torch.ones(len(labels), DIMENSION) / math.sqrt(DIMENSION)):
            x = vectors.clone().requires_grad_()
            loss = built({"name": name}, {"name": miner}, memory)
            for _ in range(2):
                value = loss(x, torch.tensor(labels)).loss
                assert torch.isfinite(value)
                (gradient,) = torch.autograd.grad(value, x, allow_unused=True)
                assert gradient is None or torch.isfinite(gradient).all()


@settings(deadline=None, derandomize=True, max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4), st.integers(0, 4)), max_size=9))
def test_triplets_count_as_a_pair_of_each_kind(triplets: list[tuple[int, int, int]]) -> None:
    columns = torch.tensor(triplets, dtype=torch.int64).reshape(-1, 3).T
    positive, negative = counts_of(tuple(columns), torch.zeros(4, 5))
    expected = np.zeros((2, 4, 5))
    for first, near, far in triplets:
        expected[0, first, near] += 1
        expected[1, first, far] += 1
    np.testing.assert_array_equal(torch.stack([positive, negative]).numpy(), expected)


# The memory of past images.


@pytest.mark.parametrize("miner", [NONE, "multi_similarity", "triplet_margin", "batch_hard"])
@pytest.mark.parametrize("name", WITH_MEMORY)
def test_a_loss_with_a_memory_is_the_librarys_with_it(name: str, miner: str) -> None:
    peer = pml_losses.CrossBatchMemory(
        PEERS[name](),
        DIMENSION,
        memory_size=20,
        miner=None if miner == NONE else PEER_MINERS[miner](),
    )
    loss = built(given_loss(name), {"name": miner}, memory=20)
    # 8 a batch: after three, the oldest go; then a smaller one.
    for step, n in enumerate((8, 8, 8, 8, 5, 8)):
        vectors, labels = batch(step, n)
        value, expected = loss(vectors, labels).loss, peer(vectors, labels)
        torch.testing.assert_close(value, expected, rtol=1e-4, atol=1e-5)
        if expected.requires_grad and expected > 0:
            (ours,) = torch.autograd.grad(value, vectors)
            (theirs,) = torch.autograd.grad(expected, vectors)
            scale = float(theirs.abs().max())
            torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4 * scale)


def test_a_batch_is_compared_with_the_latest_images_written_out() -> None:
    size, margin = 7, 0.8
    loss = built({"name": "contrastive", "mean": "all", "power": 1}, {"name": NONE}, memory=size)
    past: list[tuple[Tensor, int]] = []
    for step in range(5):
        vectors, labels = batch(step, n=4)
        value = loss(vectors, labels).loss
        own = [(vector.detach(), int(label)) for vector, label in zip(vectors, labels, strict=True)]
        past = [*past, *own][-size:]
        costs = []
        for (vector, label), itself in zip(zip(vectors, labels, strict=True), own, strict=True):
            for other in past:
                if other is itself:
                    continue
                apart = (vector - other[0]).square().sum().sqrt()
                costs.append(apart if label == other[1] else (margin - apart).clamp(min=0))
        expected = torch.stack(costs).mean()
        torch.testing.assert_close(value, expected)
        torch.testing.assert_close(
            torch.autograd.grad(value, vectors)[0], torch.autograd.grad(expected, vectors)[0]
        )


def test_an_image_alone_in_its_batch_is_not_compared_with_itself() -> None:
    loss = built({"name": "contrastive", "mean": "all"}, {"name": NONE}, memory=4)
    for step in range(6):
        vectors, _ = batch(step, n=1)
        value = loss(vectors, torch.tensor([0])).loss
        assert (value.item() > 0) == (step > 0)


def test_a_memorys_state_goes_on_where_it_was() -> None:
    whole, parts = (built({"name": "triplet"}, {"name": NONE}, memory=20) for _ in range(2))
    for step in range(5):
        vectors, labels = batch(step, n=8)
        expected = whole(vectors, labels).loss
        assert torch.equal(parts(vectors, labels).loss, expected)
        state = {name: value.clone() for name, value in parts.state_dict().items()}
        assert all(isinstance(value, Tensor) for value in state.values())
        parts = built({"name": "triplet"}, {"name": NONE}, memory=20)
        parts.load_state_dict(state)


def test_distances_to_others_and_their_slope() -> None:
    x = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    others = torch.randn(7, 3, dtype=torch.float64)
    torch.testing.assert_close(squared_distances(x, others), torch.cdist(x, others) ** 2)
    assert torch.autograd.gradcheck(lambda rows: squared_distances(rows, others), x)


def test_a_miner_that_is_none_is_told_with_the_nearest() -> None:
    with pytest.raises(LookalikeError, match=r"miner\.name: there is no miner 'hdd'"):
        build_loss(Chosen("ntxent", {"temperature": 0.1}), 2, 2, miner=Chosen("hdd", {}))
