"""Seeds of a training, held to torch's own `manual_seed`."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lookalike.training.seeding import hash_seed, seed_draws
from support.devices import DEVICES


@pytest.mark.parametrize("kind", DEVICES)
def test_draws_are_those_after_manual_seed(kind: str) -> None:
    device = torch.device(kind)
    seed = hash_seed(7, 3)

    torch.manual_seed(seed)
    expected = torch.rand(5), torch.rand(5, device=device)
    seed_draws(seed, device)
    got = torch.rand(5), torch.rand(5, device=device)

    assert all(torch.equal(a, b) for a, b in zip(got, expected, strict=True))


@pytest.mark.parametrize("kind", ["mps", "xpu"])
def test_a_device_of_any_kind_is_seeded_itself(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if this machine had such a device: what torch is told of it, in order."""
    told: list[tuple[str, object]] = []

    class OfDevice:
        def __init__(self, device: torch.device) -> None:
            self.device = device

        def __enter__(self) -> None:
            told.append(("enter", self.device))

        def __exit__(self, *error: object) -> None:
            told.append(("exit", self.device))

    device = torch.device(kind, 0)
    module = torch.get_device_module(device)
    around = hasattr(module, "device")
    assert around == (kind == "xpu")
    if around:
        monkeypatch.setattr(module, "device", OfDevice)
    monkeypatch.setattr(module, "manual_seed", lambda seed: told.append(("seed", seed)))

    torch.manual_seed(5)
    expected = torch.rand(5)
    told.clear()  # that seeds every kind
    seed_draws(5, device)

    assert told == [("enter", device), ("seed", 5), ("exit", device)][1 - around : 2 + around]
    assert torch.equal(torch.rand(5), expected)


@given(st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=4), st.integers(0, 5))
def test_each_place_has_a_seed_of_63_bits_of_its_own(parts: list[int], more: int) -> None:
    seed = hash_seed(*parts)

    assert 0 <= seed < 2**63
    assert seed == hash_seed(*parts)
    assert seed != hash_seed(*parts[:-1], parts[-1] + 1)
    assert seed != hash_seed(*parts, more + 1)
