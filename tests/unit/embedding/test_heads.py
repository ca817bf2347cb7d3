"""A head on kept features: the same bytes in whatever company, and what a matrix product gives."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from lookalike.embedding.heads import HeadRows, apply_head
from lookalike.storage.row_store import Store
from support.devices import torch_threads

N, WIDTH, DIM = 200, 1280, 24
FEATURES = np.random.default_rng(0).normal(size=(N, WIDTH)).astype(np.float32)


def head(kind: str) -> nn.Module:
    torch.manual_seed(1)
    kinds = {
        "linear": nn.Linear(WIDTH, DIM),
        "bn_linear": nn.Sequential(nn.BatchNorm1d(WIDTH), nn.Linear(WIDTH, DIM)),
        "mlp": nn.Sequential(nn.Linear(WIDTH, 64), nn.ReLU(), nn.Linear(64, DIM)),
    }
    return kinds[kind].train()


@pytest.mark.parametrize("kind", ["linear", "bn_linear", "mlp"])
@settings(max_examples=20)
@given(rows=st.lists(st.integers(0, N - 1), min_size=1, max_size=90), threads=st.integers(1, 2))
def test_an_embedding_does_not_depend_on_its_company(
    kind: str, rows: list[int], threads: int
) -> None:
    whole = apply_head(head(kind), FEATURES)
    with torch_threads(threads):
        assert apply_head(head(kind), FEATURES[rows]).tobytes() == whole[rows].tobytes()


def test_it_is_the_matrix_product() -> None:
    linear = nn.Linear(WIDTH, DIM)
    weight, bias = (value.detach().double().numpy() for value in linear.parameters())
    expected = FEATURES.astype(np.float64) @ weight.T + bias
    assert np.abs(apply_head(linear, FEATURES) - expected).max() < 1e-5


def test_a_head_in_training_is_in_training_again_and_has_learned_nothing() -> None:
    network = head("bn_linear")
    before = {name: value.clone() for name, value in network.state_dict().items()}
    apply_head(network, FEATURES)
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_rows_are_made_when_they_are_asked_for(tmp_path: Path) -> None:
    store = Store(tmp_path, (WIDTH,), np.dtype(np.float32))
    keys = [f"{number:064x}" for number in range(N)]
    store.add(keys, FEATURES)
    network = head("linear").eval()
    rows = HeadRows(store.rows(keys), network, DIM)
    whole = apply_head(network, FEATURES)
    assert (len(rows), rows.shape) == (N, (N, DIM))
    for part in (slice(3, 70), np.array([5, 5, 0]), np.arange(N) % 7 == 0, slice(4, 4)):
        assert rows[part].shape == whole[part].shape
        assert rows[part].tobytes() == whole[part].tobytes()
