"""Embeddings from kept features: a head is applied when they are read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from lookalike.embedding.forward import PASS
from lookalike.jobs.torch_devices import one_thread
from lookalike.storage.rows import Rows, RowSource


def apply_head(head: nn.Module, features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Send features through a head, each independent of its place and company.

    Args:
        head: from float32 [n, features] to float32 [n, d]; in evaluation mode meanwhile.
        features: float32 [n, features], n at least 1.

    Returns:
        float32 [n, d].
    """
    filler = -len(features) % PASS
    filled = np.concatenate([features, np.repeat(features[:1], filler, axis=0)])
    device = next((parameter.device for parameter in head.parameters()), torch.device("cpu"))
    was_training = head.training
    head.eval()
    # On several threads a CPU's matrix product may add up in another order.
    with torch.inference_mode(), one_thread():
        there = torch.from_numpy(filled).to(device)
        embeddings = torch.cat([head(part) for part in torch.split(there, PASS)])
    head.train(was_training)
    return embeddings[: len(features)].float().cpu().numpy()


@dataclass(frozen=True)
class HeadRows:
    """Embeddings that are made of features when they are asked for; a RowSource.

    Attributes:
        features: float32 rows of a backbone's features.
        head: see `apply_head`.
        width: length of an embedding.
    """

    features: RowSource
    head: nn.Module
    width: int

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of rows, then the length of one."""
        return len(self.features), self.width

    def __len__(self) -> int:
        return len(self.features)

    def __getitem__(self, rows: Any, /) -> Rows:
        """The rows of a slice, an int64 array or a mask."""
        features = self.features[rows]
        if not len(features):
            return np.empty((0, self.width), np.float32)
        return apply_head(self.head, features)
