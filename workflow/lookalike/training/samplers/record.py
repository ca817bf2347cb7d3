"""What there is to know of one sampler of batches. Imports nothing heavy."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from lookalike.records import Value, Variant


@dataclass(frozen=True)
class Sampler(Variant):
    """A sampler of batches.

    Attributes:
        size: the settings whose product is the number of images in a batch.
    """

    size: tuple[str, ...] = ()

    def batch_size(self, values: Mapping[str, Value]) -> int:
        """Images in a batch, from the complete `batch` mapping of a recipe."""
        return math.prod(int(values[name]) for name in self.size)
