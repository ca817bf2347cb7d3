"""What a miner finds, as losses take it."""

from __future__ import annotations

import torch
from torch import Tensor

Found = tuple[Tensor, ...]
"""Indices int64 into a batch and into what it is compared with, as pytorch-metric-learning's miners
return them: pairs (first, its positive, first, its negative), each kind of a length of its own; or
triplets (first, its positive, its negative), which count as a pair of each kind."""


def counts_of(found: Found, like: Tensor) -> tuple[Tensor, Tensor]:
    """How often each pair was found.

    Args:
        found: pairs or triplets.
        like: float [n, m], whose shape, dtype and device the results have.

    Returns:
        The counts of positive pairs [n, m], and those of negative ones.
    """
    if len(found) == 3:
        first, positive, negative = found
        found = first, positive, first, negative
    first, positive, other_first, negative = found
    return _counts(first, positive, like), _counts(other_first, negative, like)


def log_sum_exp(values: Tensor, times: Tensor) -> Tensor:
    """Logarithm of the sum of exp of each row's values, each of which counts so many times.

    Args:
        values: float [n, m].
        times: float [n, m], whole numbers.

    Returns:
        [n]; -inf, without a gradient, where all of a row's times are 0.
    """
    # Not + log(0): the gradient of a row without any value would be no number.
    counted = (values + times.clamp(min=1).log()).masked_fill(times == 0, -torch.inf)
    return counted.logsumexp(dim=1)


def _counts(first: Tensor, second: Tensor, like: Tensor) -> Tensor:
    counts = torch.zeros_like(like, requires_grad=False)
    one = torch.ones((), dtype=like.dtype, device=like.device)
    return counts.index_put_((first, second), one, accumulate=True)
