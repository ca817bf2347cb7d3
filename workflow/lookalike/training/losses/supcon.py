"""The supervised contrastive loss, pytorch-metric-learning's."""

from __future__ import annotations

from pytorch_metric_learning.losses import SupConLoss
from torch import nn


def build(n_classes: int, dimension: int, *, temperature: float) -> nn.Module:
    """See `lookalike.training.losses.table`.

    The paper's L_out, with one view of each image: the mean over the images that have a positive of
    the mean over their positives of -log(p / sum of exp(cosine / temperature) over all others of
    the batch), with p = exp(cosine / temperature) of the pair. The paper adds images up where this
    takes their mean, as its authors' code does. A batch of one class costs nothing.

    Two images of one class that are equal, and one of another class at a right angle:

    >>> import math
    >>> import torch
    >>> embeddings = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    >>> loss = build(2, 2, temperature=0.5)(embeddings, torch.tensor([0, 0, 1]))
    >>> cosines = math.exp(1 / 0.5), math.exp(0 / 0.5)
    >>> math.isclose(loss.item(), -math.log(cosines[0] / sum(cosines)), rel_tol=1e-6)
    True
    """
    loss: nn.Module = SupConLoss(temperature=temperature)
    return loss
