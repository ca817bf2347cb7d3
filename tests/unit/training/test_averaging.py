"""The running mean of weights, against torch's own averaged model."""

import pytest
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from lookalike.training.averaging import Average, decay_after


def small_network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 2))


@pytest.mark.parametrize("decay", [0.05, 0.5, 0.999])
def test_the_mean_is_that_of_torch(decay: float) -> None:
    network = small_network()
    average = Average(network, decay)

    def mean(old: Tensor, new: Tensor, updates: Tensor | int) -> Tensor:
        # It copies the first, the untrained network, and counts that.
        share = min(decay, float(updates) / (9 + float(updates)))
        return share * old + (1 - share) * new

    peer = AveragedModel(network, avg_fn=mean, use_buffers=False)
    peer.update_parameters(network)
    statistics = [name for name, _ in network.named_buffers() if "num" not in name]
    means = {name: network.state_dict()[name].clone() for name in statistics}
    optimizer = torch.optim.SGD(network.parameters(), lr=0.05)
    for step in range(12):
        optimizer.zero_grad()
        network(torch.rand(8, 3, 8, 8)).square().mean().backward()
        optimizer.step()
        average.update(network, step)
        peer.update_parameters(network)
        share = min(decay, (1 + step) / (10 + step))
        for name in statistics:
            means[name] = share * means[name] + (1 - share) * network.state_dict()[name]
    found = average.network.state_dict()
    for name, value in peer.module.named_parameters():
        torch.testing.assert_close(found[name], value)
    for name in statistics:
        torch.testing.assert_close(found[name], means[name])
    assert found["1.num_batches_tracked"] == network.state_dict()["1.num_batches_tracked"] == 12
    # It is no part of what is trained, and shares nothing with it.
    assert not any(value.requires_grad for value in average.network.parameters())
    before = found["0.weight"].clone()
    network.state_dict()["0.weight"].zero_()
    assert torch.equal(average.network.state_dict()["0.weight"], before)


def test_what_does_not_change_is_its_own_mean() -> None:
    network = small_network()
    average = Average(network, 0.9)
    for step in range(50):
        average.update(network, step)
    for name, value in network.state_dict().items():
        assert torch.equal(average.network.state_dict()[name], value)


def test_the_beginning_weighs_little() -> None:
    shares = [decay_after(step, 0.999) for step in range(10_000)]
    assert shares[0] == 0.1
    assert shares == sorted(shares)
    assert shares[-1] == 0.999
    # What is left of the start after 100 steps: a plain mean of 0.999 would leave 0.9 of it.
    left = torch.tensor(shares[:100]).prod()
    assert left < 1e-6
