"""FastAP, pytorch-metric-learning's."""

from __future__ import annotations

from pytorch_metric_learning.losses import FastAPLoss

from lookalike.training.losses.of_library import LibraryLoss


def build(n_classes: int, dimension: int, *, bins: int) -> LibraryLoss:
    """See `lookalike.training.losses.table`.

    The mean over the images that have a positive of 1 - FastAP, with FastAP the sum over the edges
    l of the histogram, from distance 0 on, of h+ H+ / H over the number of positives: h+ is how
    many positives fall on the edge, H+ and H how many positives and how many of all fall there or
    nearer. A squared distance of unit vectors, 0 to 4, is shared between the two edges it lies
    between.

    Two images of one class that are equal, and one of another class opposite of them:

    >>> import torch
    >>> embeddings = torch.tensor([[1.0, 0.0], [1.0, 0.0], [-1.0, 0.0]])
    >>> build(2, 2, bins=10)(embeddings, torch.tensor([0, 0, 1])).loss.item()
    0.0
    """
    return LibraryLoss(FastAPLoss(num_bins=bins))
